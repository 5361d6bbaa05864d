//go:build linux

// Command abuse attacks a generated server in every way that its authors know of, with
// raw frames of HTTP/2 and text of HTTP/1.1, at all its ports, beside honest traffic of the generated client. For each attack it
// prints what the attackers were answered, how many honest calls succeeded, and how much
// memory the server took.
//
// It fails if an honest call in a thousand fails, or if the server takes more memory than
// follows from its flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"syscall"
	"time"
)

const (
	// enough is the share of honest calls that must succeed, in percent.
	enough = 99.9
	// mostLogged is how much a server may log because of an attack, in bytes: what
	// attackers send must not fill disks.
	mostLogged = 256 << 10
	// fewGoroutines is how many more a server may have after an attack than before.
	fewGoroutines = 20
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "abuse:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("abuse", flag.ContinueOnError)
	only := flags.String("attacks", ".", "those whose names match this `expression`")
	byHTTP := flags.Bool("http", false, "attack the port for HTTP where attacks are by gRPC, which it speaks, too")
	lasts := flags.Duration("lasts", 6*time.Second, "`how long` an attack lasts")
	if err := flags.Parse(args); err != nil {
		return err
	}
	match, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "abuse-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	built, err := buildModule(ctx, dir)
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d cores, %s each; memory in MiB\n\n%s", runtime.Version(), runtime.NumCPU(), *lasts, tableHead)
	failed := 0
	for n, a := range attacks {
		if !match.MatchString(a.name) {
			continue
		}
		folder := filepath.Join(dir, fmt.Sprint(n))
		a.http = !a.ops && (a.http || *byHTTP)
		outcome, err := a.try(ctx, built, folder, *lasts, 10*time.Second)
		if err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		fmt.Print(outcome)
		if len(outcome.wrong) > 0 {
			failed++
		}
		os.RemoveAll(folder)
	}
	if failed > 0 {
		return fmt.Errorf("%d attacks did harm", failed)
	}
	return nil
}

// outcome is what became of an attack.
type outcome struct {
	attack
	answers string
	honest  honestResults
	notices string
	logged  int // bytes

	before, highest, after, bound int64
	goroutines, left              int // before, and at the end
	boundFlags                    string
	wrong                         []string
}

const tableHead = "attack | what was sent | answered with | honest calls ok | p50 / p99 | memory before / highest / after / bound | goroutines before / left | flags of the bound | logged | pass\n"

func (o outcome) String() string {
	pass := "yes"
	text := ""
	if len(o.wrong) > 0 {
		pass = "NO"
		for _, w := range o.wrong {
			text += "    " + w + "\n"
		}
	}
	return fmt.Sprintf("%s | %s | %s | %d of %d, %.2f %% | %s / %s | %d / %d / %d / %d | %d / %d | %s | %s (%d KiB) | %s\n%s",
		o.name, o.sends, o.answers, o.honest.OK, o.honest.Calls, o.honest.share(),
		o.honest.P50.Round(100*time.Microsecond), o.honest.P99.Round(time.Millisecond),
		o.before/mib, o.highest/mib, o.after/mib, o.bound/mib, o.goroutines, o.left, o.boundFlags, o.notices, o.logged>>10, pass, text)
}

// try starts a server of its own, attacks it beside honest traffic, and measures. patience
// is how long an honest caller waits for an answer.
func (a attack) try(ctx context.Context, built programs, dir string, lasts, patience time.Duration) (o outcome, err error) {
	o.attack = a
	if err := os.Mkdir(dir, 0o755); err != nil {
		return o, err
	}
	flags, ca := append(slices.Clone(a.flags), "--http-addr=127.0.0.1:0", "--ops-addr=127.0.0.1:0"), ""
	if a.encrypt {
		if ca, err = writeCertificate(dir); err != nil {
			return o, err
		}
		flags = append(slices.Clone(flags), "--tls-cert=cert.pem", "--tls-key=key.pem")
	}
	key, honestKey := "", ""
	if a.keys {
		flags = append(slices.Clone(flags), "--keys=api-keys")
		key, err = addKey(ctx, built.server, dir, "attacker")
		if err == nil {
			honestKey, err = addKey(ctx, built.server, dir, "honest", "--tails")
		}
		if err != nil {
			return o, err
		}
	}
	f, err := readFigures(ctx, built.server, flags)
	if err != nil {
		return o, err
	}
	s, err := startServer(ctx, built.server, dir, flags...)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	attacked := s.addr
	switch {
	case a.http:
		attacked = s.http
	case a.ops:
		attacked = s.ops
	}
	t := &target{addr: attacked, figures: f, encrypt: a.encrypt, key: key, answers: map[string]int{}}
	if err := t.store(ctx, a.stored); err != nil {
		return o, err
	}
	honest, err := startHonest(ctx, built.honest, s, ca, honestKey, patience)
	if err != nil {
		return o, err
	}
	sleep(ctx, time.Second)
	if o.before, err = s.memory("VmRSS"); err != nil {
		return o, err
	}
	if o.goroutines, err = s.goroutines(ctx); err != nil {
		return o, err
	}
	if err := s.forgetHighest(); err != nil {
		return o, err
	}
	attacking, stop := context.WithTimeout(ctx, lasts)
	a.run(attacking, t)
	stop()
	sleep(ctx, time.Second)
	if o.honest, err = honest.end(); err != nil {
		return o, err
	}
	if o.highest, err = s.memory("VmHWM"); err != nil {
		return o, err
	}
	if o.after, err = s.memory("VmRSS"); err != nil {
		return o, err
	}
	if o.left, err = s.awaitGoroutines(ctx, o.goroutines+fewGoroutines); err != nil {
		return o, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	o.answers, o.notices = counted(t.answers), s.notices()
	o.logged = s.logged()
	o.bound, o.boundFlags = bound(a.bound, f)
	o.judge(t.answers, s.panicked())
	return o, ctx.Err()
}

// judge finds what is wrong.
func (o *outcome) judge(answers map[string]int, panicked bool) {
	if o.honest.share() < enough {
		o.wrong = append(o.wrong, fmt.Sprintf("only %.2f %% of the honest calls succeeded: %s", o.honest.share(), counted(o.honest.Errors)))
	}
	if o.highest > o.bound {
		o.wrong = append(o.wrong, fmt.Sprintf("the server took %d MiB, and %s allow %d", o.highest/mib, o.boundFlags, o.bound/mib))
	}
	if o.left > o.goroutines+fewGoroutines {
		o.wrong = append(o.wrong, fmt.Sprintf("the server had %d goroutines before, with the honest callers, and has %d after they have left", o.goroutines, o.left))
	}
	if panicked {
		o.wrong = append(o.wrong, "the log has a panic")
	}
	if o.logged > mostLogged {
		o.wrong = append(o.wrong, fmt.Sprintf("the server logged %d KiB", o.logged>>10))
	}
	for _, never := range o.never {
		if answers[never] > 0 {
			o.wrong = append(o.wrong, "attackers were answered with "+never)
		}
	}
	for _, want := range o.wants {
		if answers[want] == 0 {
			o.wrong = append(o.wrong, "no attacker was answered with "+want)
		}
	}
}

//go:build unix

// Command rotate replaces the certificates and the API key of a generated server and of
// its callers while they call, the way Kubernetes replaces them, and then puts wrong files in their
// place. For each step it prints how long it took until it was in effect, or what was
// kept, and how many calls there were meanwhile.
//
// It fails if a call fails, or if a step takes more than a second.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// goal is how long it may take until files that were replaced are in effect.
const goal = time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "rotate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("rotate", flag.ContinueOnError)
	rounds := flags.Int("rounds", 10, "`how often` all certificates and keys are replaced")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rotate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	built, err := buildModule(ctx, dir)
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d cores, %d rotations\n\n", runtime.Version(), runtime.NumCPU(), *rounds)
	results, err := rotate(ctx, built, dir, *rounds, os.Stdout)
	if err != nil {
		return err
	}
	calls, slow := 0, 0
	var failed []string
	for _, r := range results {
		calls += r.calls
		failed = append(failed, r.failed...)
		if r.took > goal {
			slow++
		}
	}
	fmt.Printf("\n%d calls, %d failed\n", calls, len(failed))
	switch {
	case len(failed) > 0:
		return fmt.Errorf("calls failed, the first with: %s", failed[0])
	case slow > 0:
		return fmt.Errorf("%d steps took more than %s", slow, goal)
	}
	return nil
}

// result is what came of a step.
type result struct {
	step   string
	took   time.Duration // until it was in effect; 0 if it was not to be
	kept   string        // what was kept instead
	calls  int           // meanwhile
	failed []string      // of them, why
}

func (r result) String() string {
	effect := r.took.Round(time.Millisecond).String()
	if r.kept != "" {
		effect = "refused, " + r.kept + " is kept"
	}
	return fmt.Sprintf("%-34s | %-28s | %6d calls | %d failed", r.step, effect, r.calls, len(r.failed))
}

// rotate starts a server and callers in dir, does all steps, and prints each.
func rotate(ctx context.Context, built programs, dir string, rounds int, to io.Writer) (results []result, err error) {
	s, err := begin(ctx, built, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.callers.end(), s.server.stop()) }()
	var steps []step
	for n := 1; n <= rounds; n++ {
		steps = append(steps, rotation(n, false)...)
		steps = append(steps, newKey(n)...)
	}
	steps = append(steps, wrong()...)
	steps = append(steps, rotation(rounds+1, true)...)
	calls, failed := s.callers.now()
	for _, step := range steps {
		r := result{step: step.name}
		if r.took, r.kept, err = step.do(s); err != nil {
			_, failed := s.callers.now()
			return results, fmt.Errorf("%s: %w\nfailed calls: %q\n%s", step.name, err, failed, s.server.text())
		}
		nowCalls, nowFailed := s.callers.now()
		r.calls, r.failed = nowCalls-calls, nowFailed[len(failed):]
		calls, failed = nowCalls, nowFailed
		fmt.Fprintln(to, r)
		results = append(results, r)
	}
	return results, nil
}

// begin starts a server and callers that trust each other.
func begin(ctx context.Context, built programs, dir string) (*stage, error) {
	s := &stage{name: "server-0"}
	var err error
	if s.ca, err = newAuthority("CA 0"); err != nil {
		return nil, err
	}
	s.keys = keys{built.server, filepath.Join(dir, "api-keys")}
	key, err := s.keys.add("key-0")
	if err != nil {
		return nil, err
	}
	hashed, err := os.ReadFile(s.keys.file)
	if err != nil {
		return nil, err
	}
	own, err := s.ca.issue(s.name)
	if err != nil {
		return nil, err
	}
	s.served, err = newVolume(filepath.Join(dir, "server"), map[string][]byte{"tls.crt": own.cert, "tls.key": own.key, "ca.crt": s.ca.pem, "api-keys": hashed})
	if err != nil {
		return nil, err
	}
	if own, err = s.ca.issue("caller"); err != nil {
		return nil, err
	}
	s.called, err = newVolume(filepath.Join(dir, "caller"), map[string][]byte{"tls.crt": own.cert, "tls.key": own.key, "ca.crt": s.ca.pem, "api.key": key})
	if err != nil {
		return nil, err
	}
	// Connections end soon, so that those that last meet the new certificates, too.
	s.server, err = startServer(ctx, built.server, dir, "--tls-cert", s.served.path("tls.crt"), "--tls-key", s.served.path("tls.key"),
		"--tls-client-ca", s.served.path("ca.crt"), "--keys", s.served.path("api-keys"), "--max-connection-age", "3s")
	if err != nil {
		return nil, err
	}
	s.callers, err = startCallers(ctx, built.caller, s.server.addr, s.called.dir)
	if err != nil {
		return nil, errors.Join(err, s.server.stop())
	}
	err = waitFor("calls", func() bool { calls, failed := s.callers.now(); return calls > 100 || len(failed) > 0 })
	if err != nil {
		return nil, errors.Join(err, s.callers.end(), s.server.stop())
	}
	return s, nil
}

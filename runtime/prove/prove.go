// Package prove proves what a server promises, with its own main and handlers: an event
// that it has acknowledged is in its log, once, byte for byte, whatever happens to it.
//
// [Test] runs the server in a process of its own, under load on all RPCs that take events.
// It kills that process many times, makes its log slow, fills its disk, and starts it
// again. Callers send again, under the same id, what was not acknowledged. In the end the
// log must have each event that was acknowledged, and none twice.
//
// A killed process loses what it had not written yet, and nothing else. That written
// events outlast a loss of power is up to the log, which syncs them.
package prove

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
)

var (
	kills   = flag.Int("prove.kills", 20, "how `often` the server is killed")
	lasts   = flag.Duration("prove.lasts", 40*time.Second, "how `long` it is under load, in all")
	callers = flag.Int("prove.callers", 64, "how many `callers` it has at once")
	args    = flag.String("prove.args", "", "`arguments` without which it does not start, with spaces between them")
	headers = flag.String("prove.metadata", "", "`metadata` that its callers must send, such as \"authorization: Bearer x, tenant: a\"")
)

// settings are what the flags say.
type settings struct {
	kills, callers int
	lasts          time.Duration
	args           []string
	headers        []string // names and values in turn
	print          func(format string, args ...any)
}

// Test proves the promise for the server program of that name, such as "receiver-server".
// run is the function of its main that runs it with arguments until a context ends. The
// test binary starts itself again as that server: then Test runs it, and does not return.
//
// The flags -prove.kills, -prove.lasts, -prove.callers, -prove.args and -prove.metadata
// change what it does.
func Test(t *testing.T, program string, run func(ctx context.Context, args []string) error) {
	serveIfChild(run)
	s := settings{kills: *kills, callers: *callers, lasts: *lasts, args: strings.Fields(*args), headers: parse(*headers),
		print: func(format string, args ...any) { fmt.Fprintf(t.Output(), format+"\n", args...) }}
	for _, failure := range prove(t, program, s) {
		t.Error(failure)
	}
}

// parse reads names and values from "a: b, c: d".
func parse(headers string) (pairs []string) {
	for header := range strings.SplitSeq(headers, ",") {
		if name, value, ok := strings.Cut(header, ":"); ok {
			pairs = append(pairs, strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	return pairs
}

// What may take how long.
const (
	startTime = 30 * time.Second // the server, until it listens, and until it has ended
	callTime  = 10 * time.Second // a call
	ackTime   = 20 * time.Second // until an event is acknowledged, after a start or once the disk has room
	slowSync  = 25 * time.Millisecond
	fullTime  = 300 * time.Millisecond
	mostSent  = 500_000 // events, so that the log and what is known of them stay small
)

// prove proves the promise, or returns what is wrong.
func prove(t *testing.T, program string, s settings) (failures []string) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.db")
	starts := starter{test: t.Name(), program: program, dir: dir, args: s.args}
	ctx := metadata.AppendToOutgoingContext(context.Background(), s.headers...)

	server, err := starts.start("sqlite:" + path)
	if err != nil {
		t.Fatalf("the server does not start: %v", err)
	}
	defer func() { server.kill() }()
	all, failures := newRPCs(server.served)
	load := newLoad(ctx, all)
	failures = append(failures, load.first(server, s.print)...)
	switch {
	case len(failures) > 0:
		return failures
	case !slices.ContainsFunc(all, func(r *rpc) bool { return !r.unimplemented }):
		t.Skip("the server has no RPC that takes events")
	}
	if _, err := os.Stat(path); err != nil {
		return []string{"events were acknowledged, and there is no log at the URL of --events: does main open the log that --events names?"}
	}

	load.start(s.callers)
	defer load.abandon()
	for kill := 1; kill <= s.kills; kill++ {
		slow, full, fullAtKill := kill%2 == 0, kill%4 == 3 && canFill, kill%8 == 7
		if kill > 1 {
			url := "sqlite:" + path
			if slow {
				url = slowURL(path)
			}
			if server, err = starts.start(url); err != nil {
				return append(failures, fmt.Sprintf("the server does not start again after kill %d: %v", kill-1, err))
			}
		}
		load.use(server, kill)
		wrong := []string{load.run(server, jitter(s.lasts/time.Duration(s.kills)), mostSent/s.kills)}
		with := ""
		switch {
		case slow:
			with = fmt.Sprintf(", appends were slowed by %s", slowSync)
		case full && fullAtKill:
			with = ", the disk was full"
		case full:
			with = ", the disk was full before"
		}
		if full {
			wrong = append(wrong, load.fill(server, fullAtKill))
		}
		if err := server.endedEarly(); err != nil {
			wrong = append(wrong, fmt.Sprintf("the server ended by itself before kill %d: %v", kill, err))
		}
		load.pause()
		server.kill()
		failures = append(failures, slices.DeleteFunc(wrong, func(why string) bool { return why == "" })...)
		s.print("kill %d%s: %s events acknowledged so far", kill, with, thousands(load.acknowledged()))
	}

	if server, err = starts.start("sqlite:" + path); err != nil {
		return append(failures, fmt.Sprintf("the server does not start again after kill %d: %v", s.kills, err))
	}
	load.use(server, s.kills+1)
	load.finish()
	if err := server.stop(); err != nil {
		failures = append(failures, fmt.Sprintf("the server does not end when its context does: %v", err))
	}
	if !canFill {
		s.print("its disk was not filled: that needs Linux")
	}
	return append(failures, load.judge(t, path, s)...)
}

// judge reads the log.
func (l *load) judge(t *testing.T, path string, s settings) []string {
	log, err := eventlog.OpenReader(t.Context(), "sqlite:"+path)
	if err != nil {
		return []string{fmt.Sprintf("the log can't be read: %v", err)}
	}
	defer func() { _ = log.Close() }()
	verdict := newVerdict(l)
	for record, err := range log.Read(t.Context(), eventlog.From{}) {
		if err != nil {
			return []string{fmt.Sprintf("the log can't be read: %v", err)}
		}
		verdict.found(&record)
	}
	failures := verdict.failures()
	verdict.print(s)
	if stats, err := log.Stats(t.Context()); err == nil {
		for _, consumer := range stats.Consumers {
			s.print("consumer %s: %s events to go, %s dead letters", consumer.Name, thousands(int(consumer.Lag)), thousands(int(consumer.Dead)))
		}
	}
	return failures
}

// jitter returns a duration of about d.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d+1) }

// thousands returns a number with commas.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

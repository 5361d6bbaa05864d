// Package prove proves what a server promises, with its own main and handlers: an event
// that it has acknowledged is in its log, once, byte for byte.
//
// [Test] runs the server in a process of its own, under load on all RPCs that take events.
// It kills that process many times, has its log wait before each append, fills its disk,
// and starts it again. Callers send again, under the same id, what was not acknowledged.
//
// A killed process loses what it has not written yet, and nothing else. That what is
// written outlasts a loss of power is up to the log, which syncs it.
package prove

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
)

var (
	kills   = flag.Int("prove.kills", 20, "how `often` the server is killed")
	lasts   = flag.Duration("prove.lasts", 40*time.Second, "how `long` it is under load")
	callers = flag.Int("prove.callers", 64, "how many `callers` it has at once, at least two for each RPC")
	headers = flag.String("prove.metadata", "", "`metadata` that callers must send, such as \"authorization: Bearer x, tenant: a\"")
)

// settings are what the flags say.
type settings struct {
	kills, callers int
	lasts          time.Duration
	patience       time.Duration // within which calls are acknowledged again
	metadata       metadata.MD
	print          func(format string, args ...any)
}

// Test proves the promise for the server program of a name, such as "receiver-server". run
// is the function of its main that runs it, with arguments and until a context ends. The
// test binary starts itself again as the server: then Test runs it, and does not return.
func Test(t *testing.T, program string, run func(ctx context.Context, args []string) error) {
	serveIfChild(run, flag.Args())
	s := settings{kills: *kills, callers: *callers, lasts: *lasts, patience: 20 * time.Second, metadata: parseMetadata(*headers),
		print: func(format string, args ...any) { fmt.Fprintf(t.Output(), format+"\n", args...) }}
	for _, failure := range s.prove(t, program) {
		t.Error(failure)
	}
}

// parseMetadata reads what is in the form "name: value, name: value".
func parseMetadata(headers string) metadata.MD {
	parsed := metadata.MD{}
	for header := range strings.SplitSeq(headers, ",") {
		if name, value, ok := strings.Cut(header, ":"); ok {
			parsed.Append(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	return parsed
}

const (
	startTime = 30 * time.Second       // how long a server may take to begin, and to end
	callTime  = 10 * time.Second       // how long a call may take
	slowSync  = 25 * time.Millisecond  // how long a slow log waits before each append
	fullTime  = 300 * time.Millisecond // how long the disk is full
	mostSent  = 500_000                // how many events are sent at most, so that the log and what is known of it stay small
)

// prove returns what breaks the promise.
func (s settings) prove(t *testing.T, program string) (failures []string) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.db")
	server, err := start(t.Name(), program, dir, "sqlite:"+path)
	if err != nil {
		return []string{fmt.Sprintf("the server does not start: %v", err)}
	}
	defer func() { server.kill() }()
	l, failures := s.newLoad(server)
	if failures != nil {
		return failures
	}
	if len(l.rpcs) == 0 {
		t.Skip("the server has no RPC that takes events")
	}
	if _, err := os.Stat(path); err != nil {
		return []string{"events are acknowledged, but there is no log: does main open the one that --events names?"}
	}
	for kill := 1; kill <= s.kills; kill++ {
		failures = append(failures, s.round(l, server, kill)...)
		l.noteKill()
		server.kill()
		l.group.Wait()
		url := "sqlite:" + path
		if isSlow(kill + 1) {
			url = slowScheme + ":" + path
		}
		if server, err = start(t.Name(), program, dir, url); err != nil {
			return append(failures, fmt.Sprintf("the server does not start after kill %d: %v", kill, err))
		}
	}
	l.finish(server, s.patience)
	if err := server.stop(); err != nil {
		failures = append(failures, fmt.Sprintf("the server does not end when its context does: %v", err))
	}
	if !canFill {
		s.print("its disk was not filled: that needs Linux")
	}
	log, err := eventlog.OpenReader(t.Context(), "sqlite:"+path)
	if err != nil {
		return append(failures, fmt.Sprintf("the log can't be read: %v", err))
	}
	defer log.Close()
	return append(failures, l.judge(t.Context(), log, s.print)...)
}

// newLoad tries the RPCs that take events, or returns what is wrong with them.
func (s settings) newLoad(server *process) (l *load, failures []string) {
	l = &load{ctx: metadata.NewOutgoingContext(context.Background(), s.metadata), begin: time.Now(), news: make(chan struct{}, 1)}
	for _, takes := range server.RPCs {
		r, err := newRPC(takes)
		if err != nil {
			return nil, []string{fmt.Sprintf("%s.%s: %v", takes.Service, takes.Method, err)}
		}
		l.rpcs = append(l.rpcs, r)
	}
	failures = l.try(server, s.print)
	l.pending = make([]*call, max(s.callers, 2*len(l.rpcs)))
	return l, failures
}

// isSlow reports whether the log waits before each append in the round before a kill.
func isSlow(kill int) bool { return kill%2 == 0 }

// round has a server under load, until it is to be killed. It returns what is wrong.
func (s settings) round(l *load, server *process, kill int) (wrong []string) {
	l.start(server, true)
	note := func(what string) {
		if what != "" {
			wrong = append(wrong, what)
		}
	}
	note(l.progress(server, s.patience, fmt.Sprintf("a start, and %d kills", kill-1)))
	share, most := s.lasts/time.Duration(s.kills), mostSent*kill/s.kills
	l.until(share/2+rand.N(share), server, func() bool { return l.acknowledged >= most })
	how := ""
	switch forGood := kill%8 == 7; {
	case isSlow(kill):
		how = fmt.Sprintf(", each append delayed by %s", slowSync)
	case kill%4 == 3 && canFill && wrong == nil:
		note(l.fill(server, forGood, s.patience))
		if how = ", with a disk that was full"; forGood {
			how = ", with a full disk"
		}
	}
	if err := server.endedEarly(); err != nil {
		note(fmt.Sprintf("the server ended by itself, after %d kills: %v", kill-1, err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.print("kill %d%s: %s events acknowledged so far", kill, how, thousands(l.acknowledged))
	return wrong
}

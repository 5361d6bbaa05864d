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
	s := settings{kills: *kills, callers: *callers, lasts: *lasts, patience: 20 * time.Second, metadata: metadata.MD{},
		print: func(format string, args ...any) { fmt.Fprintf(t.Output(), format+"\n", args...) }}
	for header := range strings.SplitSeq(*headers, ",") {
		if name, value, ok := strings.Cut(header, ":"); ok {
			s.metadata.Append(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	for _, failure := range s.prove(t, program) {
		t.Error(failure)
	}
}

const (
	startTime = 30 * time.Second // a server may take to begin, and to end
	callTime  = 10 * time.Second // a call
	slowSync  = 25 * time.Millisecond
	fullTime  = 300 * time.Millisecond
	mostSent  = 500_000 // events, so that the log and what is known of it stay small
)

// prove returns what breaks the promise.
func (s settings) prove(t *testing.T, program string) (failures []string) {
	path := filepath.Join(t.TempDir(), "events.db")
	var l *load
	for kill := 1; ; kill++ {
		url, how := "sqlite:"+path, ""
		if kill%2 == 0 {
			url, how = slowScheme+":"+path, fmt.Sprintf(", each append %s later", slowSync)
		}
		server, err := start(t.Name(), program, url)
		if err != nil {
			return append(failures, fmt.Sprintf("the server does not start, after %d kills: %v", kill-1, err))
		}
		defer server.kill()
		if kill == 1 {
			var wrong []string
			if l, wrong = s.begin(t, server); wrong != nil {
				return wrong
			}
			if _, err := os.Stat(path); err != nil {
				return []string{"events are acknowledged, and there is no log: does main open the one that --events names?"}
			}
			defer l.finish(0)
		}
		l.use(server)
		if kill > s.kills {
			l.finish(s.patience)
			if err := server.stop(); err != nil {
				failures = append(failures, fmt.Sprintf("the server does not end when its context does: %v", err))
			}
			break
		}
		why := l.progresses(server, s.patience, "the server was started")
		most := l.received + mostSent/s.kills
		l.until(s.lasts/time.Duration(2*s.kills)+rand.N(s.lasts/time.Duration(s.kills)), server, func() bool { return l.received >= most })
		if why == "" && kill%4 == 3 && canFill {
			how = ", with a full disk"
			if l.fill(server, kill%8 == 7); kill%8 != 7 {
				how = ", with a disk that was full"
				if why = l.progresses(server, s.patience, "the disk was full, and had room again"); why != "" {
					why += ". Is a lock kept after an error?"
				}
			}
		}
		if err := server.endedEarly(); err != nil {
			why = fmt.Sprintf("the server ended by itself, after %d kills: %v", kill-1, err)
		}
		if why != "" {
			failures = append(failures, why)
		}
		l.use(nil)
		server.kill()
		s.print("kill %d%s: %s events acknowledged so far", kill, how, thousands(l.received))
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

// begin begins to call a server, or returns what is wrong with it.
func (s settings) begin(t *testing.T, server *process) (*load, []string) {
	var rpcs []*rpc
	for _, takes := range server.RPCs {
		r, err := newRPC(takes)
		if err != nil {
			return nil, []string{fmt.Sprintf("%s.%s: %v", takes.Service, takes.Method, err)}
		}
		rpcs = append(rpcs, r)
	}
	l := newLoad(metadata.NewOutgoingContext(context.Background(), s.metadata), rpcs)
	if failures := l.try(server, s.print); failures != nil {
		return nil, failures
	}
	if len(l.rpcs) == 0 {
		t.Skip("the server has no RPC that takes events")
	}
	for i := range max(s.callers, 2*len(l.rpcs)) {
		l.group.Go(func() { l.caller(i % len(l.rpcs)) })
	}
	return l, nil
}

//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindsclient"
)

// scene is a load on two servers while they are restarted.
type scene struct {
	name  string
	delay time.Duration // --drain-delay
	flags []string      // others
	pause time.Duration // before each restart
}

// result is what the callers of a scene saw.
type result struct {
	calls   int
	failed  []error
	slowest time.Duration // call
	exit    time.Duration // the longest time that a server took
}

// play plays a scene: it restarts the servers in turn, each once the other gets calls
// again.
func (s scene) play(ctx context.Context, program, dir string, callers, restarts int) (result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all []*process
	var addrs []string
	for i := range 2 {
		name := fmt.Sprintf("%s %d", filepath.Base(s.name), i)
		p, err := newProcess(program, dir, name, append(s.flags, "--drain-delay", s.delay.String())...)
		if err != nil {
			return result{}, err
		}
		defer p.kill()
		all, addrs = append(all, p), append(addrs, p.addr)
	}
	if err := startAll(ctx, all); err != nil {
		return result{}, err
	}
	client, err := kindsclient.Dial(ctx, strings.Join(addrs, ","))
	if err != nil {
		return result{}, err
	}
	defer client.Close()
	load := begin(client, callers)
	for i := range restarts {
		stopped, other := all[i%2], all[(i+1)%2]
		if err := load.reaches(ctx, other.addr); err != nil {
			return load.end(), err
		}
		time.Sleep(s.pause)
		took, err := stopped.stop()
		if err != nil {
			return load.end(), fmt.Errorf("restart %d: the server's exit: %w", i, err)
		}
		load.exited(took)
		if err := stopped.start(ctx); err != nil {
			return load.end(), err
		}
	}
	return load.end(), nil
}

// load is what callers do, each one call after the other, and what comes of it.
type load struct {
	stop    chan struct{}
	callers sync.WaitGroup

	mu     sync.Mutex
	result result
	by     map[string]int // answers, by the address of the server
}

// begin begins a load.
func begin(client *kindsclient.Client, callers int) *load {
	l := &load{stop: make(chan struct{}), by: map[string]int{}}
	for caller := range callers {
		l.callers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-l.stop:
					return
				default:
				}
				var from peer.Peer
				begin := time.Now()
				err := call(client, caller, i, grpc.Peer(&from))
				l.note(time.Since(begin), from, err)
			}
		})
	}
	return l
}

// call makes a call. Every second one is of an RPC that is never tried again, as the
// client knows nothing of it: its implementation is still to be written. The client gives
// each a deadline of 30 seconds.
func call(client *kindsclient.Client, caller, i int, options ...grpc.CallOption) error {
	ctx := context.Background()
	if i%2 == 0 {
		_, err := client.Intake().One(ctx, &kindspb.ClickEvent{Type: "click", UserId: fmt.Sprint(caller)}, options...)
		return err
	}
	_, err := client.Other().Unary(ctx, &kindspb.Reply{}, options...)
	if status.Code(err) == codes.Unimplemented {
		return nil
	}
	return errors.Join(errors.New("an RPC that is not implemented"), err)
}

func (l *load) note(took time.Duration, from peer.Peer, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.calls++
	l.result.slowest = max(l.result.slowest, took)
	if err != nil {
		l.result.failed = append(l.result.failed, err)
	} else if from.Addr != nil {
		l.by[from.Addr.String()]++
	}
}

func (l *load) exited(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.exit = max(l.result.exit, took)
}

// reaches waits until a server gets calls: some more than it has had.
func (l *load) reaches(ctx context.Context, addr string) error {
	answers := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.by[addr]
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for before := answers(); answers() < before+10; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("no calls reach %s: %w", addr, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// end ends a load, and returns what came of it.
func (l *load) end() result {
	close(l.stop)
	l.callers.Wait()
	return l.result
}

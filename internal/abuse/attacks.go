//go:build linux

package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// attack is something that strangers do to a server.
type attack struct {
	name, sends string
	flags       []string // of the server, beside its defaults
	encrypt     bool
	http        bool // attacks the port for HTTP
	ops         bool // attacks the ops port
	stored      int  // events of 1 MiB that the log has before
	bound       []term
	keys        bool // the server wants API keys
	// wants are answers that the attackers must have seen, and never those that they must
	// not have.
	wants, never []string
	// run attacks until ctx ends.
	run func(ctx context.Context, t *target)
}

// swarm runs attackers at the same time until ctx ends. One that has returned, such as
// for a connection that the server has closed, begins again after a pause.
func swarm(ctx context.Context, attackers int, pause time.Duration, attack func(ctx context.Context, n int) error) {
	var all sync.WaitGroup
	for n := range attackers {
		all.Go(func() {
			for ctx.Err() == nil {
				within, cancel := context.WithCancel(ctx)
				_ = attack(within, n) // the answers are what counts
				cancel()
				sleep(ctx, pause)
			}
		})
	}
	all.Wait()
}

// sleep waits, and reports whether ctx goes on.
func sleep(ctx context.Context, pause time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

// whole sends whole requests on a connection from each of some addresses, many at the
// same time.
func whole(addresses, atOnce int, method string, framed func() []byte, more ...[2]string) func(context.Context, *target) {
	return func(ctx context.Context, t *target) {
		request := framed()
		swarm(ctx, addresses, 100*time.Millisecond, func(ctx context.Context, n int) error {
			p, err := t.peer(ctx, n)
			if err != nil {
				return err
			}
			var callers sync.WaitGroup
			for range atOnce {
				callers.Go(func() {
					for ctx.Err() == nil && !p.gone() {
						before := p.under()
						if err := p.callFramed(method, request, more...); err != nil {
							return
						}
						if p.under() > before+atOnce {
							return
						}
						_ = p.await(func() bool { return len(p.window)-1 < atOnce || ctx.Err() != nil })
						if !sleep(ctx, 5*time.Millisecond) {
							return
						}
					}
				})
			}
			callers.Wait()
			return nil
		})
	}
}

// uploads begins calls of an RPC from some addresses, and lets each do something.
func (t *target) uploads(ctx context.Context, from, streams int, method string, settings []http2.Setting, begin func(p *peer, stream uint32) error) (*peer, []uint32, error) {
	p, err := t.peer(ctx, from, settings...)
	if err != nil {
		return nil, nil, err
	}
	var open []uint32
	for range streams {
		stream, err := p.open(method)
		if err != nil {
			return nil, nil, err
		}
		if begin != nil {
			if err := begin(p, stream); err != nil {
				return nil, nil, err
			}
		}
		open = append(open, stream)
	}
	return p, open, nil
}

func asStreamError(err error, into *http2.StreamError) bool { return errors.As(err, into) }

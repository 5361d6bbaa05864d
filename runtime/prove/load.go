package prove

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// load is what callers send to a server, and what they know of it.
type load struct {
	ctx    context.Context
	cancel context.CancelFunc
	rpcs   []*rpc
	begin  time.Time
	group  sync.WaitGroup
	news   chan struct{} // receives after an acknowledgement

	mu       sync.Mutex
	changed  sync.Cond // of mu: one of the next two has
	server   *process  // nil while there is none
	ending   bool      // no more calls begin
	full     bool      // the disk of the server is
	kills    []time.Duration
	sent     []sent
	received int // how many of them are acknowledged
}

// sent is an event that was sent. Its number is its index.
type sent struct {
	hash         uint64        // of its bytes
	acknowledged time.Duration // when, since the load began; 0 if it was not
	position     int64         // where it was found in the log first; 0 for nowhere
	kill         uint16        // that came next after it was acknowledged
	rpc, inCall  uint16        // its RPC, and which of the events of its call it is
	full, again  bool          // acknowledged with a full disk; sent more than once
	repeated     bool          // found more than once
}

func newLoad(ctx context.Context, rpcs []*rpc) *load {
	l := &load{rpcs: rpcs, begin: time.Now(), news: make(chan struct{}, 1)}
	l.ctx, l.cancel = context.WithCancel(ctx)
	l.changed.L = &l.mu
	return l
}

// newCall makes a call of an RPC, and notes its events.
func (l *load) newCall(rpc int) *call {
	c := l.rpcs[rpc].newCall()
	l.mu.Lock()
	first := len(l.sent)
	for i := range c.events {
		l.sent = append(l.sent, sent{rpc: uint16(rpc), inCall: uint16(i)})
	}
	l.mu.Unlock()
	hashes := c.number(first)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, hash := range hashes {
		l.sent[first+i].hash = hash
	}
	return c
}

func (l *load) acknowledge(first, events int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := first; i < first+events; i++ {
		if event := &l.sent[i]; event.acknowledged == 0 {
			event.acknowledged, event.kill, event.full = time.Since(l.begin), uint16(len(l.kills)+1), l.full
			l.rpcs[event.rpc].acknowledged++
			l.received++
		}
	}
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// isFinal reports whether it is no use to make a call again.
func isFinal(err error) bool {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied, codes.Unauthenticated,
		codes.FailedPrecondition, codes.OutOfRange, codes.Unimplemented:
		return true
	}
	return false
}

// try calls each RPC once. It leaves out those that are not implemented, and returns why
// others do not acknowledge events.
func (l *load) try(server *process, print func(string, ...any)) (failures []string) {
	var implemented []*rpc
	for _, r := range l.rpcs {
		l.rpcs = append(implemented, r)
		err := l.newCall(len(implemented)).send(l.ctx, server.conn, l.acknowledge)
		switch {
		case status.Code(err) == codes.Unimplemented:
			print("%s is not implemented, and left out", r.name)
			continue
		case isFinal(err):
			failures = append(failures, fmt.Sprintf("%s refuses its first request: %v. Say in %s what it accepts, and with -prove.metadata what callers must send", r.name, err, r.file))
		case err != nil:
			failures = append(failures, fmt.Sprintf("%s does not acknowledge its first request: %v", r.name, err))
		}
		implemented = append(implemented, r)
	}
	l.rpcs = implemented
	return failures
}

// caller makes calls of an RPC, one after the other, each until it is acknowledged.
func (l *load) caller(rpc int) {
	r := l.rpcs[rpc]
	for l.next(true) != nil {
		c := l.newCall(rpc)
		for {
			server := l.next(false)
			if server == nil {
				return
			}
			err := c.send(l.ctx, server.conn, l.acknowledge)
			if err == nil {
				break
			}
			l.mu.Lock()
			if isFinal(err) {
				r.refused, r.refusal = r.refused+1, err
				l.mu.Unlock()
				break
			}
			r.failed, r.failure = r.failed+1, err
			for i := range c.events {
				l.sent[c.first+i].again = true
			}
			l.mu.Unlock()
			select {
			case <-server.ended:
			case <-time.After(10 * time.Millisecond): // a server that is busy, or has no room
			}
		}
	}
}

// next waits for a server to call. It returns nil if there will be none, or if a new call
// is to be made, and no more of them begin.
func (l *load) next(begins bool) *process {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.server == nil && l.ctx.Err() == nil && !(begins && l.ending) {
		l.changed.Wait()
	}
	if begins && l.ending {
		return nil
	}
	return l.server
}

// use has calls made to a server; or to none, before the present one is killed.
func (l *load) use(server *process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.server, l.full = server, false; server == nil {
		l.kills = append(l.kills, time.Since(l.begin))
	}
	l.changed.Broadcast()
}

// finish waits until the calls that were made are acknowledged, or ends them. None begins
// any longer.
func (l *load) finish(within time.Duration) {
	timeout := time.AfterFunc(within, func() {
		l.cancel()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.server = nil
		l.changed.Broadcast()
	})
	defer timeout.Stop()
	l.mu.Lock()
	l.ending = true
	l.changed.Broadcast()
	l.mu.Unlock()
	l.group.Wait()
}

// until waits until done, which it asks after each acknowledgement, and reports whether it
// was, within a time and before the server has ended.
func (l *load) until(within time.Duration, server *process, done func() bool) bool {
	isDone := func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return done()
	}
	for timeout := time.After(within); !isDone(); {
		select {
		case <-l.news:
		case <-server.ended:
			return false
		case <-timeout:
			return false
		}
	}
	return true
}

// progresses waits until each RPC has acknowledged another event. If one does not, it
// returns what is wrong.
func (l *load) progresses(server *process, within time.Duration, since string) string {
	var still *rpc
	before := make([]int, len(l.rpcs))
	all := l.until(within, server, func() bool {
		still = nil
		for i, r := range l.rpcs {
			if before[i] == 0 {
				before[i] = r.acknowledged
			}
			if r.acknowledged == before[i] && r.refused == 0 {
				still = r
			}
		}
		return still == nil
	})
	if all || server.endedEarly() != nil {
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("%s: no event is acknowledged within %s after %s; the last error of %d is: %v", still.name, within, since, still.failed, still.failure)
}

// fill fills the server's disk for a while, or for good.
func (l *load) fill(server *process, forGood bool) {
	l.mu.Lock()
	l.full = true
	l.mu.Unlock()
	server.order(fillUp)
	l.until(fullTime, server, func() bool { return false })
	if !forGood {
		server.order(makeRoom)
	}
}

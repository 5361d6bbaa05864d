package prove

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// load is what callers send to a server, one after the other, and what they know of it.
type load struct {
	ctx     context.Context // of all calls
	rpcs    []*rpc
	begin   time.Time
	group   sync.WaitGroup // of the callers
	pending []*call        // of each caller; nil if its last one is acknowledged
	news    chan struct{}  // receives after an acknowledgement

	mu           sync.Mutex
	kills        []time.Duration // when they were, since it began
	full         bool            // the disk of the server is
	sent         []sent
	acknowledged int // of those
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

// acknowledge notes that the server says that it has stored events.
func (l *load) acknowledge(first, events int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := first; i < first+events; i++ {
		if event := &l.sent[i]; event.acknowledged == 0 {
			event.acknowledged, event.kill, event.full = time.Since(l.begin), uint16(len(l.kills)+1), l.full
			l.rpcs[event.rpc].acknowledged++
			l.acknowledged++
		}
	}
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// isFinal reports whether a call would fail again.
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
	all := l.rpcs
	l.rpcs = nil
	for _, r := range all {
		l.rpcs = append(l.rpcs, r)
		last := len(l.rpcs) - 1
		err := l.newCall(last).send(l.ctx, server.conn, l.acknowledge)
		if isFinal(err) {
			r.short = true // its lists may have to be
			err = l.newCall(last).send(l.ctx, server.conn, l.acknowledge)
		}
		switch {
		case status.Code(err) == codes.Unimplemented:
			print("%s is not implemented, and left out", r.name)
			l.rpcs = l.rpcs[:last]
		case isFinal(err):
			failures = append(failures, fmt.Sprintf("%s refuses its first request: %v. Put one that it accepts into %s, or what callers must send beside it into -prove.metadata", r.name, err, r.file))
		case err != nil:
			failures = append(failures, fmt.Sprintf("%s does not acknowledge its first request: %v", r.name, err))
		}
	}
	return failures
}

// start lets callers call a server until it ends. Without more, they only make again the
// calls that are not acknowledged.
func (l *load) start(server *process, more bool) {
	for i := range l.pending {
		l.group.Go(func() { l.call(i, server, more) })
	}
}

func (l *load) call(caller int, server *process, more bool) {
	for more || l.pending[caller] != nil {
		c := l.pending[caller]
		if c == nil {
			c = l.newCall(caller % len(l.rpcs))
		}
		err := c.send(l.ctx, server.conn, l.acknowledge)
		if l.pending[caller] = l.again(c, err); l.pending[caller] == nil {
			continue
		}
		select {
		case <-server.ended:
			return
		case <-l.ctx.Done():
			return
		case <-time.After(10 * time.Millisecond): // the server is busy, or has no room
		}
	}
}

// again returns the call, if it must be made again after an error, and else nil.
func (l *load) again(c *call, err error) *call {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		return nil
	case isFinal(err):
		if c.rpc.refused++; status.Code(c.rpc.refusal) != codes.AlreadyExists {
			c.rpc.refusal = err
		}
		return nil
	}
	c.rpc.failed, c.rpc.failure = c.rpc.failed+1, err
	for i := range c.events {
		l.sent[c.first+i].again = true
	}
	return c
}

// noteKill notes that the server is killed now.
func (l *load) noteKill() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kills = append(l.kills, time.Since(l.begin))
	l.full = false // that of the next one
}

// finish waits until all calls are acknowledged, and ends those that are not in time.
func (l *load) finish(server *process, within time.Duration) {
	ctx, cancel := context.WithTimeout(l.ctx, within)
	defer cancel()
	l.ctx = ctx
	l.start(server, false)
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

// progress waits until each RPC has acknowledged another event. If one does not, it returns
// what is wrong.
func (l *load) progress(server *process, within time.Duration, since string) string {
	var still *rpc
	before := map[*rpc]int{}
	ok := l.until(within, server, func() bool {
		still = nil
		for _, r := range l.rpcs {
			if _, asked := before[r]; !asked {
				before[r] = r.acknowledged
			}
			if r.acknowledged == before[r] {
				still = r
			}
		}
		return still == nil
	})
	if ok || server.endedEarly() != nil {
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	wrong := fmt.Sprintf("%s: no event is acknowledged within %s after %s", still.name, within, since)
	if still.failed > 0 {
		wrong += fmt.Sprintf("; %d calls failed, the last one with: %v", still.failed, still.failure)
	}
	if still.refused > 0 {
		wrong += fmt.Sprintf("; %d calls were refused, one with: %v", still.refused, still.refusal)
	}
	return wrong
}

// fill fills the server's disk for a while, or for good. It returns what is wrong after it.
func (l *load) fill(server *process, forGood bool, within time.Duration) (wrong string) {
	set := func(full bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.full = full
	}
	set(true)
	server.order(fillUp)
	l.until(fullTime, server, func() bool { return false })
	if forGood {
		return ""
	}
	server.order(makeRoom)
	if wrong = l.progress(server, within, "its disk was full, and had room again"); wrong != "" {
		wrong += ". Is a lock kept after an error?"
	}
	set(false)
	return wrong
}

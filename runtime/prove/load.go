package prove

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
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
	full   atomic.Bool   // whether the disk of the server is full

	mu      sync.Mutex
	changed sync.Cond // of mu: one of the next three has
	server  *process  // nil while there is none
	ending  bool      // no more calls begin
	over    bool      // there will be no server
	kill    int       // the number of that which ends the server
	killed  []time.Duration
	sent    []sent
	count   int // of those that are acknowledged
}

// sent is an event that was sent. Its number is its index.
type sent struct {
	hash         uint64        // of its bytes
	acknowledged time.Duration // when, since the load began; 0 if it was not
	position     int64         // where it was found in the log first; 0 for nowhere
	rpc, inCall  uint16        // which RPC, and which of the events of its call
	kill         uint16        // that came next after it was acknowledged
	full         bool          // whether the disk was full when it was
	again        bool          // sent more than once
	repeated     bool          // found more than once
}

func newLoad(ctx context.Context, rpcs []*rpc) *load {
	l := &load{rpcs: rpcs, begin: time.Now(), news: make(chan struct{}, 1), kill: 1}
	l.ctx, l.cancel = context.WithCancel(ctx)
	l.changed.L = &l.mu
	return l
}

// newCall makes a call of an RPC, and notes its events.
func (l *load) newCall(rpc int) *call {
	c := l.rpcs[rpc].newCall()
	size := c.size()
	l.mu.Lock()
	first := len(l.sent)
	for i := range size {
		l.sent = append(l.sent, sent{rpc: uint16(rpc), inCall: uint16(i)})
	}
	l.mu.Unlock()
	hashes := make([]uint64, 0, size)
	c.number(first, func(hash uint64) { hashes = append(hashes, hash) })
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, hash := range hashes {
		l.sent[first+i].hash = hash
	}
	return c
}

// acknowledge notes that events are acknowledged.
func (l *load) acknowledge(first, events int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.sent[first : first+events] {
		if event := &l.sent[first+i]; event.acknowledged == 0 {
			event.acknowledged, event.kill, event.full = time.Since(l.begin), uint16(l.kill), l.full.Load()
			l.rpcs[event.rpc].acknowledged.Add(1)
			l.count++
		}
	}
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// acknowledged returns how many events are.
func (l *load) acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
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

// first calls each RPC once, and returns why calls were not acknowledged.
func (l *load) first(server *process, print func(string, ...any)) (failures []string) {
	for i, rpc := range l.rpcs {
		c := l.newCall(i)
		err := c.send(l.ctx, server.conn, l.acknowledge)
		switch {
		case err == nil:
		case status.Code(err) == codes.Unimplemented:
			rpc.unimplemented = true
			print("%s is not implemented, and left out", rpc.name())
		case isFinal(err) && rpc.from != "":
			failures = append(failures, fmt.Sprintf("%s refuses the request in %s: %v. Edit that file, or give what callers must send by -prove.metadata", rpc.name(), rpc.from, err))
		case isFinal(err):
			failures = append(failures, fmt.Sprintf("%s refuses a request with a value in every field: %v. Write one that it accepts, in protobuf's JSON, to testdata/%s.json beside the file that implements it, or give what callers must send by -prove.metadata",
				rpc.name(), err, strings.ToLower(rpc.Method)))
		default:
			failures = append(failures, fmt.Sprintf("%s does not acknowledge events, without a kill or a fault: %v", rpc.name(), err))
		}
	}
	return failures
}

// start begins to call the RPCs, at least two callers each.
func (l *load) start(callers int) {
	var called []int
	for i, rpc := range l.rpcs {
		if !rpc.unimplemented {
			called = append(called, i)
		}
	}
	for i := range max(callers, 2*len(called)) {
		l.group.Go(func() { l.caller(called[i%len(called)]) })
	}
}

// caller makes calls of an RPC, one after the other, each until it is acknowledged.
func (l *load) caller(rpc int) {
	for {
		if l.wait(true) == nil {
			return
		}
		c := l.newCall(rpc)
		for again := false; ; again = true {
			server := l.wait(false)
			if server == nil {
				return
			}
			if again {
				l.repeat(c)
			}
			err := c.send(l.ctx, server.conn, l.acknowledge)
			if err == nil {
				break
			}
			if isFinal(err) {
				l.rpcs[rpc].refused.add(err)
				if status.Code(err) == codes.AlreadyExists {
					l.rpcs[rpc].conflicts.add(fmt.Errorf("the call with the id %s: %w", idWith(c.first), err))
				}
				break
			}
			l.rpcs[rpc].failed.add(err)
			select {
			case <-server.ended:
			case <-time.After(10 * time.Millisecond): // a server that is busy, or has no room
			}
		}
	}
}

// repeat notes that a call is made again.
func (l *load) repeat(c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range c.size() {
		l.sent[c.first+i].again = true
	}
}

// wait waits for a server that runs, and returns nil if none will, or for a new call, once
// no more of them begin.
func (l *load) wait(isNew bool) *process {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.over && !(isNew && l.ending) && l.server == nil {
		l.changed.Wait()
	}
	if isNew && l.ending {
		return nil
	}
	return l.server
}

// use has calls made to a server, which a kill ends.
func (l *load) use(server *process, kill int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.server, l.kill = server, kill
	l.full.Store(false)
	l.changed.Broadcast()
}

// pause has no calls made until there is another server, because this one is killed.
func (l *load) pause() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.server, l.killed = nil, append(l.killed, time.Since(l.begin))
}

// finish waits until the calls that were made are acknowledged. None begins any longer.
func (l *load) finish() {
	l.mu.Lock()
	l.ending = true
	l.changed.Broadcast()
	l.mu.Unlock()
	finished := make(chan struct{})
	go func() {
		l.group.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-time.After(ackTime):
		l.abandon()
	}
}

// abandon ends the calls.
func (l *load) abandon() {
	l.mu.Lock()
	l.over, l.ending, l.server = true, true, nil
	l.changed.Broadcast()
	l.mu.Unlock()
	l.cancel()
	l.group.Wait()
}

// until waits until done, which it asks after each acknowledgement, and reports whether it
// was, within a time and before the server has ended.
func (l *load) until(within time.Duration, server *process, done func() bool) bool {
	timeout := time.After(within)
	for !done() {
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

// run lets callers call a server for a time, or until that many events are acknowledged.
// It returns what is wrong.
func (l *load) run(server *process, lasts time.Duration, events int) string {
	before := l.acknowledged()
	if !l.until(ackTime, server, func() bool { return l.acknowledged() > before }) && server.endedEarly() == nil {
		return fmt.Sprintf("no event is acknowledged within %s after the server was started: %s", ackTime, l.errors())
	}
	l.until(lasts, server, func() bool { return l.acknowledged() >= before+events })
	return ""
}

// fill fills the server's disk for a while, or until it is killed. It returns what is wrong.
func (l *load) fill(server *process, stays bool) string {
	l.full.Store(true)
	if err := server.order(fillUp); err != nil {
		return fmt.Sprintf("its disk can't be filled: %v", err)
	}
	l.until(fullTime, server, func() bool { return false })
	if stays {
		return ""
	}
	l.full.Store(false)
	if err := server.order(makeRoom); err != nil {
		return fmt.Sprintf("its disk can't be emptied again: %v", err)
	}
	var waiting []*rpc
	before := map[*rpc]int64{}
	for _, rpc := range l.rpcs {
		if !rpc.unimplemented {
			before[rpc] = rpc.acknowledged.Load()
		}
	}
	again := l.until(ackTime, server, func() bool {
		waiting = nil
		for rpc, count := range before {
			if rpc.acknowledged.Load() == count {
				waiting = append(waiting, rpc)
			}
		}
		return len(waiting) == 0
	})
	if again || server.endedEarly() != nil {
		return ""
	}
	return fmt.Sprintf("%s acknowledges no event any longer, %s after its disk was full and had room again: is a lock kept after an error? Its last error: %s",
		waiting[0].name(), ackTime, &waiting[0].failed)
}

// errors returns the last error of each RPC.
func (l *load) errors() string {
	var all []string
	for _, rpc := range l.rpcs {
		if !rpc.unimplemented {
			all = append(all, fmt.Sprintf("the last error of %s is %s", rpc.name(), &rpc.failed))
		}
	}
	return strings.Join(all, "; ")
}

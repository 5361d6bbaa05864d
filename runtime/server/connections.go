package server

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// connections listens, and bounds the connections: of the process and of each
// address. When there is no room for a new one, the one that has been without a
// call for longest is closed, of the address that has most; if all have calls,
// the new one is. So none waits unanswered, and idle ones lock nobody out.
type connections struct {
	net.Listener
	limits *limits

	mu     sync.Mutex
	open   map[*connection]bool
	byAddr map[string]*address
}

// address is where clients come from, as [origin] has it.
type address struct {
	connections  int          // the lock of connections guards it
	calls, tails atomic.Int64 // under way
	evicted      atomic.Int64 // of the calls
	waiting      waiting
	resets       atomic.Int64 // of calls under way, since the last look at the address
}

const (
	// How many calls the clients at an address may reset within checkEvery, and for how
	// long the server stops to read from a connection for each further one. Beginning a
	// call costs the server more than the client, which could otherwise use all cores.
	mostResets = 500
	resetPause = 5 * time.Millisecond
)

// slowDown slows a connection down whose client, or others at its address, reset many
// calls.
func (a *address) slowDown() {
	if a.resets.Add(1) > mostResets {
		time.Sleep(resetPause)
	}
}

func listenWithin(l *limits, listener net.Listener) *connections {
	return &connections{Listener: listener, limits: l, open: map[*connection]bool{}, byAddr: map[string]*address{}}
}

func (l *connections) Accept() (net.Conn, error) { return l.accept(l.Listener) }

// accept accepts a connection of a listener that there is room for.
func (l *connections) accept(from net.Listener) (net.Conn, error) {
	for {
		raw, err := from.Accept()
		if err != nil {
			return nil, err
		}
		c := &connection{Conn: raw, of: l, from: origin(raw.RemoteAddr()), idle: time.Now(), calls: map[uint32]*call{}}
		if l.admit(c) {
			l.limits.peers.Store(raw.RemoteAddr(), c)
			return c, nil
		}
		raw.Close()
	}
}

// admit makes room for a connection, and reports whether there is.
func (l *connections) admit(c *connection) bool {
	l.mu.Lock()
	limit, within := "", ""
	config := l.limits.config
	if c.address = l.byAddr[c.from]; c.address == nil {
		c.address = &address{}
		l.byAddr[c.from] = c.address
	}
	switch {
	case c.from != "" && config.MaxAddressConnections > 0 && c.address.connections >= config.MaxAddressConnections:
		limit, within = "--max-connections-per-address", c.from
	case len(l.open) >= config.MaxConnections:
		limit = "--max-connections"
	}
	var idle *connection
	if limit != "" {
		idle = l.longestIdle(within)
		if idle != nil {
			l.forget(idle)
		}
	}
	room := limit == "" || idle != nil
	if room {
		l.open[c] = true
		c.address.connections++
	}
	l.mu.Unlock()
	if limit != "" {
		l.limits.notices.reached(limit, c.from)
	}
	if idle != nil {
		idle.Conn.Close()
	}
	return room
}

// longestIdle returns the connection that has been idle for longest, of one
// address, or of that which has most; nil if there is none.
func (l *connections) longestIdle(within string) (found *connection) {
	var since time.Time
	for c := range l.open {
		if within != "" && c.from != within {
			continue
		}
		idle, ok := c.idleSince()
		if !ok || found != nil && (c.address.connections < found.address.connections ||
			c.address.connections == found.address.connections && !idle.Before(since)) {
			continue
		}
		found, since = c, idle
	}
	return found
}

// forget takes a connection off the list. The lock is held.
func (l *connections) forget(c *connection) {
	if !l.open[c] {
		return
	}
	delete(l.open, c)
	c.address.connections--
}

// addresses returns how many there are.
func (l *connections) addresses() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.byAddr)
}

// forgetAddresses forgets those that have no connections, and no calls of connections
// that were closed, and how many calls the others have reset.
func (l *connections) forgetAddresses() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for from, a := range l.byAddr {
		a.resets.Store(0)
		if a.connections == 0 && a.calls.Load() == 0 {
			delete(l.byAddr, from)
		}
	}
}

// all returns the connections that are open.
func (l *connections) all() (open []*connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		open = append(open, c)
	}
	return open
}

// count returns how many connections are open.
func (l *connections) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// origin returns what counts as one address: an IPv4 address, the /64 of an
// IPv6 address, or "" for what has neither.
func origin(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return ""
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	if ip.Is6() && !ip.IsLoopback() {
		return netip.PrefixFrom(ip, 64).Masked().String()
	}
	return ip.String()
}

// connection is a connection of a client, and its calls.
type connection struct {
	net.Conn // as accepted
	of       *connections
	from     string // its origin
	address  *address

	mu       sync.Mutex
	calls    map[uint32]*call // by stream
	idle     time.Time        // since when it has no call
	stream   uint32           // whose headers gRPC reads
	complete bool             // whether these are all that the client sends on it
	unsure   atomic.Bool      // whether gRPC may refuse their call: it has not asked yet if it is let in
	lost     bool             // the client no longer sends anything
	unasked  []uint32         // streams of which gRPC did not ask, and that are not answered
	unread   int              // of calls, whose handlers have returned
	seen     int64            // of data
	moves    time.Time        // when data was last found to be more
	ends     time.Time        // when it is closed, whatever calls it has; zero for never, and for those of gRPC, which does that

	asides  atomic.Int64 // requests under way that are not calls; not of gRPC
	owed    atomic.Int64 // calls that were reset, for which reading has yet to pause; not of gRPC
	written atomic.Int64 // bytes
	data    atomic.Int64 // frames with parts of answers, that were written
}

func (c *connection) Write(bytes []byte) (int, error) {
	n, err := c.Conn.Write(bytes)
	c.written.Add(int64(n))
	return n, err
}

func (c *connection) Close() error {
	c.of.mu.Lock()
	c.of.forget(c)
	c.of.mu.Unlock()
	c.of.limits.peers.Delete(c.RemoteAddr())
	c.mu.Lock()
	if c.unsure.Load() && !c.lost && c.of.limits.draining.Err() == nil { // it closes those with one header that is too large
		c.unsure.Store(false)
		c.of.limits.notices.unhandled(HeadersTooLarge, "", c.from)
	}
	for id, call := range c.calls {
		call.gone = true
		call.wakeUp()
		if !call.started || call.finished {
			c.remove(id)
		}
	}
	c.mu.Unlock()
	return c.Conn.Close()
}

// idleSince reports whether a connection has no call, except those whose answers are
// not read, and since when.
func (c *connection) idleSince() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.idle, len(c.calls) == c.unread
}

// becomeIdle notes since when a connection is idle, if it is. The lock is held.
func (c *connection) becomeIdle() {
	if len(c.calls) == c.unread {
		c.idle = time.Now()
	}
}

// answered notes that all of an answer was written, or that gRPC reset the call, with
// which code of HTTP/2.
func (c *connection) answered(stream uint32, reset bool, code uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.calls[stream]
	if call == nil {
		if c.wasUnasked(stream) {
			c.refused(reset, code)
		}
		return
	}
	switch {
	case reset || call.started || call.gone || call.written:
	case errors.Is(call.Err(), context.DeadlineExceeded):
		c.of.limits.notices.unhandled(TooLate, call.method, c.from)
	default: // gRPC answers before a handler for no other reason
		c.of.limits.notices.unhandled(UnknownCompression, call.method, c.from)
	}
	call.written = true
	if call.finished || !call.started {
		c.remove(stream)
	}
}

// refused notes that gRPC has refused a stream for its headers.
func (c *connection) refused(reset bool, code uint32) {
	switch notices := c.of.limits.notices; {
	case reset && code == refusedStream:
		notices.reached("--max-streams", c.from)
	case reset && code == frameSizeError:
		notices.unhandled(HeadersTooLarge, "", c.from)
	default:
		notices.unhandled(NotGRPC, "", c.from)
	}
}

// standsStill returns for how long the client has read nothing of answers, as far as it
// was asked before. The lock is held.
func (c *connection) standsStill(now time.Time) time.Duration {
	if data := c.data.Load(); c.moves.IsZero() || data != c.seen {
		c.seen, c.moves = data, now
	}
	return now.Sub(c.moves)
}

// beginCall notes the headers of a stream. gRPC is about to ask, on the same
// goroutine, whether their call is let in.
func (c *connection) beginCall(stream uint32, complete bool) {
	c.mu.Lock()
	c.stream, c.complete = stream, complete
	c.unsure.Store(true)
	c.mu.Unlock()
}

// mostUnasked is how many streams may wait for the answers of which gRPC makes without asking.
const mostUnasked = 128

// loses notes that nothing more comes from the client.
func (c *connection) loses() {
	c.mu.Lock()
	c.lost = true
	c.mu.Unlock()
}

// handled notes that gRPC has handled the headers of a stream.
func (c *connection) handled() {
	if !c.unsure.Load() { // as for all calls but those that gRPC refuses
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unsure.Load() && len(c.unasked) < mostUnasked {
		c.unasked = append(c.unasked, c.stream)
	}
	c.unsure.Store(false)
}

// wasUnasked reports whether an answer is the first to a stream that gRPC refused without
// asking whether its call is let in. The lock is held.
func (c *connection) wasUnasked(stream uint32) bool {
	if c.unsure.Load() && stream == c.stream {
		c.unsure.Store(false)
		return true
	}
	i := slices.Index(c.unasked, stream)
	if i >= 0 {
		c.unasked = slices.Delete(c.unasked, i, i+1)
	}
	return i >= 0
}

// callOf returns the call of a stream; nil if there is none.
func (c *connection) callOf(stream uint32) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[stream]
}

// remove removes a call. The lock is held.
func (c *connection) remove(stream uint32) {
	call, ok := c.calls[stream]
	if !ok {
		return
	}
	delete(c.calls, stream)
	l := c.of.limits
	if call.unread {
		c.unread--
		l.tailMemory.give(c, call.answer)
	} else {
		c.becomeIdle()
	}
	if call.evicted {
		c.address.evicted.Add(-1)
	}
	l.leave(c, call.kind)
}

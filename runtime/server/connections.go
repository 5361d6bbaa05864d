package server

import (
	"net"
	"net/netip"
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
	byAddr map[string]int
}

func listenWithin(l *limits, listener net.Listener) *connections {
	return &connections{Listener: listener, limits: l, open: map[*connection]bool{}, byAddr: map[string]int{}}
}

func (l *connections) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
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
	switch {
	case c.from != "" && config.MaxAddressConnections > 0 && l.byAddr[c.from] >= config.MaxAddressConnections:
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
		l.byAddr[c.from]++
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
		if !ok || found != nil && (l.byAddr[c.from] < l.byAddr[found.from] ||
			l.byAddr[c.from] == l.byAddr[found.from] && !idle.Before(since)) {
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
	if l.byAddr[c.from]--; l.byAddr[c.from] == 0 {
		delete(l.byAddr, c.from)
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

	mu       sync.Mutex
	calls    map[uint32]*call // by stream
	idle     time.Time        // since when it has no call
	stream   uint32           // whose headers gRPC reads
	complete bool             // whether these are all that the client sends on it
	tails    int              // of calls

	written atomic.Int64 // bytes
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
	for id, call := range c.calls {
		call.gone = true
		call.wakeUp()
		if !call.started {
			c.remove(id)
		}
	}
	c.mu.Unlock()
	return c.Conn.Close()
}

// idleSince reports whether a connection has no call, and since when.
func (c *connection) idleSince() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.idle, len(c.calls) == 0
}

// beginCall notes the headers of a stream. gRPC is about to ask, on the same
// goroutine, whether their call is let in.
func (c *connection) beginCall(stream uint32, complete bool) {
	c.mu.Lock()
	c.stream, c.complete = stream, complete
	c.mu.Unlock()
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
	if len(c.calls) == 0 {
		c.idle = time.Now()
	}
	c.of.limits.calls.Add(-1)
	if call.tail {
		c.tails--
		c.of.limits.tails.Add(-1)
	}
}

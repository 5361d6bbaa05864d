package eventlog

import "sync"

// sqliteGrowth tells those who wait that a log has more than it had. Its zero value
// is ready to use.
type sqliteGrowth struct {
	mu     sync.Mutex
	next   chan struct{} // nil if nobody waits
	closed bool
}

// more is closed when the log has more, or is closed, from now on.
func (g *sqliteGrowth) more() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next == nil {
		g.next = make(chan struct{})
		if g.closed {
			close(g.next)
		}
	}
	return g.next
}

// wake tells them.
func (g *sqliteGrowth) wake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next != nil && !g.closed {
		close(g.next)
		g.next = nil
	}
}

// close tells them for good.
func (g *sqliteGrowth) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	if g.next != nil {
		close(g.next)
	}
}

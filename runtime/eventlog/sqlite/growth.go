package sqlite

import "sync"

// growth tells those who wait that a log has more than it had. Its zero value
// is ready to use.
type growth struct {
	mu     sync.Mutex
	next   chan struct{} // nil if nobody waits
	closed bool
}

// more is closed when the log has more, or is closed, from now on.
func (g *growth) more() <-chan struct{} {
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
func (g *growth) notify() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next != nil && !g.closed {
		close(g.next)
		g.next = nil
	}
}

// close tells them for good.
func (g *growth) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	if g.next != nil {
		close(g.next)
	}
}

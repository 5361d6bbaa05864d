package sqlite

import "sync"

// growth notifies waiting tails that a log has grown. Its zero value is ready to
// use.
type growth struct {
	mu     sync.Mutex
	next   chan struct{} // nil if nobody waits
	closed bool
}

// more returns a channel that is closed once the log has grown from now on, or is
// closed.
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

// notify notifies all that wait.
func (g *growth) notify() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next != nil && !g.closed {
		close(g.next)
		g.next = nil
	}
}

// close notifies all that wait, and all that will.
func (g *growth) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	if g.next != nil {
		close(g.next)
	}
}

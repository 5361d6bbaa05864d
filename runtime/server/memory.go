package server

import (
	"container/list"
	"context"
	"maps"
	"sync"
)

// memory is a budget of bytes that messages under way share. A message that
// finds no room waits. When there is room again, the next one is of the
// address that has least, and of its connections that which has least, so that one with
// many waits for its own.
type memory struct {
	size int64

	mu      sync.Mutex
	used    int64
	by      map[*connection]int64
	from    map[*address]int64
	waiting list.List // of *claim, oldest first
}

type claim struct {
	bytes   int64
	of      *connection
	granted chan struct{}
}

func newMemory(size int64) *memory {
	return &memory{size: size, by: map[*connection]int64{}, from: map[*address]int64{}}
}

// takeNow takes bytes for a connection if none have to wait. What is more than the
// whole budget takes all of it. It returns what give gives back.
func (m *memory) takeNow(of *connection, bytes int64) (_ int64, ok bool) {
	bytes = min(bytes, m.size)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting.Len() > 0 || !m.has(of, bytes) {
		return 0, false
	}
	m.grant(of, bytes)
	return bytes, true
}

// take takes bytes as takeNow does, but waits for them until ctx ends.
func (m *memory) take(ctx context.Context, of *connection, bytes int64) (int64, error) {
	bytes = min(bytes, m.size)
	m.mu.Lock()
	c := &claim{bytes, of, make(chan struct{})}
	element := m.waiting.PushBack(c)
	m.serve()
	m.mu.Unlock()
	select {
	case <-c.granted:
		return bytes, nil
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-c.granted:
		return bytes, nil
	default:
	}
	m.waiting.Remove(element)
	m.serve() // it may have kept smaller ones waiting
	return 0, ctx.Err()
}

// give gives bytes back.
func (m *memory) give(of *connection, bytes int64) {
	if bytes == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.grant(of, -bytes)
	m.serve()
}

func (m *memory) grant(of *connection, bytes int64) {
	m.used += bytes
	if m.by[of] += bytes; m.by[of] == 0 {
		delete(m.by, of)
	}
	if m.from[of.address] += bytes; m.from[of.address] == 0 {
		delete(m.from, of.address)
	}
}

// has reports whether there are so many bytes for a connection. Those of one address get
// up to three quarters of all, and leave something for others.
func (m *memory) has(of *connection, bytes int64) bool {
	left := m.size - m.used - bytes
	from := m.from[of.address]
	return left >= 0 && (from == 0 || from+bytes < 3*left)
}

// serve grants claims for as long as there is room for the next. The lock is
// held.
func (m *memory) serve() {
	for m.waiting.Len() > 0 {
		next := m.waiting.Front()
		for e := next.Next(); e != nil; e = e.Next() {
			if m.before(e.Value.(*claim).of, next.Value.(*claim).of) {
				next = e
			}
		}
		c := next.Value.(*claim)
		if !m.has(c.of, c.bytes) {
			return
		}
		m.waiting.Remove(next)
		m.grant(c.of, c.bytes)
		close(c.granted)
	}
}

// before reports whether a connection is served before another: that of the address
// which has less, and of one address, that which has less.
func (m *memory) before(a, b *connection) bool {
	if a.address != b.address {
		return m.from[a.address] < m.from[b.address]
	}
	return m.by[a] < m.by[b]
}

// most returns the connection that has most, and how much.
func (m *memory) most() (most *connection, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c, has := range m.by {
		if has > bytes {
			most, bytes = c, has
		}
	}
	return most, bytes
}

// holders returns the connections that have some, and how much.
func (m *memory) holders() map[*connection]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.by)
}

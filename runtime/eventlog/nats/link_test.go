package nats_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// link forwards connections to an address. It can be cut and joined again: while it
// is cut it has no connections.
type link struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	isCut bool
	ends  map[net.Conn]bool
}

func startLink(t *testing.T, to string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{listener: listener, to: to, ends: map[net.Conn]bool{}}
	t.Cleanup(func() {
		_ = listener.Close()
		l.cut()
	})
	go l.accept()
	return l
}

func (l *link) accept() {
	for {
		from, err := l.listener.Accept()
		if err != nil {
			return
		}
		if !l.add(from) {
			continue
		}
		to, err := net.Dial("tcp", l.to)
		if err != nil {
			l.drop(from)
			continue
		}
		if l.add(to) {
			go l.carry(from, to)
			go l.carry(to, from)
		}
	}
}

// add adds a connection to those that cut closes. If the link is cut, it closes the
// connection and returns false.
func (l *link) add(end net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isCut {
		_ = end.Close()
		return false
	}
	l.ends[end] = true
	return true
}

func (l *link) carry(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	l.drop(from)
	l.drop(to)
}

// drop closes a connection.
func (l *link) drop(end net.Conn) {
	_ = end.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.ends, end)
}

func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	for end := range l.ends {
		_ = end.Close()
	}
}

func (l *link) join() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = false
}

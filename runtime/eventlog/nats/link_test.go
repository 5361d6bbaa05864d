package nats_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// link is the way that one node has to another. It can be cut, and joined
// again.
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
		if !l.hold(from) {
			continue
		}
		to, err := net.Dial("tcp", l.to)
		if err != nil {
			l.drop(from)
			continue
		}
		if l.hold(to) {
			go l.carry(from, to)
			go l.carry(to, from)
		}
	}
}

// hold keeps a connection for it to be cut, or closes it if the link is.
func (l *link) hold(end net.Conn) bool {
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

package server

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"
)

// connected returns a connection of a port, and the limits that it keeps to.
func connected(t *testing.T, config Config) (*limits, *connection, portConnection) {
	t.Helper()
	l := newLimits(config.withoutZeros(), newNotices(slog.New(slog.DiscardHandler), unobserved{}), context.Background())
	l.connections = listenWithin(l, nil)
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := portListener{listener, l.connections}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, c := range []io.Closer{client, accepted, listener} {
			_ = c.Close()
		}
	})
	return l, connectionOf(accepted), accepted.(portConnection)
}

func TestAClientOfAPortThatResetsManyCallsIsSlowedDown(t *testing.T) {
	l, c, v := connected(t, Defaults("test-server"))
	s := &Server{limits: l}
	gone, leave := context.WithCancel(t.Context())
	leave()
	const beyond = 3
	for range mostResets + beyond {
		call, err := s.Enter(gone, v, "/a/b", func() {})
		if err != nil {
			t.Fatal(err)
		}
		call.Leave()
		call.End()
	}
	if got := c.owed.Load(); got != beyond {
		t.Errorf("reading pauses for %d resets, want %d", got, beyond)
	}
	if got := l.calls.Load(); got != 0 {
		t.Errorf("%d calls count after their end", got)
	}
	_ = v.SetReadDeadline(time.Unix(1, 0))
	_, _ = v.Read(make([]byte, 1))
	if got := c.owed.Load(); got != 0 {
		t.Errorf("reading pauses again for %d resets", got)
	}
}

func TestAConnectionOfAPortRetires(t *testing.T) {
	for _, test := range []struct {
		age, ago time.Duration
		want     bool
	}{{0, time.Hour, false}, {time.Hour, 30 * time.Minute, false}, {time.Hour, 70 * time.Minute, true}} {
		config := Defaults("test-server")
		config.MaxConnectionAge = test.age
		l, c, v := connected(t, config)
		if !c.ends.IsZero() {
			c.ends = c.ends.Add(-test.ago)
		}
		if got := (&Server{config: config, limits: l}).Retires(v); got != test.want {
			t.Errorf("of the age %s, after %s: %v", test.age, test.ago, got)
		}
	}
}

func TestRequestsOfAPortThatAreNotCallsAreBounded(t *testing.T) {
	config := Defaults("test-server")
	config.MaxCalls = 8
	l, c, v := connected(t, config)
	s := &Server{limits: l, config: config}
	var ends []func()
	for range config.MaxCalls {
		end, ok := s.Aside(v)
		if !ok {
			t.Fatal("there is no room for as many as there may be calls")
		}
		ends = append(ends, end)
	}
	if _, ok := s.Aside(v); ok {
		t.Error("a connection that has many may have more than there may be calls")
	}
	other := portConnection{&connection{Conn: c.Conn, of: c.of, from: c.from, calls: map[uint32]*call{}}}
	if end, ok := s.Aside(other); !ok {
		t.Error("a connection that has few is refused")
	} else {
		end()
	}
	for _, end := range ends {
		end()
	}
	if l.asides.Load() != 0 || c.asides.Load() != 0 {
		t.Errorf("%d count after their end", l.asides.Load())
	}
}

// TestAPortReadsLittleOfWhoAsksMuch has a client send a lot at once, which may be many
// requests, while the server has many that are not calls.
func TestAPortReadsLittleOfWhoAsksMuch(t *testing.T) {
	config := Defaults("test-server")
	config.MaxCalls = 8
	l, c, v := connected(t, config)
	s := &Server{limits: l, config: config}
	server, client := net.Pipe()
	defer client.Close()
	c.Conn = server
	go func() { _, _ = client.Write(make([]byte, 10<<10)) }()
	read := func() int {
		n, err := v.Read(make([]byte, 1000))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := read(); n != 1000 {
		t.Errorf("it reads %d bytes where there are no such requests", n)
	}
	for range 2 {
		if _, ok := s.Aside(v); !ok {
			t.Fatal("there is no room")
		}
	}
	if n := read(); n != fewBytes {
		t.Errorf("it reads %d bytes, want %d", n, fewBytes)
	}
	if _, err := s.Enter(t.Context(), v, "/a/b", func() {}); err != nil {
		t.Fatal(err)
	}
	if n := read(); n != 1000 {
		t.Errorf("it reads %d bytes where a call may send a request", n)
	}
}

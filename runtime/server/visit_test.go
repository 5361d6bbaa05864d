package server

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"
)

// visited returns a connection of a port, and the limits that it keeps to.
func visited(t *testing.T, config Config) (*limits, *connection, visitor) {
	t.Helper()
	l := newLimits(config.withoutZeros(), newNotices(slog.New(slog.DiscardHandler), nil), context.Background())
	l.connections = listenWithin(l, nil)
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := visitors{listener, l.connections}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, c := range []io.Closer{client, accepted, listener} {
			_ = c.Close()
		}
	})
	return l, connectionOf(accepted), accepted.(visitor)
}

func TestAClientOfAPortThatResetsManyCallsIsSlowedDown(t *testing.T) {
	l, c, v := visited(t, Defaults("test-server"))
	s := &Server{limits: l}
	gone, leave := context.WithCancel(t.Context())
	leave()
	const beyond = 3
	for range mostResets + beyond {
		visit, err := s.Enter(gone, v, "/a/b", func() {})
		if err != nil {
			t.Fatal(err)
		}
		visit.Leave()
		visit.End()
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
		l, c, v := visited(t, config)
		if !c.ends.IsZero() {
			c.ends = c.ends.Add(-test.ago)
		}
		if got := (&Server{config: config, limits: l}).Retires(v); got != test.want {
			t.Errorf("of the age %s, after %s: %v", test.age, test.ago, got)
		}
	}
}

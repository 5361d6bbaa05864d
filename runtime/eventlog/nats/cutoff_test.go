package nats_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// network is what stands between a client and its server, and can be cut: then
// it keeps the connections, and nothing comes through.
type network struct {
	listener net.Listener
	mu       sync.RWMutex // locked while it is cut
}

func startNetwork(t *testing.T, s *server.Server) *network {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	n := &network{listener: listener}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				_ = client.Close()
				continue
			}
			go n.carry(client, server)
			go n.carry(server, client)
		}
	}()
	return n
}

func (n *network) carry(from, to net.Conn) {
	defer func() { _, _ = from.Close(), to.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		count, err := from.Read(buffer)
		n.mu.RLock()
		_, failed := to.Write(buffer[:count])
		n.mu.RUnlock()
		if err != nil || failed != nil {
			return
		}
	}
}

func (n *network) cut() (mend func()) {
	n.mu.Lock()
	return sync.OnceFunc(n.mu.Unlock)
}

// A process that is cut off gives its consumers' places up before others can
// take them, and gets them back by asking as others do.
func TestHolderIsCutOff(t *testing.T) {
	s := start(t, &server.Options{})
	network := startNetwork(t, s)
	const stream = "/EVENTS?durability=none&lease=2s"
	cutOff, there := open(t, "nats://"+network.listener.Addr().String()+stream), open(t, "nats://"+hosts(s)+stream)
	biller, err := cutOff.Hold(t.Context(), "biller")
	if err != nil {
		t.Fatal(err)
	}
	consume := func(log eventlog.Log, handle func(context.Context, eventlog.Record) error) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- eventlog.Consume(ctx, log, "mailer", handle, eventlog.Logger(slog.New(slog.DiscardHandler)))
		}()
		stop = sync.OnceFunc(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("the consumer ended with %v", err)
			}
		})
		t.Cleanup(stop)
		return stop
	}
	begun, abandoned := make(chan string, 10), make(chan error, 10)
	consume(cutOff, func(ctx context.Context, record eventlog.Record) error {
		if begun <- record.ID; record.ID == "b" {
			return nil
		}
		select {
		case <-ctx.Done():
			abandoned <- context.Cause(ctx)
		case <-t.Context().Done(): // the test has failed
		}
		return errors.New("not handled")
	})
	if _, err := there.Append(t.Context(), event("a")); err != nil {
		t.Fatal(err)
	}
	if id := soon(t, begun); id != "a" {
		t.Fatalf("%s has begun", id)
	}
	handled := make(chan string, 10)
	stop := consume(there, func(_ context.Context, record eventlog.Record) error {
		handled <- record.ID
		return nil
	})

	mend := network.cut()
	t.Cleanup(mend)
	if err := biller.Commit(t.Context(), 1); !errors.Is(err, eventlog.ErrHeld) || !strings.Contains(err.Error(), `the lease of consumer "biller" could not be renewed within 2s`) {
		t.Errorf("moved: got %v, want that the lease has ended", err)
	}
	if _, err := biller.Retries(t.Context()); !errors.Is(err, eventlog.ErrHeld) {
		t.Errorf("retries: got %v, want that the lease has ended", err)
	}
	if err := soon(t, abandoned); !errors.Is(err, eventlog.ErrHeld) {
		t.Errorf("the handler was abandoned for %v", err)
	}
	if id := soon(t, handled); id != "a" {
		t.Errorf("the other handles %s", id)
	}

	mend()
	stop()
	if _, err := there.Append(t.Context(), event("b")); err != nil {
		t.Fatal(err)
	}
	if id := soon(t, begun); id != "b" {
		t.Errorf("%s has begun, want b", id)
	}
	if err := biller.Release(); err != nil {
		t.Error(err)
	}
	if _, err := there.Hold(t.Context(), "biller"); err != nil {
		t.Errorf("it is not released: %v", err)
	}
}

// soon is what comes out of a channel.
func soon[T any](t *testing.T, from <-chan T) (value T) {
	t.Helper()
	select {
	case value = <-from:
	case <-time.After(time.Minute):
		t.Fatal("it never comes")
	}
	return value
}

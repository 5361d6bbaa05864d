package nats_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// network forwards connections to a server. It can be cut: then it keeps the
// connections, and forwards nothing.
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

// cut cuts the network until mend is called.
func (n *network) cut() (mend func()) {
	n.mu.Lock()
	return sync.OnceFunc(n.mu.Unlock)
}

// A process that is cut off gives up its consumers' leases before other processes
// can take them, and takes them again only when they are free.
func TestHolderThatIsCutOffLosesItsLease(t *testing.T) {
	t.Parallel()
	s := start(t, &server.Options{})
	network := startNetwork(t, s)
	const stream = "/EVENTS?durability=none&lease=4s"
	cutOff, connected := open(t, "nats://"+network.listener.Addr().String()+stream), open(t, "nats://"+hosts(s)+stream)
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
	if _, err := connected.Append(t.Context(), event("a")); err != nil {
		t.Fatal(err)
	}
	if id := soon(t, begun); id != "a" {
		t.Fatalf("%s has begun", id)
	}
	handled := make(chan string, 10)
	stop := consume(connected, func(_ context.Context, record eventlog.Record) error {
		handled <- record.ID
		return nil
	})

	mend := network.cut()
	t.Cleanup(mend)
	if err := biller.Commit(t.Context(), 1); !errors.Is(err, eventlog.ErrHeld) || !strings.Contains(err.Error(), `the lease of consumer "biller" could not be renewed within 4s`) {
		t.Errorf("commit: got %v, want that the lease has ended", err)
	}
	if _, err := biller.Retries(t.Context()); !errors.Is(err, eventlog.ErrHeld) {
		t.Errorf("retries: got %v, want that the lease has ended", err)
	}
	if err := soon(t, abandoned); !errors.Is(err, eventlog.ErrHeld) {
		t.Errorf("the handler was abandoned for %v", err)
	}
	if id := soon(t, handled); id != "a" {
		t.Errorf("the other process handles %s", id)
	}

	mend()
	stop()
	if _, err := connected.Append(t.Context(), event("b")); err != nil {
		t.Fatal(err)
	}
	if id := soon(t, begun); id != "b" {
		t.Errorf("%s has begun, want b", id)
	}
	if err := biller.Release(); err != nil {
		t.Error(err)
	}
	if _, err := connected.Hold(t.Context(), "biller"); err != nil {
		t.Errorf("the lease was not released: %v", err)
	}
}

// The lease of a process that has died is free once it has expired.
func TestLeaseExpires(t *testing.T) {
	t.Parallel()
	s := start(t, &server.Options{})
	url := "nats://" + hosts(s) + "/EVENTS?durability=none&lease=2s"
	log := open(t, url)
	for i := range 7 {
		if _, err := log.Append(t.Context(), event(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	hold, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	if err := hold.Commit(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // it is renewed
	if _, err := log.Hold(t.Context(), "mailer"); !errors.Is(err, eventlog.ErrHeld) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid(), " on ")) {
		t.Errorf("got %v, want that this process has it", err)
	}
	began := time.Now()
	steal(t, url, "mailer") // by one that does not renew it
	for {
		if hold, err = log.Hold(t.Context(), "mailer"); err == nil {
			break
		}
		if !errors.Is(err, eventlog.ErrHeld) || !strings.Contains(err.Error(), "process 1 on another host") {
			t.Errorf("got %v, want that another process has it", err)
		}
		if time.Since(began) > time.Minute {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("it was free after %v, want two seconds", took)
	}
	if position, ok := hold.Position(); position != 7 || !ok {
		t.Errorf("the position is %d, %v; want 7", position, ok)
	}
}

// soon returns the next value of a channel.
func soon[T any](t *testing.T, from <-chan T) (value T) {
	t.Helper()
	select {
	case value = <-from:
	case <-time.After(time.Minute):
		t.Fatal("no value came within a minute")
	}
	return value
}

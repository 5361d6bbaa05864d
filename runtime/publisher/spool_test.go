package publisher

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// slowLog is a log of which Append returns only once what it has stored was read.
type slowLog struct {
	eventlog.DeleteLog
	publisher *Publisher
	slow      atomic.Bool
}

func (l *slowLog) Append(ctx context.Context, events ...eventlog.Event) ([]eventlog.Receipt, error) {
	receipts, err := l.DeleteLog.Append(ctx, events...)
	for deadline := time.Now().Add(time.Minute); err == nil && l.slow.Load() && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		l.publisher.mu.Lock()
		read := l.publisher.spool.loaded >= receipts[len(receipts)-1].Position
		l.publisher.mu.Unlock()
		if read {
			break
		}
	}
	return receipts, err
}

// What the loader reads before Append has returned is sent once.
func TestAnEventThatIsReadWhileItIsStoredIsSentOnce(t *testing.T) {
	s := newService(t)
	s.fail = func([]string) error { return status.Error(codes.Unavailable, "not now") }
	p, err := newPublisher(s.address, []Route{route(rpcs["batch"])}, []Option{quiet(t), func(s *settings) { s.window = 10_000 }})
	if err != nil {
		t.Fatal(err)
	}
	if p.spool, p.refused, err = openSpool(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	log := &slowLog{DeleteLog: p.spool.log, publisher: p}
	p.spool.log = log
	p.start()
	t.Cleanup(func() { _ = p.Close(t.Context()) })
	n := 0
	publish := func() {
		if _, err := p.Publish(t.Context(), newMessage("", "a", n)); err != nil {
			t.Fatal(err)
		}
		n++
	}
	for behind := false; !behind; {
		publish()
		p.mu.Lock()
		behind = p.spool.behind
		p.mu.Unlock()
	}
	log.slow.Store(true)
	s.set(func() { s.fail = nil })
	publish()
	flush(t, p)
	s.checkOrder(map[string]int{"a": n})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stats.Sent != int64(n) || p.pending != 0 || p.bytes != 0 || p.spool.window != 0 {
		t.Errorf("%d were published: %d sent, %d pending with %d bytes, %d in memory", n, p.stats.Sent, p.pending, p.bytes, p.spool.window)
	}
}

// While one event waits, the records of others are forgotten.
func TestMemoryDoesNotGrowWhileOneEventWaits(t *testing.T) {
	s := newService(t)
	s.fail = func(ids []string) error {
		if ids[0] == "stuck" {
			return status.Error(codes.Internal, "it can't be stored")
		}
		return nil
	}
	dir := t.TempDir()
	p := open(t, dir, s, rpcs["single"])
	for n := range 500 {
		id := fmt.Sprint(n)
		if n == 0 {
			id = "stuck"
		}
		if _, err := p.Publish(t.Context(), newMessage(id, id, 0)); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); p.Stats().Pending > 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", p.Stats())
		}
	}
	p.mu.Lock()
	records := len(p.spool.records)
	p.mu.Unlock()
	if records > 10 {
		t.Errorf("%d records are in memory", records)
	}
	p.crash()
	p = open(t, dir, s, rpcs["single"])
	if p.Stats().Oldest.IsZero() {
		t.Error("after Open no event is the oldest")
	}
}

// An event that is loaded does not keep its whole record in memory.
func TestALoadedEventHasDataOfItsOwn(t *testing.T) {
	s := newService(t)
	s.server.Stop()
	dir := t.TempDir()
	p := open(t, dir, s, rpcs["single"])
	var messages []proto.Message
	for n := range 100 {
		messages = append(messages, newMessage("", "a", n))
	}
	if err := p.PublishAll(t.Context(), messages...); err != nil {
		t.Fatal(err)
	}
	p.crash()
	p = open(t, dir, s, rpcs["single"])
	for loaded := false; !loaded; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		loaded = len(p.spool.records) == 1
		p.mu.Unlock()
	}
	p.crash()
	for _, waiting := range p.subjects {
		for _, e := range waiting {
			if room := cap(e.data); room > 2*len(e.data)+64 {
				t.Fatalf("an event of %d bytes keeps %d", len(e.data), room)
			}
		}
	}
	if len(p.subjects) == 0 && len(p.inbox.arrived) == 0 {
		t.Error("no event was loaded")
	}
}

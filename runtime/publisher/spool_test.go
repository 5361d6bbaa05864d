package publisher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

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

// A later version may have added fields of any kind.
func TestARecordOfALaterVersionIsRead(t *testing.T) {
	field := func(to []byte, number protowire.Number) []byte {
		to = protowire.AppendVarint(protowire.AppendTag(to, number, protowire.VarintType), 7)
		to = protowire.AppendFixed32(protowire.AppendTag(to, number, protowire.Fixed32Type), 7)
		return protowire.AppendString(protowire.AppendTag(to, number+1, protowire.BytesType), "new")
	}
	first := &event{id: "a", source: "s", kind: "k", subject: "x", message: "m", data: []byte("1")}
	second := &event{id: "b", source: "s", kind: "k", message: "m", data: []byte("2")}
	record := appendEvent(field(nil, 20), first, nil)
	_, body, n := consumeField(appendEvent(nil, second, first))
	if n < 0 {
		t.Fatal("an event can't be read")
	}
	record = protowire.AppendTag(record, recordEvent, protowire.BytesType)
	record = protowire.AppendBytes(record, field(bytes.Clone(body), 30))
	events, err := parseRecord(record)
	if want := []*event{first, second}; err != nil || !reflect.DeepEqual(events, want) {
		t.Errorf("%v, %v", events, err)
	}
}

// The events after a record that can't be read wait, and that does not go unseen.
func TestARecordThatCannotBeReadIsReported(t *testing.T) {
	s, dir := newService(t), t.TempDir()
	p := open(t, dir, s, rpcs["single"])
	if _, err := p.spool.log.Append(t.Context(), eventlog.Event{ID: "x", Type: recordSchema, Schema: recordSchema, Subject: formatCount(1, 10), Data: []byte("\xff")}); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	p = open(t, dir, s, rpcs["single"])
	waitFor(t, func() bool { return errors.Is(p.Stats().LastError, errDamaged) })
	if _, err := p.Publish(t.Context(), newMessage("", "a", 0)); err != nil || p.Stats().Pending != 2 {
		t.Errorf("%v: %+v", err, p.Stats())
	}
}

// What waits for long does not keep what was published with it on the disk.
func TestWhatIsSentSoonIsDeletedThoughOthersWait(t *testing.T) {
	later, err := status.New(codes.ResourceExhausted, "later").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for name, why := range map[string]error{"pushed back": later.Err(), "failing": status.Error(codes.Internal, "not this one")} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			s.fail = func(ids []string) error {
				if strings.HasPrefix(ids[0], "waits") {
					return why
				}
				return nil
			}
			dir := t.TempDir()
			p := open(t, dir, s, rpcs["single"])
			waits := func(n int) proto.Message {
				message := newMessage(fmt.Sprint("waits ", n), "slow", n)
				message.Metadata["source"] = "slow"
				return message
			}
			const rounds, each = 20, 50
			for n := range rounds {
				messages := []proto.Message{waits(2 * n)}
				for i := range each {
					message := newMessage("", fmt.Sprint(n, " ", i), 0)
					message.Metadata["filler"] = strings.Repeat("x", 1000)
					messages = append(messages, message)
				}
				if err := p.PublishAll(t.Context(), append(messages, waits(2*n+1))...); err != nil {
					t.Fatal(err)
				}
				waitFor(t, func() bool { return p.Stats().Pending == 2*int64(n+1) && p.Stats().Retries > 0 })
			}
			size := func() (bytes int) {
				for record, err := range p.spool.log.Read(t.Context(), p.spool.from(0)) {
					if err != nil {
						t.Fatal(err)
					}
					bytes += len(record.Data)
				}
				return bytes
			}
			// The first round is there, whose events were stored before one of them failed.
			waitFor(t, func() bool { return size() < 2*each*1100 })
			s.set(func() { s.fail = nil })
			p.crash()
			p = open(t, dir, s, rpcs["single"])
			flush(t, p)
			s.checkOrder(map[string]int{"slow": 2 * rounds})
		})
	}
}

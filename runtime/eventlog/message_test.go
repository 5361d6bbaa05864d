package eventlog_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/memory"
)

// mixed is a log with events of two message types, and one that says it is of
// the first and is not.
func mixed(t *testing.T) eventlog.Log {
	t.Helper()
	log, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	append := func(id string, message proto.Message, schema string) {
		data, err := proto.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, log, eventlog.Event{ID: id, Type: "t", Schema: schema, Data: data})
	}
	append("1", wrapperspb.String("one"), "google.protobuf.StringValue")
	append("2", durationpb.New(1), "google.protobuf.Duration")
	append("3", wrapperspb.String("three"), "google.protobuf.StringValue")
	mustAppend(t, log, eventlog.Event{ID: "4", Type: "t", Schema: "google.protobuf.StringValue", Data: []byte{0xff}})
	append("5", wrapperspb.String("five"), "google.protobuf.StringValue")
	append("6", durationpb.New(1), "google.protobuf.Duration")
	return log
}

func TestReplayMessagesIsOfOneType(t *testing.T) {
	var got []string
	for stored, err := range eventlog.ReplayMessages[*durationpb.Duration](t.Context(), mixed(t), eventlog.After(2)) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, stored.ID)
	}
	if !slices.Equal(got, []string{"6"}) {
		t.Errorf("replayed %v, want [6]", got)
	}
	got = nil
	for stored, err := range eventlog.ReplayMessages[*wrapperspb.StringValue](t.Context(), mixed(t), eventlog.From{}) {
		if errors.Is(err, eventlog.ErrUnreadable) && stored.Position == 4 && stored.Message == nil {
			got = append(got, err.Error()[:len("the stored event can't be read: the event at position 4 is not a google.protobuf.StringValue: ")])
			continue
		}
		got = append(got, stored.Message.GetValue())
	}
	want := []string{"one", "three", "the stored event can't be read: the event at position 4 is not a google.protobuf.StringValue: ", "five"}
	if !slices.Equal(got, want) {
		t.Errorf("replayed %q, want %q", got, want)
	}
}

// TestErasedEventsAreNoMessages: what is erased would be a message without any field.
func TestErasedEventsAreNoMessages(t *testing.T) {
	log := mixed(t)
	mustAppend(t, log, eventlog.Event{ID: "7", Type: "t", Subject: "ann", Schema: "google.protobuf.Duration", Data: []byte{8, 1}},
		eventlog.Event{ID: "8", Type: "t", Schema: "google.protobuf.Duration", Data: []byte{8, 2}})
	if erased, err := log.(eventlog.EraseLog).Erase(t.Context(), "", "ann"); err != nil || erased.Events != 1 {
		t.Fatal(erased, err)
	}
	for name, read := range map[string]func(context.Context, eventlog.Log, eventlog.From) iter.Seq2[eventlog.Stored[*durationpb.Duration], error]{
		"replay": eventlog.ReplayMessages[*durationpb.Duration], "tail": eventlog.TailMessages[*durationpb.Duration],
	} {
		for stored, err := range read(t.Context(), log, eventlog.After(6)) {
			if err != nil || stored.ID != "8" {
				t.Errorf("%s yields event %s, %v", name, stored.ID, err)
			}
			break
		}
	}
}

// TestATailPassesOverWhatItCannotRead: nobody who follows the log is held up by an
// event of before its type changed, and the server's log has it once.
func TestATailPassesOverWhatItCannotRead(t *testing.T) {
	logged := &lines{}
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.NewTextHandler(logged, nil)))
	log, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	const bad = 25
	for i := range bad {
		mustAppend(t, log, eventlog.Event{ID: strconv.Itoa(i), Type: "t", Schema: "google.protobuf.BytesValue", Data: []byte{0xff}})
	}
	data, err := proto.Marshal(wrapperspb.Bytes([]byte("last")))
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, log, eventlog.Event{ID: "last", Type: "t", Schema: "google.protobuf.BytesValue", Data: data})
	for range 3 { // followers
		for stored, err := range eventlog.TailMessages[*wrapperspb.BytesValue](t.Context(), log, eventlog.From{}) {
			if err != nil || string(stored.Message.Value) != "last" || stored.Position != bad+1 {
				t.Errorf("got %v at %d, %v; want the last", stored.Message, stored.Position, err)
			}
			break
		}
	}
	var counts []string
	for line := range strings.Lines(logged.String()) {
		if _, count, ok := strings.Cut(strings.TrimSpace(line), ` count=`); ok { // else it is of another test's log, which is being looked through
			counts = append(counts, count)
		}
	}
	if !slices.Equal(counts, []string{"1", "10"}) || !strings.Contains(logged.String(), "the event at position 1 is not a google.protobuf.BytesValue") {
		t.Errorf("it logs\n%s", logged)
	}
}

// TestReplayMessagesAhead: what is unmarshalled ahead is yielded in order, and
// not beyond an error, the caller's wish or the end of its context.
func TestReplayMessagesAhead(t *testing.T) {
	log, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	const all, wrong = 1000, 777
	for i := range all {
		data, err := proto.Marshal(wrapperspb.Int64(int64(i + 1)))
		if err != nil {
			t.Fatal(err)
		}
		if i+1 == wrong {
			data = []byte{0xff}
		}
		mustAppend(t, log, eventlog.Event{ID: strconv.Itoa(i), Type: "t", Schema: "google.protobuf.Int64Value", Data: data})
	}
	for name, test := range map[string]struct {
		from    eventlog.Position
		stop    int64 // when to break
		cancel  int64 // when to end the context
		last    int64
		wantErr string

		unreadable eventlog.Position
	}{
		"to the end":               {from: wrong, last: all},
		"a message that is none":   {last: all, unreadable: wrong},
		"until nobody wants more":  {stop: 70, last: 70},
		"until the context's end":  {cancel: 70, last: 70, wantErr: context.Canceled.Error()},
		"nothing":                  {from: all},
		"one that is none, first":  {from: wrong - 1, last: all, unreadable: wrong},
		"up to one before a chunk": {from: all - 63, last: all},
		"up to a chunk":            {from: all - 64, last: all},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			last, failed := int64(0), error(nil)
			var unreadable eventlog.Position
			for stored, err := range eventlog.ReplayMessages[*wrapperspb.Int64Value](ctx, log, eventlog.After(test.from)) {
				if failed != nil {
					t.Fatalf("%+v, %v comes after the error", stored, err)
				}
				if errors.Is(err, eventlog.ErrUnreadable) {
					unreadable = stored.Position
					last = int64(stored.Position)
					continue
				}
				if failed = err; err != nil {
					continue
				}
				if want := cmp.Or(last, int64(test.from)) + 1; stored.Message.Value != want || stored.Position != eventlog.Position(want) {
					t.Fatalf("%v at %d, want %d", stored.Message, stored.Position, want)
				}
				last = stored.Message.Value
				if last == test.stop {
					break
				}
				if last == test.cancel {
					cancel()
				}
			}
			if unreadable != test.unreadable {
				t.Errorf("the event at %d can't be read, want %d", unreadable, test.unreadable)
			}
			if last != test.last || fmt.Sprint(failed) == "<nil>" != (test.wantErr == "") || !strings.Contains(fmt.Sprint(failed), test.wantErr) {
				t.Errorf("the last is %d, then %v; want %d, then %q", last, failed, test.last, test.wantErr)
			}
		})
	}
}

func TestConsumeMessagesIsOfOneType(t *testing.T) {
	for name, consume := range map[string]func(context.Context, eventlog.Log, func(...eventlog.Stored[*wrapperspb.StringValue])) error{
		"one by one": func(ctx context.Context, log eventlog.Log, note func(...eventlog.Stored[*wrapperspb.StringValue])) error {
			return eventlog.ConsumeMessages(ctx, log, "mailer", eventlog.Logger(slog.New(slog.DiscardHandler)), eventlog.Backoff(1, 1),
				eventlog.On(func(_ context.Context, stored eventlog.Stored[*wrapperspb.StringValue]) error {
					note(stored)
					return nil
				}))
		},
		"in batches": func(ctx context.Context, log eventlog.Log, note func(...eventlog.Stored[*wrapperspb.StringValue])) error {
			return eventlog.ConsumeMessageBatches(ctx, log, "mailer", func(_ context.Context, batch []eventlog.Stored[*wrapperspb.StringValue]) error {
				note(batch...)
				return nil
			}, eventlog.Logger(slog.New(slog.DiscardHandler)), eventlog.Backoff(1, 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			log := mixed(t)
			ctx, cancel := context.WithCancel(t.Context())
			var mu sync.Mutex
			var got []string
			ended := make(chan error, 1)
			go func() {
				ended <- consume(ctx, log, func(batch ...eventlog.Stored[*wrapperspb.StringValue]) {
					mu.Lock()
					defer mu.Unlock()
					for _, stored := range batch {
						got = append(got, stored.Message.Value)
					}
				})
			}()
			await(t, "the place is behind all", func() bool {
				stats, err := log.Stats(t.Context())
				return err == nil && len(stats.Consumers) == 1 && stats.Consumers[0].Position == 6
			})
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if !slices.Equal(got, []string{"one", "three", "five"}) {
				t.Errorf("handled %v, want [one three five]", got)
			}
			for letter, err := range log.Dead(t.Context(), "mailer") {
				if err != nil || letter.ID != "4" || letter.Tries > 2 {
					t.Errorf("dead is %+v, %v; want 4", letter, err)
				}
			}
			if stats, err := log.Stats(t.Context()); err != nil || stats.Consumers[0].Dead != 1 {
				t.Errorf("%+v, %v; want one dead letter", stats, err)
			}
		})
	}
}

// TestHandlersShareAConsumer: each type of event comes to its own handler, all
// of one subject in the order in which they were stored.
func TestHandlersShareAConsumer(t *testing.T) {
	log := mixed(t)
	ctx, cancel := context.WithCancel(t.Context())
	var got []string
	ended := make(chan error, 1)
	go func() {
		ended <- eventlog.ConsumeMessages(ctx, log, "mailer", eventlog.Logger(slog.New(slog.DiscardHandler)), eventlog.Backoff(1, 1), eventlog.Concurrency(1),
			eventlog.On(func(_ context.Context, stored eventlog.Stored[*wrapperspb.StringValue]) error {
				got = append(got, "text "+stored.ID)
				return nil
			}),
			eventlog.On(func(_ context.Context, stored eventlog.Stored[*durationpb.Duration]) error {
				got = append(got, "duration "+stored.ID)
				return nil
			}))
	}()
	await(t, "the place is behind all", func() bool {
		stats, err := log.Stats(t.Context())
		return err == nil && len(stats.Consumers) == 1 && stats.Consumers[0].Position == 6
	})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if want := []string{"text 1", "duration 2", "text 3", "text 5", "duration 6"}; !slices.Equal(got, want) {
		t.Errorf("handled %v, want %v", got, want)
	}
	if err := eventlog.ConsumeMessages(t.Context(), log, "nobody"); err == nil {
		t.Error("a consumer without a handler has no error")
	}
}

// TestARenamedMessageIsReadUnderItsFormerNames: replays, tails and consumers get what
// was stored before the message was renamed, and only those of that message.
func TestARenamedMessageIsReadUnderItsFormerNames(t *testing.T) {
	eventlog.RegisterMessage[*wrapperspb.BytesValue]("old.Renamed", "older.Renamed")
	log, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	data, err := proto.Marshal(wrapperspb.Bytes([]byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	for i, schema := range []string{"older.Renamed", "another.Renamed", "old.Renamed", "google.protobuf.BytesValue"} {
		mustAppend(t, log, eventlog.Event{ID: strconv.Itoa(i), Type: "t", Schema: schema, Data: data})
	}
	want := []string{"0", "2", "3"}
	check := func(how string, got []string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s %v, want %v", how, got, want)
		}
	}
	var got []string
	for stored, err := range eventlog.ReplayMessages[*wrapperspb.BytesValue](t.Context(), log, eventlog.From{}) {
		if err != nil || string(stored.Message.GetValue()) != "x" {
			t.Fatal(stored, err)
		}
		got = append(got, stored.ID)
	}
	check("replayed", got)
	got = nil
	for stored, err := range eventlog.TailMessages[*wrapperspb.BytesValue](t.Context(), log, eventlog.From{}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, stored.ID); stored.ID == "3" {
			break
		}
	}
	check("tailed", got)
	type consume = func(context.Context, eventlog.ConsumeOption, func(...eventlog.Stored[*wrapperspb.BytesValue])) error
	for name, consume := range map[string]consume{
		"one by one": func(ctx context.Context, quiet eventlog.ConsumeOption, note func(...eventlog.Stored[*wrapperspb.BytesValue])) error {
			return eventlog.ConsumeMessages(ctx, log, "one by one", quiet, eventlog.Concurrency(1), eventlog.On(func(_ context.Context, stored eventlog.Stored[*wrapperspb.BytesValue]) error {
				note(stored)
				return nil
			}))
		},
		"in batches": func(ctx context.Context, quiet eventlog.ConsumeOption, note func(...eventlog.Stored[*wrapperspb.BytesValue])) error {
			return eventlog.ConsumeMessageBatches(ctx, log, "in batches", func(_ context.Context, stored []eventlog.Stored[*wrapperspb.BytesValue]) error {
				note(stored...)
				return nil
			}, quiet)
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		err := consume(ctx, eventlog.Logger(slog.New(slog.DiscardHandler)), func(stored ...eventlog.Stored[*wrapperspb.BytesValue]) {
			for _, one := range stored {
				if got = append(got, one.ID); one.ID == "3" {
					cancel()
				}
			}
		})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		check("consumed "+name, got)
	}
}

func mustAppend(t testing.TB, log eventlog.Log, events ...eventlog.Event) {
	t.Helper()
	if _, err := log.Append(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
}

// await waits until something is so.
func await(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never comes that %s", what)
		}
	}
}

// A message that AppendMessages refuses never comes to the log, and is observed all the same.
func TestInvalidMessagesAreObserved(t *testing.T) {
	raw, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	invalid := 0
	log := eventlog.Observe(raw, eventlog.Observer{}, eventlog.Observer{Appended: func(_ []eventlog.Receipt, events int, err error, _ time.Duration) {
		if errors.Is(err, eventlog.ErrInvalid) {
			invalid += events
		}
	}})
	messages := []*durationpb.Duration{{Seconds: 1}, {Seconds: 1 << 50}}
	_, err = eventlog.AppendMessages(t.Context(), log, messages, func(*durationpb.Duration) eventlog.Event {
		return eventlog.Event{Source: "shop", Type: "placed"}
	})
	if !errors.Is(err, eventlog.ErrInvalid) || invalid != 2 {
		t.Errorf("%d invalid events are observed, want 2; the error is %v", invalid, err)
	}
}

// TestAppendedMessagesHaveTheirVersion, which an observed log has, too.
func TestAppendedMessagesHaveTheirVersion(t *testing.T) {
	log, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	log = eventlog.Observe(log, eventlog.Observer{})
	if _, err := eventlog.AppendMessages(t.Context(), log, []*durationpb.Duration{{Seconds: 1}, {Seconds: 2}}, func(d *durationpb.Duration) eventlog.Event {
		return eventlog.Event{ID: strconv.Itoa(int(d.GetSeconds())), Type: "t"}
	}); err != nil {
		t.Fatal(err)
	}
	want := eventlog.NewSchema((&durationpb.Duration{}).ProtoReflect().Descriptor())
	schemas, err := eventlog.Schemas(t.Context(), log)
	if err != nil || len(schemas) != 1 || schemas[0].Version != want.Version || !proto.Equal(schemas[0].Files, want.Files) {
		t.Errorf("the log has the schemas %v (%v), want %v", schemas, err, want)
	}
	for record, err := range log.Read(t.Context(), eventlog.From{}) {
		if err != nil || record.Version != want.Version {
			t.Errorf("stored %+v (%v), want version %s", record, err, want.Version)
		}
		if message, err := eventlog.Decode(record.Event); err != nil || message.(*durationpb.Duration).GetSeconds() != int64(record.Position) {
			t.Errorf("it is read as %v, %v", message, err)
		}
	}
	if schemas, err := eventlog.Schemas(t.Context(), struct{ eventlog.Log }{log}); schemas != nil || err != nil {
		t.Errorf("a log that keeps no schemas has %v, %v", schemas, err)
	}
}

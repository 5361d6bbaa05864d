package eventlog

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// mixed is a log with events of two message types, and one that says it is of
// the first and is not.
func mixed(t *testing.T) Log {
	t.Helper()
	log, err := Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	append := func(id string, message proto.Message, schema string) {
		data, err := proto.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, log, Event{ID: id, Type: "t", Schema: schema, Data: data})
	}
	append("1", wrapperspb.String("one"), "google.protobuf.StringValue")
	append("2", durationpb.New(1), "google.protobuf.Duration")
	append("3", wrapperspb.String("three"), "google.protobuf.StringValue")
	mustAppend(t, log, Event{ID: "4", Type: "t", Schema: "google.protobuf.StringValue", Data: []byte{0xff}})
	append("5", wrapperspb.String("five"), "google.protobuf.StringValue")
	append("6", durationpb.New(1), "google.protobuf.Duration")
	return log
}

func TestReplayMessagesIsOfOneType(t *testing.T) {
	var got []string
	for stored, err := range ReplayMessages[*durationpb.Duration](t.Context(), mixed(t), After(2)) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, stored.ID)
	}
	if !slices.Equal(got, []string{"6"}) {
		t.Errorf("replayed %v, want [6]", got)
	}
	got = nil
	var last error
	for stored, err := range ReplayMessages[*wrapperspb.StringValue](t.Context(), mixed(t), From{}) {
		if last = err; err == nil {
			got = append(got, stored.Message.Value)
		}
	}
	if !slices.Equal(got, []string{"one", "three"}) || last == nil {
		t.Errorf("replayed %v and then %v, want [one three] and then that the next is none", got, last)
	}
}

func TestConsumeMessagesIsOfOneType(t *testing.T) {
	for name, consume := range map[string]func(context.Context, Log, func(...Stored[*wrapperspb.StringValue])) error{
		"one by one": func(ctx context.Context, log Log, note func(...Stored[*wrapperspb.StringValue])) error {
			return ConsumeMessages(ctx, log, "mailer", Logger(slog.New(slog.DiscardHandler)), Backoff(1, 1),
				On(func(_ context.Context, stored Stored[*wrapperspb.StringValue]) error {
					note(stored)
					return nil
				}))
		},
		"in batches": func(ctx context.Context, log Log, note func(...Stored[*wrapperspb.StringValue])) error {
			return ConsumeMessageBatches(ctx, log, "mailer", func(_ context.Context, batch []Stored[*wrapperspb.StringValue]) error {
				note(batch...)
				return nil
			}, Logger(slog.New(slog.DiscardHandler)), Backoff(1, 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			log := mixed(t)
			ctx, cancel := context.WithCancel(t.Context())
			var mu sync.Mutex
			var got []string
			ended := make(chan error, 1)
			go func() {
				ended <- consume(ctx, log, func(batch ...Stored[*wrapperspb.StringValue]) {
					mu.Lock()
					defer mu.Unlock()
					for _, stored := range batch {
						got = append(got, stored.Message.Value)
					}
				})
			}()
			await(t, "the place is behind all", func() bool {
				stats, err := log.Stats(t.Context())
				return err == nil && len(stats.Consumers) == 1 && stats.Consumers[0].Place == 6
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
		ended <- ConsumeMessages(ctx, log, "mailer", Logger(slog.New(slog.DiscardHandler)), Backoff(1, 1), Concurrency(1),
			On(func(_ context.Context, stored Stored[*wrapperspb.StringValue]) error {
				got = append(got, "text "+stored.ID)
				return nil
			}),
			On(func(_ context.Context, stored Stored[*durationpb.Duration]) error {
				got = append(got, "duration "+stored.ID)
				return nil
			}))
	}()
	await(t, "the place is behind all", func() bool {
		stats, err := log.Stats(t.Context())
		return err == nil && len(stats.Consumers) == 1 && stats.Consumers[0].Place == 6
	})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if want := []string{"text 1", "duration 2", "text 3", "text 5", "duration 6"}; !slices.Equal(got, want) {
		t.Errorf("handled %v, want %v", got, want)
	}
	if err := ConsumeMessages(t.Context(), log, "nobody"); err == nil {
		t.Error("a consumer without a handler has no error")
	}
}

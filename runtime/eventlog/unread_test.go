package eventlog_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// consumeDurations consumes until something was logged, and returns all that was.
func consumeDurations(t *testing.T, log eventlog.Log, name, until string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	logged := &lines{}
	ended := make(chan error, 1)
	go func() {
		ended <- eventlog.ConsumeMessages(ctx, log, name, eventlog.Logger(slog.New(slog.NewTextHandler(logged, nil))),
			eventlog.On(func(context.Context, eventlog.Stored[*durationpb.Duration]) error { return nil }))
	}()
	await(t, "it logs "+until, func() bool {
		stats, err := log.Stats(t.Context())
		handled := err == nil && len(stats.Consumers) > 0 && stats.Consumers[len(stats.Consumers)-1].Lag == 0
		return handled && strings.Contains(logged.String(), until)
	})
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	return logged.String()
}

// TestEventsThatNothingReadsAreReported: with their count when the consumer starts,
// once in a process, and with the first position when it passes over them.
func TestEventsThatNothingReadsAreReported(t *testing.T) {
	eventlog.ForgetWarnings()
	eventlog.RegisterMessage[*wrapperspb.BoolValue]("unread.Before")
	log, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	for i, schema := range []string{"google.protobuf.Duration", "google.protobuf.BoolValue", "unread.Before", "unread.Old", "unread.Old", "unread.Older", "unread.Old"} {
		mustAppend(t, log, eventlog.Event{ID: fmt.Sprint(i), Type: "t", Schema: schema})
	}
	const old, older = `msg="3 events of unread.Old are stored, and nothing here reads them; `, `msg="1 event of unread.Older is stored, and`
	logged := consumeDurations(t, log, "a", older)
	for text, want := range map[string]int{
		old: 1, older: 1, `receiver:was=unread.Old\"`: 1, "schema=unread.Old first=4\n": 1, "schema=unread.Older first=6\n": 1, "level=WARN": 4,
	} {
		if got := strings.Count(logged, text); got != want {
			t.Errorf("%s is logged %d times, want %d:\n%s", text, got, want, logged)
		}
	}
	logged = consumeDurations(t, log, "b", "schema=unread.Older first=6\n")
	if strings.Contains(logged, "nothing here reads them") {
		t.Errorf("a second consumer counts them again:\n%s", logged)
	}
}

// TestTheSchemasOfALargeLogAreEstimated: reading all of it would take too long, and
// what is first or last in it is not missed.
func TestTheSchemasOfALargeLogAreEstimated(t *testing.T) {
	eventlog.ForgetWarnings()
	log, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	const most = 60_000
	batch := make([]eventlog.Event, most)
	for i := range batch {
		batch[i] = eventlog.Event{ID: fmt.Sprint(i), Type: "t", Schema: "google.protobuf.Duration"}
		switch {
		case i < 200:
			batch[i].Schema = "large.First"
		case i >= most-200:
			batch[i].Schema = "large.Last"
		case i%4 == 0:
			batch[i].Schema = "large.Quarter"
		}
	}
	mustAppend(t, log, batch...)
	logged := consumeDurations(t, log, "a", "events of large.Quarter are stored")
	for _, text := range []string{"about ", "events of large.First are stored", "events of large.Last are stored"} {
		if !strings.Contains(logged, text) {
			t.Errorf("%s is not logged:\n%s", text, logged)
		}
	}
	var about int
	for line := range strings.Lines(logged) {
		if _, text, found := strings.Cut(line, `msg="`); found && strings.Contains(line, "large.Quarter are stored") {
			if _, err := fmt.Sscanf(text, "about %d events", &about); err != nil {
				t.Fatal(err, line)
			}
		}
	}
	if about < most/5 || about > most*3/10 {
		t.Errorf("about %d events of a quarter of %d", about, most)
	}
}

// TestTheFirstTailReportsEventsThatNothingReads, since a program that only tails the
// log has no consumer that would.
func TestTheFirstTailReportsEventsThatNothingReads(t *testing.T) {
	logged := &lines{}
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(logged, nil)))
	defer slog.SetDefault(before)
	log, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, log, eventlog.Event{ID: "1", Type: "t", Schema: "tailed.Old"}, eventlog.Event{ID: "2", Type: "t", Schema: "google.protobuf.Duration"})
	eventlog.ForgetWarnings()
	for range eventlog.TailMessages[*durationpb.Duration](t.Context(), log, eventlog.From{}) {
		break
	}
	await(t, "the event is reported", func() bool { return strings.Contains(logged.String(), "1 event of tailed.Old is stored") })
	if strings.Contains(logged.String(), "Duration") {
		t.Errorf("what it tails is reported, too:\n%s", logged)
	}
}

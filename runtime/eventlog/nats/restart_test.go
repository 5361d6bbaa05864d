package nats_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// mailer is a consumer that runs in the background.
type mailer struct {
	mu      sync.Mutex
	handled []string     // ids of events
	logged  bytes.Buffer // what it has logged
	stop    func()
}

// Write implements [io.Writer] for its logger.
func (m *mailer) Write(text []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.logged.Write(text)
}

// hasHandled reports whether all events with these ids were handled.
func (m *mailer) hasHandled(ids ...string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		if !slices.Contains(m.handled, id) {
			return false
		}
	}
	return true
}

// hasLogged reports whether it has logged a text.
func (m *mailer) hasLogged(text string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Contains(m.logged.String(), text)
}

// startMailer starts a mailer. It is stopped at the end of the test, unless it was
// stopped before.
func startMailer(t *testing.T, log eventlog.Log) *mailer {
	ctx, cancel := context.WithCancel(t.Context())
	m := &mailer{}
	ended := make(chan error, 1)
	go func() {
		ended <- eventlog.Consume(ctx, log, "mailer", func(_ context.Context, record eventlog.Record) error {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.handled = append(m.handled, record.ID)
			return nil
		}, eventlog.Logger(slog.New(slog.NewTextHandler(m, nil))))
	}()
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the consumer ended with %v", err)
		}
	})
	t.Cleanup(m.stop)
	return m
}

// eventually waits until a condition is true.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	(&cluster{}).eventually(t, what, func(context.Context) bool { return condition() })
}

// recreate deletes the stream of a log, creates it again, and appends events to it.
func recreate(t *testing.T, log eventlog.Log, js jetstream.JetStream, stream jetstream.Stream, ids ...string) {
	t.Helper()
	if err := js.DeleteStream(t.Context(), stream.CachedInfo().Config.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), stream.CachedInfo().Config); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if _, err := log.Append(t.Context(), event(id)); err != nil {
			t.Fatal(err)
		}
	}
}

// A stream that was deleted and created again has other events at its positions. So
// a consumer begins with the first, whether it was running at that time or not.
func TestConsumerBeginsAgainWhenItsStreamWasReplaced(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		runs bool
		ids  []string
	}{
		"shorter than the position":                {false, []string{"a", "b", "c"}},
		"longer than the position":                 {false, []string{"a", "b", "c", "d", "e", "f", "g"}},
		"shorter than the position, while it runs": {true, []string{"a", "b", "c"}},
		"longer than the position, while it runs":  {true, []string{"a", "b", "c", "d", "e", "f", "g"}},
	} {
		t.Run(name, func(t *testing.T) {
			log, js, stream := openStream(t, "")
			first := startMailer(t, log)
			eventually(t, "the first events are handled", func() bool { return first.hasHandled("0", "1", "2", "3", "4") })
			if !test.runs {
				first.stop()
			}
			recreate(t, log, js, stream, test.ids...)
			second := first
			if !test.runs {
				stats, err := log.Stats(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if got := stats.Consumers[0]; got.Position != 0 || got.Lag != int64(len(test.ids)) {
					t.Errorf("%+v, want that it lags by %d", got, len(test.ids))
				}
				second = startMailer(t, log)
			}
			eventually(t, "the new events are handled", func() bool { return second.hasHandled(test.ids...) })
			if !second.hasLogged("begins with the first event again; its dead letters stay") || !second.hasLogged("stream EVENTS was deleted and created again") {
				t.Errorf("it has logged %s", second.logged.String())
			}
			second.stop()
			third := startMailer(t, log)
			if _, err := log.Append(t.Context(), event("last")); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the next event is handled", func() bool { return third.hasHandled("last") })
			if third.hasHandled("a") || third.hasLogged("begins with the first") {
				t.Errorf("it began with the first event twice: %s", third.logged.String())
			}
		})
	}
}

// A tail fails when its stream was replaced, and yields none of the new events.
func TestTailFailsWhenItsStreamWasReplaced(t *testing.T) {
	t.Parallel()
	log, js, stream := openStream(t, "")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var last error
	for record, err := range log.Tail(ctx, eventlog.From{}) {
		if last = err; err != nil {
			break
		}
		switch record.ID {
		case "4":
			recreate(t, log, js, stream, "a", "b", "c", "d", "e", "f", "g")
		case "a", "b", "c", "d", "e", "f", "g":
			t.Errorf("%s is yielded after the events of the former stream", record.ID)
		}
	}
	if !errors.Is(last, eventlog.ErrReplaced) || status.Code(last) != codes.FailedPrecondition || !strings.Contains(last.Error(), "deleted and created again") {
		t.Errorf("got %v, want that the stream was created again", last)
	}
}

// A stream that ends before a consumer's position has lost its last events, and may
// have others at their positions by now. So the consumer begins with the first.
func TestConsumerBeginsAgainWhenItsStreamHasLostEvents(t *testing.T) {
	t.Parallel()
	servers := startCluster(t)
	for name, url := range map[string]string{
		"one server": "nats://" + hosts(servers[0]) + "/" + newStream() + "?durability=none",
		"cluster":    "nats://" + hosts(servers...) + "/" + newStream(),
	} {
		t.Run(name, func(t *testing.T) {
			log := open(t, url)
			var receipts []eventlog.Receipt
			for _, id := range []string{"a", "b", "c"} {
				got, err := log.Append(t.Context(), event(id))
				if err != nil {
					t.Fatal(err)
				}
				receipts = append(receipts, got...)
			}
			hold := committed(t, log, receipts[2].Position+1)
			if stats, err := log.Stats(t.Context()); err != nil || stats.Consumers[0].Lag != 3 || stats.Consumers[0].Position != 0 {
				t.Errorf("%+v, %v; want that it lags by 3", stats, err)
			}
			if err := hold.Release(); err != nil {
				t.Fatal(err)
			}
			m := startMailer(t, log)
			eventually(t, "all events are handled", func() bool { return m.hasHandled("a", "b", "c") })
			if !m.hasLogged("it has lost events") {
				t.Errorf("it has logged %s", m.logged.String())
			}
			m.stop()
			// An event that was removed was not lost.
			hold = committed(t, log, receipts[2].Position)
			remove(t, url, receipts[2].Position)
			if err := hold.Release(); err != nil {
				t.Fatal(err)
			}
			if got := mailerPosition(t, log); got != receipts[2].Position {
				t.Errorf("the position is %d, want %d", got, receipts[2].Position)
			}
		})
	}
}

// committed returns the lease of the mailer, after it has committed a position.
func committed(t *testing.T, log eventlog.Log, to eventlog.Position) eventlog.Hold {
	t.Helper()
	hold, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	if err := hold.Commit(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	return hold
}

// mailerPosition takes the lease of the mailer, releases it, and returns the
// position.
func mailerPosition(t *testing.T, log eventlog.Log) eventlog.Position {
	t.Helper()
	hold, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	position, ok := hold.Position()
	if err := hold.Release(); err != nil || !ok {
		t.Errorf("ok is %v, and Release returns %v", ok, err)
	}
	return position
}

// remove removes an event from the stream of a log.
func remove(t *testing.T, url string, position eventlog.Position) {
	t.Helper()
	js, name := connect(t, url)
	stream, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), uint64(position)); err != nil {
		t.Fatal(err)
	}
}

// A position that a former version has written does not say which stream it belongs
// to.
func TestPositionOfAFormerVersionIsUsed(t *testing.T) {
	t.Parallel()
	log, js, _ := openStream(t, "")
	for position, want := range map[eventlog.Position]eventlog.Position{3: 3, 5: 5, 6: 0} {
		data, err := json.Marshal(map[string]any{"consumer": "mailer", "place": position})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.Publish(t.Context(), "EVENTS_consumers.place.mailer", data); err != nil {
			t.Fatal(err)
		}
		if got := mailerPosition(t, log); got != want {
			t.Errorf("%d: the position is %d, want %d", position, got, want)
		}
	}
	if stats, err := log.Stats(t.Context()); err != nil || len(stats.Consumers) != 1 {
		t.Errorf("%+v, %v", stats, err)
	}
}

// The dead letters of a former stream are complete. They stay, even if a new event
// at the same position becomes a dead letter, and each can be tried again.
func TestDeadLettersOfAFormerStreamStay(t *testing.T) {
	t.Parallel()
	log, js, stream := openStream(t, "")
	hold, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	putDead := func(id, reason string, position eventlog.Position) {
		t.Helper()
		letter := eventlog.DeadLetter{Record: eventlog.Record{Event: event(id), Position: position}, Tries: 1, Reason: reason}
		if err := hold.PutDead(t.Context(), letter); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want ...string) {
		t.Helper()
		var got []string
		for letter, err := range log.Dead(t.Context(), "mailer") {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%d %s: %s", letter.Position, letter.ID, letter.Reason))
		}
		if !slices.Equal(got, want) {
			t.Errorf("the dead letters are %q, want %q", got, want)
		}
	}
	retries := func(want ...string) {
		t.Helper()
		letters, err := hold.Retries(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, letter := range letters {
			got = append(got, letter.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q wait to be tried again, want %q", got, want)
		}
	}
	retry := func(want int, positions ...eventlog.Position) {
		t.Helper()
		if count, err := log.Retry(t.Context(), "mailer", positions...); count != want || err != nil {
			t.Errorf("%d letters, %v; want %d", count, err, want)
		}
	}
	removeDead := func(position eventlog.Position) {
		t.Helper()
		if err := hold.RemoveDead(t.Context(), position); err != nil {
			t.Fatal(err)
		}
	}
	putDead("1", "former", 2)
	putDead("4", "former", 10)
	recreate(t, log, js, stream, "a", "b")
	putDead("b", "new", 2)
	check("2 1: former", "2 b: new", "10 4: former")
	putDead("b", "newer", 2)
	check("2 1: former", "2 b: newer", "10 4: former")
	if stats, err := log.Stats(t.Context()); err != nil || stats.Consumers[0].Dead != 3 {
		t.Errorf("%+v, %v", stats, err)
	}

	retry(3)
	retries("1", "4")
	putDead("1", "it failed again", 2)
	retries("b", "4")
	retry(2, 2)
	retries("b", "4") // "b", which was returned before, and not "1"
	removeDead(2)
	removeDead(10)
	check("2 1: it failed again")
	retries("1")
	removeDead(2)
	check()
	putDead("b", "again", 2)
	check("2 b: again")
	retries()
}

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

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// mailer is a consumer in the background, and what it has handled and said.
type mailer struct {
	mu      sync.Mutex
	handled []string
	said    bytes.Buffer
	stop    func()
}

func (m *mailer) Write(text []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.said.Write(text)
}

func (m *mailer) has(ids ...string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		if !slices.Contains(m.handled, id) {
			return false
		}
	}
	return true
}

func (m *mailer) says(text string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Contains(m.said.String(), text)
}

// startMailer runs it until it is stopped, at the latest by the end of the test.
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

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	(&cluster{}).eventually(t, what, func(context.Context) bool { return is() })
}

// makeAnew deletes the stream of a log, makes it again, and appends events to it.
func makeAnew(t *testing.T, log eventlog.Log, js jetstream.JetStream, stream jetstream.Stream, ids ...string) {
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

// A stream that was made anew, or restored, has other events at its positions:
// a consumer begins with the first, whether it runs meanwhile or not.
func TestConsumerOfAStreamMadeAnew(t *testing.T) {
	for name, test := range map[string]struct {
		runs bool
		ids  []string
	}{
		"shorter than the place":              {false, []string{"a", "b", "c"}},
		"longer than the place":               {false, []string{"a", "b", "c", "d", "e", "f", "g"}},
		"shorter than the place, at the same": {true, []string{"a", "b", "c"}},
		"longer than the place, at the same":  {true, []string{"a", "b", "c", "d", "e", "f", "g"}},
	} {
		t.Run(name, func(t *testing.T) {
			log, js, stream := openStream(t, "")
			first := startMailer(t, log)
			eventually(t, "all is handled", func() bool { return first.has("0", "1", "2", "3", "4") })
			if !test.runs {
				first.stop()
			}
			makeAnew(t, log, js, stream, test.ids...)
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
			eventually(t, "all is handled that is new", func() bool { return second.has(test.ids...) })
			if !second.says("begins with the first event again; its dead letters stay") || !second.says("stream EVENTS was deleted and created again") {
				t.Errorf("it says %s", second.said.String())
			}
			second.stop()
			third := startMailer(t, log)
			if _, err := log.Append(t.Context(), event("last")); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it goes on", func() bool { return third.has("last") })
			if third.has("a") || third.says("begins with the first") {
				t.Errorf("it began anew again: %s", third.said.String())
			}
		})
	}
}

func TestTailOfAStreamMadeAnew(t *testing.T) {
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
			makeAnew(t, log, js, stream, "a", "b", "c", "d", "e", "f", "g")
		case "a", "b", "c", "d", "e", "f", "g":
			t.Errorf("%s comes behind what another stream had", record.ID)
		}
	}
	if !errors.Is(last, eventlog.ErrUnavailable) || !strings.Contains(last.Error(), "deleted and created again") {
		t.Errorf("got %v, want that the stream was made anew", last)
	}
}

// A stream that ends before a place has lost its last events, and more may have
// come since: a consumer begins with the first.
func TestPlaceBehindTheEnd(t *testing.T) {
	servers := startCluster(t)
	for name, url := range map[string]string{
		"one server": "nats://" + hosts(servers[0]) + "/" + newStream() + "?durability=none",
		"cluster":    "nats://" + hosts(servers...) + "/" + newStream() + "?timeout=5s",
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
			hold := moved(t, log, receipts[2].Position+1)
			if stats, err := log.Stats(t.Context()); err != nil || stats.Consumers[0].Lag != 3 || stats.Consumers[0].Position != 0 {
				t.Errorf("%+v, %v; want that it lags by 3", stats, err)
			}
			if err := hold.Release(); err != nil {
				t.Fatal(err)
			}
			m := startMailer(t, log)
			eventually(t, "all is handled", func() bool { return m.has("a", "b", "c") })
			if !m.says("it has lost events") {
				t.Errorf("it says %s", m.said.String())
			}
			m.stop()
			// What is removed was not lost.
			hold = moved(t, log, receipts[2].Position)
			remove(t, url, receipts[2].Position)
			if err := hold.Release(); err != nil {
				t.Fatal(err)
			}
			if place := held(t, log); place != receipts[2].Position {
				t.Errorf("the place is %d, want %d", place, receipts[2].Position)
			}
		})
	}
}

// moved is the place of the mailer, moved.
func moved(t *testing.T, log eventlog.Log, to eventlog.Position) eventlog.Hold {
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

// held takes the place of the mailer, and releases it.
func held(t *testing.T, log eventlog.Log) eventlog.Position {
	t.Helper()
	hold, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	place, known := hold.Position()
	if err := hold.Release(); err != nil || !known {
		t.Errorf("known: %v, %v", known, err)
	}
	return place
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

// A place of a former version does not say which stream it is in.
func TestPlaceOfAFormerVersion(t *testing.T) {
	log, js, _ := openStream(t, "")
	for place, want := range map[eventlog.Position]eventlog.Position{3: 3, 5: 5, 6: 0} {
		data, err := json.Marshal(map[string]any{"consumer": "mailer", "place": place})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.Publish(t.Context(), "EVENTS_consumers.place.mailer", data); err != nil {
			t.Fatal(err)
		}
		if got := held(t, log); got != want {
			t.Errorf("%d: the place is %d, want %d", place, got, want)
		}
	}
	if stats, err := log.Stats(t.Context()); err != nil || len(stats.Consumers) != 1 {
		t.Errorf("%+v, %v", stats, err)
	}
}

// The dead letters of a former stream have all that their events had. They stay,
// also if an event at their position becomes a dead letter, and each can be
// tried again.
func TestDeadLettersOfAFormerStream(t *testing.T) {
	log, js, stream := openStream(t, "")
	hold, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	bury := func(id, reason string, position eventlog.Position) {
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
			t.Errorf("%q are to be tried again, want %q", got, want)
		}
	}
	retry := func(want int, positions ...eventlog.Position) {
		t.Helper()
		if count, err := log.Retry(t.Context(), "mailer", positions...); count != want || err != nil {
			t.Errorf("%d letters, %v; want %d", count, err, want)
		}
	}
	revive := func(position eventlog.Position) {
		t.Helper()
		if err := hold.RemoveDead(t.Context(), position); err != nil {
			t.Fatal(err)
		}
	}
	bury("1", "former", 2)
	bury("4", "former", 10)
	makeAnew(t, log, js, stream, "a", "b")
	bury("b", "new", 2)
	check("2 1: former", "2 b: new", "10 4: former")
	bury("b", "newer", 2)
	check("2 1: former", "2 b: newer", "10 4: former")
	if stats, err := log.Stats(t.Context()); err != nil || stats.Consumers[0].Dead != 3 {
		t.Errorf("%+v, %v", stats, err)
	}

	retry(3)
	retries("1", "4")
	bury("1", "it failed again", 2)
	retries("b", "4")
	retry(2, 2)
	retries("b", "4") // which was taken before
	revive(2)
	revive(10)
	check("2 1: it failed again")
	retries("1")
	revive(2)
	check()
	bury("b", "again", 2)
	check("2 b: again")
	retries()
}

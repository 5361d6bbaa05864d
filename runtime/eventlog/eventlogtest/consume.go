package eventlogtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// consumer is a call of Consume in the background.
type consumer struct {
	cancel context.CancelFunc
	ended  chan error
}

func consume(t testing.TB, consume func(context.Context) error) *consumer {
	ctx, cancel := context.WithCancel(within(t))
	c := &consumer{cancel, make(chan error, 1)}
	go func() { c.ended <- consume(ctx) }()
	t.Cleanup(func() {
		cancel()
		c.ended <- <-c.ended
	})
	return c
}

// stop ends it, and checks that it ends well.
func (c *consumer) stop(t testing.TB) {
	t.Helper()
	c.cancel()
	err := <-c.ended
	if c.ended <- err; err != nil {
		t.Errorf("the consumer ended with %v", err)
	}
}

// fast are options for a test that has no time to wait.
func fast(more ...eventlog.ConsumeOption) []eventlog.ConsumeOption {
	return append([]eventlog.ConsumeOption{
		eventlog.Backoff(time.Millisecond, 5*time.Millisecond),
		eventlog.Logger(slog.New(slog.DiscardHandler)),
	}, more...)
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for ctx := within(t); !so(); time.Sleep(2 * time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatalf("it never comes that %s", what)
		}
	}
}

// seen notes what a handler is called with.
type seen struct {
	mu  sync.Mutex
	ids []string
}

func (s *seen) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids = append(s.ids, id)
}

func (s *seen) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ids)
}

func (s *seen) has(count int) func() bool {
	return func() bool { return len(s.all()) >= count }
}

// handle is a handler that has no trouble.
func (s *seen) handle(_ context.Context, record eventlog.Record) error {
	s.add(record.ID)
	return nil
}

// of is the nth event of a subject.
func of(subject string, n int) eventlog.Event {
	event := event(fmt.Sprint(subject, "/", n))
	event.Subject = subject
	return event
}

// consumes tests Consume on logs of the engine.
func (e Engine) consumes(t *testing.T) {
	t.Run("a consumer goes on where it left off", e.resumes)
	t.Run("a new consumer can begin after what is there", e.beginsNow)
	t.Run("events of one subject keep their order", e.keepsOrder)
	t.Run("an event that can't be handled does not hold up the others", e.passesPoison)
	t.Run("a handler may say when to try again", e.retriesWhenAsked)
	t.Run("a dead letter is handled again when asked for", e.handlesDeadLettersAgain)
	t.Run("another process takes over", e.takesOver)
	t.Run("what was begun is finished", e.finishesWhatItBegan)
	t.Run("events are taken as far as the window has room", e.keepsToTheWindow)
	t.Run("batches", e.consumesBatches)
	t.Run("closing the log ends it", e.endsWithTheLog)
}

func (e Engine) resumes(t *testing.T) {
	url := e.URL(t)
	log := open(t, url)
	mustAppend(t, log, events("a", 300)...)
	for round := range 3 {
		var seen seen
		consumer := consume(t, func(ctx context.Context) error { return eventlog.Consume(ctx, log, "mailer", seen.handle, fast()...) })
		mustAppend(t, log, event(fmt.Sprint("round", round)))
		want := 1
		if round == 0 {
			want = 301
		}
		eventually(t, "all is handled", seen.has(want))
		consumer.stop(t)
		if got := seen.all(); len(got) != want || got[want-1] != fmt.Sprint("round", round) {
			t.Errorf("round %d: handled %d, at last %s, want %d", round, len(got), got[len(got)-1], want)
		}
		closeLog(t, log)
		log = open(t, url)
	}
	if lag := mustStats(t, log).Consumers[0].Lag; lag != 0 {
		t.Errorf("it lags by %d", lag)
	}
}

func (e Engine) beginsNow(t *testing.T) {
	for _, before := range []int{0, 10} {
		log := e.empty(t)
		mustAppend(t, log, events("before", before)...)
		var seen seen
		run := func(ctx context.Context) error {
			return eventlog.Consume(ctx, log, "mailer", seen.handle, fast(eventlog.FromNow())...)
		}
		eventually(t, "it begins before there is anything for it", func() bool {
			first := consume(t, run)
			eventually(t, "it has the lease", func() bool { return len(mustStats(t, log).Consumers) == 1 })
			time.Sleep(50 * time.Millisecond)
			first.stop(t)
			hold := mustHold(t, log, "mailer")
			_, begun := hold.Position()
			must(t, hold.Release())
			return begun
		})
		mustAppend(t, log, event("a"))
		second := consume(t, run)
		eventually(t, "it is handled", seen.has(1))
		second.stop(t)
		if got := seen.all(); before > 0 && !slices.Contains(got, "a") || len(got) != 1 {
			t.Errorf("handled %v, want [a]", got)
		}
	}
}

func (e Engine) keepsOrder(t *testing.T) {
	log := e.empty(t)
	const subjects, each = 20, 30
	for n := range each {
		var batch []eventlog.Event
		for subject := range subjects {
			batch = append(batch, of(fmt.Sprint("s", subject), n))
		}
		mustAppend(t, log, batch...)
	}
	var mu sync.Mutex
	next := map[string]int{}
	var handled, running, most atomic.Int64
	consumer := consume(t, func(ctx context.Context) error {
		return eventlog.Consume(ctx, log, "mailer", func(_ context.Context, record eventlog.Record) error {
			now := running.Add(1)
			defer running.Add(-1)
			for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
			}
			time.Sleep(rand.N(200 * time.Microsecond))
			if rand.N(10) == 0 {
				return errors.New("by chance")
			}
			mu.Lock()
			defer mu.Unlock()
			if want := of(record.Subject, next[record.Subject]).ID; record.ID != want {
				t.Errorf("handled %s, want %s", record.ID, want)
			}
			next[record.Subject]++
			handled.Add(1)
			return nil
		}, fast(eventlog.Concurrency(4), eventlog.Tries(100))...)
	})
	eventually(t, "all is handled", func() bool { return handled.Load() == subjects*each })
	consumer.stop(t)
	if most.Load() < 2 || most.Load() > 4 {
		t.Errorf("at most %d were handled at once, want 4", most.Load())
	}
}

// lineNumber is the line of a file.
var lineNumber = regexp.MustCompile(`:\d+\b`)

func (e Engine) passesPoison(t *testing.T) {
	log := e.empty(t)
	mustAppend(t, log, events("", 50)...)
	var tries, hopeless atomic.Int64
	var seen seen
	var said bytes.Buffer
	consumer := consume(t, func(ctx context.Context) error {
		return eventlog.Consume(ctx, log, "mailer", func(ctx context.Context, record eventlog.Record) error {
			switch record.ID {
			case "7":
				tries.Add(1)
				return errors.New("no route to 7")
			case "9":
				hopeless.Add(1)
				return eventlog.GiveUp(errors.New("hopeless"))
			case "11":
				panic("out of order")
			}
			return seen.handle(ctx, record)
		}, fast(eventlog.Tries(3), eventlog.Logger(slog.New(slog.NewTextHandler(&said, nil))))...)
	})
	eventually(t, "the rest is handled", seen.has(47))
	consumer.stop(t)
	letters := letters(t, log, "mailer")
	var got []string
	for _, letter := range letters {
		got = append(got, fmt.Sprintf("%s: %s, %d", letter.ID, lineNumber.ReplaceAllString(letter.Reason, ":"), letter.Tries))
	}
	if want := []string{"7: no route to 7, 3", "9: hopeless, 1", "11: panic: out of order (consume.go:), 3"}; !slices.Equal(got, want) {
		t.Errorf("the dead letters are %q, want %q", got, want)
	}
	if tries.Load() != 3 || hopeless.Load() != 1 {
		t.Errorf("tried %d and %d times, want 3 and 1", tries.Load(), hopeless.Load())
	}
	if lag := mustStats(t, log).Consumers[0].Lag; lag != 0 {
		t.Errorf("it lags by %d", lag)
	}
	if !strings.Contains(said.String(), "stack=") || !strings.Contains(said.String(), "consume.go") {
		t.Errorf("the panic is not logged with its stack: %s", said.String())
	}
}

func (e Engine) retriesWhenAsked(t *testing.T) {
	log := e.empty(t)
	mustAppend(t, log, event("a"))
	var times []time.Time
	done := make(chan struct{})
	consumer := consume(t, func(ctx context.Context) error {
		return eventlog.Consume(ctx, log, "mailer", func(context.Context, eventlog.Record) error {
			if times = append(times, time.Now()); len(times) < 3 {
				return eventlog.RetryAfter(errors.New("not yet"), 60*time.Millisecond)
			}
			close(done)
			return nil
		}, fast()...)
	})
	<-done
	consumer.stop(t)
	for i := 1; i < len(times); i++ {
		if waited := times[i].Sub(times[i-1]); waited < 60*time.Millisecond {
			t.Errorf("it waited %v, want 60 ms", waited)
		}
	}
}

func (e Engine) handlesDeadLettersAgain(t *testing.T) {
	log, another := e.shared(t)
	mustAppend(t, log, events("", 5)...)
	var healed atomic.Bool
	var seen seen
	consumer := consume(t, func(ctx context.Context) error {
		return eventlog.Consume(ctx, log, "mailer", func(ctx context.Context, record eventlog.Record) error {
			if record.ID == "2" && !healed.Load() {
				return errors.New("no route")
			}
			return seen.handle(ctx, record)
		}, fast(eventlog.Tries(2))...)
	})
	eventually(t, "it is given up", func() bool { return len(letters(t, log, "mailer")) == 1 })
	retry := func() {
		t.Helper()
		if n, err := another.Retry(within(t), "mailer"); n != 1 || err != nil {
			t.Fatalf("%d letters, %v", n, err)
		}
	}
	began := time.Now()
	retry()
	eventually(t, "it is given up again", func() bool {
		letters := letters(t, another, "mailer")
		return len(letters) == 1 && letters[0].Tries == 4 && !letters[0].Retrying
	})
	first := time.Since(began)
	healed.Store(true)
	began = time.Now()
	retry()
	eventually(t, "it is handled", func() bool { return slices.Contains(seen.all(), "2") })
	if took := min(first, time.Since(began)); took > 3*time.Second { // on a busy machine one may
		t.Errorf("it took %v at least", took)
	}
	eventually(t, "its dead letter is removed", func() bool { return len(letters(t, another, "")) == 0 })
	consumer.stop(t)
}

func (e Engine) takesOver(t *testing.T) {
	one, another := e.shared(t)
	mustAppend(t, one, events("a", 10)...)
	var first, second seen
	consumer := consume(t, func(ctx context.Context) error { return eventlog.Consume(ctx, one, "mailer", first.handle, fast()...) })
	eventually(t, "the first handles all", first.has(10))
	waiting := consume(t, func(ctx context.Context) error {
		return eventlog.Consume(ctx, another, "mailer", second.handle, fast()...)
	})
	time.Sleep(50 * time.Millisecond)
	consumer.stop(t)
	mustAppend(t, one, event("b"))
	eventually(t, "the second handles what comes", second.has(1))
	waiting.stop(t)
	if got := second.all(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("the second handled %v, want [b]", got)
	}
}

func (e Engine) finishesWhatItBegan(t *testing.T) {
	log := e.empty(t)
	mustAppend(t, log, events("", 3)...)
	begun, finished := make(chan struct{}), false
	consumer := consume(t, func(ctx context.Context) error {
		return eventlog.Consume(ctx, log, "mailer", func(ctx context.Context, record eventlog.Record) error {
			close(begun)
			time.Sleep(50 * time.Millisecond)
			finished = ctx.Err() == nil
			return nil
		}, fast(eventlog.Concurrency(1))...)
	})
	<-begun
	consumer.stop(t)
	if stats := mustStats(t, log).Consumers[0]; !finished || stats.Lag != 2 || stats.Holder != "" {
		t.Errorf("finished: %v; %+v", finished, stats)
	}
}

func (e Engine) keepsToTheWindow(t *testing.T) {
	log := e.empty(t)
	for n := range 100 {
		mustAppend(t, log, of(fmt.Sprint("s", n), n))
	}
	var seen seen
	blocked := make(chan struct{})
	consumer := consume(t, func(ctx context.Context) error {
		return eventlog.Consume(ctx, log, "mailer", func(ctx context.Context, record eventlog.Record) error {
			if record.Subject == "s0" {
				<-blocked
			}
			return seen.handle(ctx, record)
		}, fast(eventlog.Window(16))...)
	})
	time.Sleep(300 * time.Millisecond)
	if got := len(seen.all()); got > 15 {
		t.Errorf("%d were handled beside the first, want at most 15", got)
	}
	close(blocked)
	eventually(t, "all is handled", seen.has(100))
	consumer.stop(t)
}

func (e Engine) consumesBatches(t *testing.T) {
	log := e.empty(t)
	for n := range 10 {
		mustAppend(t, log, of("a", n), of("b", n), of("c", n))
	}
	var mu sync.Mutex
	var handled []string
	largest := 0
	consumer := consume(t, func(ctx context.Context) error {
		return eventlog.ConsumeBatches(ctx, log, "mailer", func(_ context.Context, batch []eventlog.Record) error {
			mu.Lock()
			defer mu.Unlock()
			largest = max(largest, len(batch))
			if !slices.IsSortedFunc(batch, func(a, b eventlog.Record) int { return int(a.Position - b.Position) }) {
				t.Error("a batch is not in order")
			}
			if slices.ContainsFunc(batch, func(r eventlog.Record) bool { return r.ID == "b/4" }) {
				return errors.New("poison")
			}
			handled = append(handled, idsOf(batch)...)
			return nil
		}, fast(eventlog.BatchSize(7), eventlog.Tries(3))...)
	})
	eventually(t, "all is handled", func() bool { mu.Lock(); defer mu.Unlock(); return len(handled) == 29 })
	consumer.stop(t)
	if largest < 2 || largest > 7 {
		t.Errorf("the largest batch had %d events, want up to 7", largest)
	}
	if dead := letters(t, log, "mailer"); len(dead) != 1 || dead[0].ID != "b/4" || dead[0].Tries != 3 {
		t.Errorf("the dead letters are %+v", dead)
	}
	for subject := range strings.SplitSeq("a b c", " ") {
		last := -1
		for _, id := range handled {
			var n int
			if _, err := fmt.Sscanf(id, subject+"/%d", &n); err == nil {
				if n <= last {
					t.Errorf("%s is handled after %d", id, last)
				}
				last = n
			}
		}
	}
}

func (e Engine) endsWithTheLog(t *testing.T) {
	log := e.empty(t)
	consumer := consume(t, func(ctx context.Context) error {
		return eventlog.Consume(ctx, log, "mailer", new(seen).handle, fast()...)
	})
	eventually(t, "it has begun", func() bool { return len(mustStats(t, log).Consumers) == 1 })
	closeLog(t, log)
	err := <-consumer.ended
	if consumer.ended <- err; !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("got %v, want that the log is closed", err)
	}
}

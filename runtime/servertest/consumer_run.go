//runtime:with eventlog

package servertest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// maxFailures is how often a handler may fail with an event that it handles in the end.
const maxFailures = 4

// running is a consumer that runs on a log of its own, and what it has done so far.
type running struct {
	Consumer
	t       *testing.T
	log     eventlog.Log
	schemas map[string]string                                     // names of the types, by schema
	within  func(ctx context.Context, first bool) context.Context // changes what a handler gets, if not nil
	mayFail bool                                                  // whether handlers may fail for good

	consume func(context.Context) error
	cancel  context.CancelFunc
	abandon context.CancelFunc // ends the contexts of handlers
	ended   chan error
	over    bool // whether ended was received

	mu         sync.Mutex
	changed    chan struct{} // closed when anything below changes
	effects    []func() []string
	handlings  map[eventlog.Position]*handling
	unreadable map[eventlog.Position]bool
	sequences  map[[2]string]*handling // what runs of a source and subject
	names      []string                // of consumers of the log
	at         place                   // where the log is consumed
	committed  eventlog.Position
	problems   []string
	leftovers  map[string]map[eventlog.Position]bool // handlers' goroutines, if they are looked for
}

// handling is what became of an event.
type handling struct {
	kind, id string
	position eventlog.Position
	ours     bool // whether the test appended it
	before   bool // whether it was appended before the consumer ran
	tries    int
	since    time.Time // when the handler got it; zero if none has it
	handled  bool
	again    bool // whether it was handled before the log forgot that
	gaveUp   bool
	err      error // of the last try
}

func (h *handling) String() string {
	return fmt.Sprintf("%s %q at position %d", h.kind, h.id, h.position)
}

// begin opens a log, and makes the service on it.
func (c Consumer) begin(t *testing.T) *running {
	t.Helper()
	log, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	r := &running{
		Consumer: c, t: t, log: log, schemas: map[string]string{}, changed: make(chan struct{}),
		handlings: map[eventlog.Position]*handling{}, unreadable: map[eventlog.Position]bool{}, sequences: map[[2]string]*handling{},
	}
	for _, kind := range c.Types {
		r.schemas[string(kind.least().ProtoReflect().Descriptor().FullName())] = kind.name
	}
	r.renew()
	return r
}

// renew makes the service again, as a restart of its process does.
func (r *running) renew() {
	consuming := r.New(r.t, eventlog.Observe(&consumedLog{r.log, r}, eventlog.Observer{Handling: r.handling, Failed: r.failed}))
	r.consume = consuming.Run
	if consuming.Effects != nil {
		r.effects = append(r.effects, consuming.Effects)
	}
}

// forget deletes the position of the consumer, and what is known of its handlers.
func (r *running) forget() {
	r.t.Helper()
	hold, err := r.log.Hold(r.t.Context(), r.Name)
	if err == nil {
		err = hold.Delete(r.t.Context())
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.committed = 0
	clear(r.sequences)
	for _, h := range r.handlings {
		h.handled, h.again, h.tries = false, h.handled, 0
	}
}

// checkRepeated checks that no event had its effect twice.
func (r *running) checkRepeated() {
	r.t.Helper()
	for _, effects := range r.effects {
		seen := map[string]bool{}
		for _, id := range effects() {
			if seen[id] {
				r.problem("it handled the event with the id %q again, which had its effect twice: does the handler store the id together with the effect, and look for it first?", id)
				break
			}
			seen[id] = true
		}
	}
	r.report()
}

// append appends events of each type and subject.
func (r *running) append(rounds int, subjects ...string) {
	r.t.Helper()
	r.mu.Lock() // so that no handler gets an event that is not known yet
	defer r.mu.Unlock()
	for range rounds {
		for _, subject := range subjects {
			for _, kind := range r.Types {
				receipt, err := kind.appendTo(r.t.Context(), r.log, subject)
				if err != nil {
					r.t.Fatal(err)
				}
				r.handlings[receipt.Position] = &handling{kind: kind.name, id: receipt.ID, position: receipt.Position, ours: true, before: r.cancel == nil}
			}
		}
	}
}

// start runs the consumer.
func (r *running) start() {
	ctx, cancel := context.WithCancel(r.t.Context())
	if r.mayFail {
		ctx = eventlog.Once(ctx)
	}
	handlers, abandon := context.WithCancel(context.Background())
	ctx = context.WithValue(ctx, abandonedKey{}, handlers) // handlers get the values of ctx
	r.cancel, r.abandon, r.ended, r.over = cancel, abandon, make(chan error, 1), false
	ended, consume := r.ended, r.consume
	go func() { ended <- consume(ctx) }()
}

// abandonedKey is the key of a context that ends when handlers are to be abandoned.
type abandonedKey struct{}

// wait waits until all events are handled, or it is certain that one will not be.
func (r *running) wait() {
	timeout := time.After(consumeTimeout)
	for {
		r.mu.Lock()
		changed, settled := r.changed, r.settled()
		r.mu.Unlock()
		if settled {
			return
		}
		select {
		case <-changed:
		case err := <-r.ended:
			r.over = true
			r.problem("it has ended before it was stopped%s", because(err))
			return
		case <-timeout:
			r.late()
			return
		}
	}
}

// until waits for a signal of a handler, as long as there may be one.
func (r *running) until(signal <-chan struct{}) bool {
	select {
	case <-signal:
		return true
	case err := <-r.ended:
		r.over = true
		r.problem("it has ended before it was stopped%s", because(err))
	case <-time.After(consumeTimeout):
		r.late()
	}
	return false
}

// settled reports whether nothing is left to wait for. mu is held.
func (r *running) settled() bool {
	foreign, open := 0, false
	for record, err := range r.log.Read(r.t.Context(), eventlog.From{}) {
		if err != nil {
			r.note("%v", err)
			break
		}
		if r.schemas[record.Schema] == "" {
			continue
		}
		h := r.handlings[record.Position]
		if h == nil || !h.ours { // the consumer has appended it
			foreign++
			open = open || h == nil && record.Position > r.committed
			continue
		}
		open = open || r.isOpen(h)
	}
	if foreign > maxForeign {
		r.note("it handles what it appends itself, and appends another event for each: %d so far", foreign)
	}
	return !open || len(r.problems) > 0
}

// maxForeign is how many events a consumer of few events may append to its own log.
const maxForeign = 200

// isOpen reports whether an event is still to be handled, and notes why it won't be. mu is held.
func (r *running) isOpen(h *handling) bool {
	mayFail := r.mayFail || r.unreadable[h.position]
	switch {
	case h.handled, mayFail && h.tries > 0:
	case h.tries == 0 && h.since.IsZero() && h.position <= r.committed:
		if h.again { // the consumer knows better than the log: its position is in a database
			return false
		}
		why := "is there no handler of this type in Consume?"
		if h.before {
			why = "it was stored before the consumer began: does Consume use FromNow, or has it no handler of this type?"
		}
		r.note("it has skipped the %s: %s", h, why)
	case h.gaveUp:
		r.note("it gave up on the %s: %v. %s", h, h.err, r.wayOut(h))
	case h.tries >= maxFailures:
		r.note("the handler has failed %d times with the %s: %v. %s", h.tries, h, h.err, r.wayOut(h))
	default:
		return true
	}
	return false
}

// wayOut returns what to do if a handler is right to refuse an event.
func (r *running) wayOut(h *handling) string {
	return fmt.Sprintf("If it is right to refuse this event, change the event in testdata, or set New%s of the contract to a function that returns one that it handles", h.kind)
}

// late notes what the consumer waits for.
func (r *running) late() {
	r.mu.Lock()
	defer r.mu.Unlock()
	positions := slices.Sorted(maps.Keys(r.handlings))
	for _, position := range positions {
		if h := r.handlings[position]; !h.since.IsZero() {
			r.note("after %s the handler has not returned from the %s", consumeTimeout, h)
			r.abandon()
			return
		}
	}
	for _, position := range positions {
		switch h := r.handlings[position]; {
		case h.handled:
		case h.tries > 0:
			r.note("after %s the handler still fails with the %s: %v", consumeTimeout, h, h.err)
			return
		case !slices.Contains(r.names, r.Name):
			r.note("after %s no consumer %q has begun in the log that New gets, only %q: does Consume use another name, or another log?", consumeTimeout, r.Name, r.names)
			return
		default:
			r.note("after %s no handler has got the %s", consumeTimeout, h)
			return
		}
	}
}

// stop stops the consumer, waits until it has ended, and reports what was wrong.
func (r *running) stop() {
	r.t.Helper()
	r.cancel()
	if !r.over && !r.hasEnded(endTimeout) {
		r.problem("it has not ended within %s after it was stopped: a handler does not return", endTimeout)
		r.abandon()
		r.hasEnded(endTimeout)
	}
	r.abandon()
	r.report()
}

// hasEnded reports whether the consumer ends within a time.
func (r *running) hasEnded(within time.Duration) bool {
	select {
	case err := <-r.ended:
		if r.over = true; err != nil {
			r.problem("it has ended%s", because(err))
		}
		return true
	case <-time.After(within):
		return false
	}
}

// handling is called before a handler gets events, and what it returns when that has
// returned. See [eventlog.Observer].
func (r *running) handling(ctx context.Context, name string, records []eventlog.Record) (context.Context, func(error)) {
	if name != r.Name {
		return ctx, func(error) {}
	}
	first := r.handsOver(records)
	within, cancel := context.WithCancel(ctx)
	if abandoned, ok := ctx.Value(abandonedKey{}).(context.Context); ok {
		context.AfterFunc(abandoned, cancel)
	}
	if r.within != nil {
		within = r.within(within, first)
	}
	hasReturned := r.watch(records[0].Position)
	return within, func(err error) {
		hasReturned()
		cancel()
		if err == nil {
			r.check(within, records)
		}
		r.returned(records, err)
	}
}

// handsOver notes that a handler gets events, and returns whether it is for the first time.
func (r *running) handsOver(records []eventlog.Record) (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first = true
	for i := range records {
		record := &records[i]
		h := r.handlings[record.Position]
		if h == nil {
			h = &handling{kind: r.schemas[record.Schema], id: record.ID, position: record.Position}
			r.handlings[record.Position] = h
		}
		sequence := [2]string{record.Source, record.Subject}
		switch before := r.sequences[sequence]; {
		case before == nil || before == h:
		case !before.since.IsZero() && !slices.ContainsFunc(records, func(r eventlog.Record) bool { return r.Position == before.position }):
			r.note("it handled the %s while the %s, of the same source and subject, was not handled yet", h, before)
		case h.position < before.position && h.tries == 0:
			r.note("it handled the %s after the %s, of the same source and subject", h, before)
		}
		r.sequences[sequence] = h
		first = first && h.tries == 0
		h.since = time.Now()
	}
	r.change()
	return first
}

// returned notes the result of a handler.
func (r *running) returned(records []eventlog.Record, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range records {
		h := r.handlings[records[i].Position]
		h.since, h.err, h.handled = time.Time{}, err, h.handled || err == nil
		h.tries++
	}
	if err != nil && strings.HasPrefix(err.Error(), "panic: ") {
		r.note("the handler panicked with the %s: %s", r.handlings[records[0].Position], strings.TrimPrefix(err.Error(), "panic: "))
	}
	r.change()
}

// failed notes that the consumer gave up on an event.
func (r *running) failed(_ context.Context, name string, record *eventlog.Record, _ int, then eventlog.Then) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.handlings[record.Position]; name == r.Name && then.GiveUp {
		h.gaveUp = true
	}
}

// check notes what is wrong with events of which the handler has just reported that they
// are handled.
func (r *running) check(ctx context.Context, records []eventlog.Record) {
	if refusing, ok := ctx.Value(refusingKey{}).(*refusing); ok && refusing.refused.Load() {
		r.problem("the log refused what the handler of the %s appended, and the handler returned no error: is one swallowed?", r.of(&records[0]))
	}
	r.mu.Lock()
	effects := r.effects
	r.mu.Unlock()
	if len(effects) == 0 {
		return
	}
	seen := map[string]bool{}
	for _, effects := range effects {
		for _, id := range effects() {
			seen[id] = true
		}
	}
	for i := range records {
		if h := r.of(&records[i]); h.ours && !r.unreadable[h.position] && !seen[h.id] {
			r.problem("the handler returned no error for the %s, which has had no effect%s: does it skip the event, go on after it has returned, or swallow an error? Or has such an event no effect, and the test needs another one?", h, r.when(ctx))
			return
		}
	}
}

// when returns what had failed when a handler ran.
func (r *running) when(ctx context.Context) string {
	switch {
	case ctx.Value(refusingKey{}) != nil:
		return " when the log failed"
	case ctx.Value(interruptedKey{}) != nil:
		return " when its context had ended"
	}
	return ""
}

// of returns what is known of an event.
func (r *running) of(record *eventlog.Record) *handling {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.handlings[record.Position]
}

// change wakes those who wait for a change. mu is held.
func (r *running) change() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// problem notes that something is wrong.
func (r *running) problem(format string, values ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note(format, values...)
	r.change()
}

// note notes that something is wrong. mu is held.
func (r *running) note(format string, values ...any) {
	problem := fmt.Sprintf(format, values...)
	if !slices.Contains(r.problems, problem) {
		r.problems = append(r.problems, problem)
	}
}

// report makes the test fail with the first of what is wrong: the rest may follow from it.
func (r *running) report() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.problems) > 0 {
		r.t.Fatalf("%sconsumer %s: %s", r.at, r.Name, r.problems[0])
	}
}

// consumedLog is the log that the service has.
type consumedLog struct {
	eventlog.Log
	r *running
}

// Hold implements [eventlog.Log]. It notes who consumes.
func (l *consumedLog) Hold(ctx context.Context, consumer string) (eventlog.Hold, error) {
	l.r.mu.Lock()
	l.r.names = append(l.r.names, consumer)
	if l.r.at == (place{}) || consumer == l.r.Name {
		l.r.at = caller()
	}
	l.r.mu.Unlock()
	hold, err := l.Log.Hold(ctx, consumer)
	if err != nil || consumer != l.r.Name {
		return hold, err
	}
	return &consumedHold{hold, l.r}, nil
}

// Append implements [eventlog.Log].
func (l *consumedLog) Append(ctx context.Context, events ...eventlog.Event) ([]eventlog.Receipt, error) {
	if refusing, ok := ctx.Value(refusingKey{}).(*refusing); ok {
		refusing.refused.Store(true)
		return nil, errBroken
	}
	return l.Log.Append(ctx, events...)
}

// refusing makes the log refuse what a handler appends.
type refusing struct{ refused atomic.Bool }

// The keys of what is in the context of a handler.
type (
	refusingKey    struct{} // a *refusing
	interruptedKey struct{} // whether the context has ended before
)

// consumedHold is the lease of the consumer.
type consumedHold struct {
	eventlog.Hold
	r *running
}

// Commit implements [eventlog.Hold].
func (h *consumedHold) Commit(ctx context.Context, position eventlog.Position) error {
	err := h.Hold.Commit(ctx, position)
	if err == nil {
		h.r.mu.Lock()
		defer h.r.mu.Unlock()
		h.r.committed = position
		h.r.change()
	}
	return err
}

// because returns the error with which something ended as the end of a sentence.
func because(err error) string {
	if err == nil {
		return ", without an error"
	}
	return fmt.Sprintf(", with the error %v", err)
}

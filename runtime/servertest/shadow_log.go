//runtime:with eventlog

package servertest

import (
	"context"
	"hash/fnv"
	"iter"
	"math"
	"sync"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// takenEvents are those of the stored events that are taken.
type takenEvents struct {
	source eventlog.Log
	from   eventlog.From
	share  float64 // of the subjects whose events are taken
}

// take chooses the events to take.
func (s *Shadow) take(ctx context.Context, source eventlog.Log) (*takenEvents, error) {
	taken := &takenEvents{source: source, share: 1}
	stats, err := source.Stats(ctx)
	if err != nil {
		return nil, err
	}
	events := stats.Events
	if s.Since > 0 {
		taken.from = eventlog.Since(time.Now().Add(-s.Since))
		first := stats.Last + 1
		for record, err := range source.Read(ctx, taken.from) {
			if err != nil {
				return nil, err
			}
			first = record.Position
			break
		}
		events = int64(float64(events) * float64(stats.Last-first+1) / float64(stats.Last-stats.First+1))
	}
	if s.Sample > 0 && events > int64(s.Sample) {
		taken.share = float64(s.Sample) / float64(events)
	}
	return taken, nil
}

// has reports whether an event is taken: if one of a subject is, all of that are, since
// handlers may need what came before. Events without a subject are taken one by one.
func (taken *takenEvents) has(record *eventlog.Record) bool {
	if taken.share >= 1 {
		return true
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(record.Source + "\x00" + record.Subject))
	if record.Subject == "" {
		_, _ = hash.Write([]byte(record.ID))
	}
	return float64(mixed(hash.Sum64()))/math.MaxUint64 < taken.share
}

// mixed spreads a hash: the first bits of FNV's differ little for texts that end otherwise.
func mixed(hash uint64) uint64 {
	hash ^= hash >> 33
	hash *= 0xff51afd7ed558ccd
	hash ^= hash >> 33
	return hash * 0xc4ceb9fe1a85ec53
}

// shadowLog is what a consumer takes for its log: it has the events that are taken, at
// their positions, and nothing that happens to it reaches the log that they come from.
type shadowLog struct {
	*takenEvents
	done func() // called once all events are handled

	mu          sync.Mutex
	read        int64 // how many events were read
	first, last time.Time
	end         eventlog.Position // of the last event; -1 until it was read
	committed   eventlog.Position
	appended    eventlog.Position
	letters     []eventlog.DeadLetter
}

// Tail implements [eventlog.Log].
func (l *shadowLog) Tail(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		last := from.After
		if from.After == 0 {
			from = l.from
		}
		for record, err := range l.source.Read(ctx, from) {
			if err != nil {
				yield(record, err)
				return
			}
			if !l.has(&record) {
				continue
			}
			l.mu.Lock()
			if l.read++; l.first.IsZero() {
				l.first = record.Recorded
			}
			l.last, last = record.Recorded, record.Position
			l.mu.Unlock()
			if !yield(record, nil) {
				return
			}
		}
		l.mu.Lock()
		l.end = last
		l.mu.Unlock()
		l.checkDone()
		<-ctx.Done()
		yield(eventlog.Record{}, eventlog.Ended(ctx))
	}
}

// checkDone calls done if all events are handled.
func (l *shadowLog) checkDone() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end >= 0 && l.committed >= l.end {
		l.done()
	}
}

// Read implements [eventlog.Log]. Handlers may read everything.
func (l *shadowLog) Read(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return l.source.Read(ctx, from)
}

// Append implements [eventlog.Log]. It stores nothing.
func (l *shadowLog) Append(_ context.Context, events ...eventlog.Event) ([]eventlog.Receipt, error) {
	if _, err := eventlog.Validate(events); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	receipts := make([]eventlog.Receipt, len(events))
	for i := range receipts {
		l.appended++
		receipts[i] = eventlog.Receipt{Position: math.MaxInt64/2 + l.appended, Durability: eventlog.None, ID: events[i].ID}
	}
	return receipts, nil
}

// Hold implements [eventlog.Log].
func (l *shadowLog) Hold(context.Context, string) (eventlog.Hold, error) {
	hold := &shadowHold{log: l}
	hold.lost, hold.lose = context.WithCancel(context.Background())
	return hold, nil
}

// Dead implements [eventlog.Log].
func (l *shadowLog) Dead(context.Context, string) iter.Seq2[eventlog.DeadLetter, error] {
	return func(func(eventlog.DeadLetter, error) bool) {}
}

// Retry implements [eventlog.Log].
func (l *shadowLog) Retry(context.Context, string, ...eventlog.Position) (int, error) { return 0, nil }

// Discard implements [eventlog.Log].
func (l *shadowLog) Discard(context.Context, string, ...eventlog.Position) (int, error) {
	return 0, nil
}

// Stats implements [eventlog.Log]. With no events in it, a consumer begins with the first
// even if it would begin with the next.
func (l *shadowLog) Stats(context.Context) (eventlog.Stats, error) {
	return eventlog.Stats{Durability: eventlog.None}, nil
}

// Check implements [eventlog.Log].
func (l *shadowLog) Check(context.Context) error { return nil }

// Close implements [eventlog.Log].
func (l *shadowLog) Close() error { return nil }

// shadowHold is the lease of the consumer.
type shadowHold struct {
	log  *shadowLog
	lost context.Context
	lose context.CancelFunc
}

// Position implements [eventlog.Hold].
func (h *shadowHold) Position() (eventlog.Position, bool) {
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	return h.log.committed, h.log.committed > 0
}

// Restarted implements [eventlog.Hold].
func (h *shadowHold) Restarted() string { return "" }

// From implements [eventlog.Hold].
func (h *shadowHold) From(after eventlog.Position) eventlog.From { return eventlog.After(after) }

// Lost implements [eventlog.Hold].
func (h *shadowHold) Lost() context.Context { return h.lost }

// Commit implements [eventlog.Hold].
func (h *shadowHold) Commit(_ context.Context, position eventlog.Position) error {
	h.log.mu.Lock()
	h.log.committed = position
	h.log.mu.Unlock()
	h.log.checkDone()
	return nil
}

// SetFailure implements [eventlog.Hold].
func (h *shadowHold) SetFailure(context.Context, eventlog.Failure) error { return nil }

// PutDead implements [eventlog.Hold].
func (h *shadowHold) PutDead(_ context.Context, letter eventlog.DeadLetter) error {
	letter.Data = nil
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	h.log.letters = append(h.log.letters, letter)
	return nil
}

// Retries implements [eventlog.Hold].
func (h *shadowHold) Retries(context.Context) ([]eventlog.DeadLetter, error) { return nil, nil }

// RemoveDead implements [eventlog.Hold].
func (h *shadowHold) RemoveDead(context.Context, eventlog.Position) error { return nil }

// Delete implements [eventlog.Hold].
func (h *shadowHold) Delete(context.Context) error { return h.Release() }

// Release implements [eventlog.Hold].
func (h *shadowHold) Release() error {
	h.lose()
	return nil
}

// Package memory stores events in the memory of this process, for tests. Import it
// for [eventlog.Open] to know its URLs:
//
//	memory:       a new log
//	memory:NAME   the log of that name, which the whole process shares
//
// Its events are lost with the process, and so its durability is
// [eventlog.None].
package memory

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

func init() { eventlog.Register(open, "memory") }

// memories holds the named logs of this process.
var memories = struct {
	sync.Mutex
	named map[string]*memory
}{named: map[string]*memory{}}

// memory is the contents of a log.
type memory struct {
	mu        sync.Mutex
	records   []eventlog.Record // the one at position n is records[n-1]
	positions map[[2]string]int // by source and id
	consumers map[string]*consumer
	schemas   []eventlog.Schema // in the order in which they came
	bytes     int64
	grown     chan struct{} // closed at the next append
}

type consumer struct {
	position  eventlog.Position
	committed bool
	failure   eventlog.Failure
	keeper    string
	holder    *hold // nil if there is none
	dead      map[eventlog.Position]eventlog.DeadLetter
}

// openLog is a log that is open. Several may share one memory.
type openLog struct {
	*memory
	eventlog.Commits
	mode  eventlog.Mode
	open  context.Context // ends when the log is closed, with ErrClosed as its cause
	close context.CancelCauseFunc
}

func open(_ context.Context, url string, mode eventlog.Mode) (eventlog.Log, error) {
	name := strings.TrimPrefix(url, "memory:")
	memories.Lock()
	defer memories.Unlock()
	m := memories.named[name]
	if m == nil || name == "" {
		if mode == eventlog.ReadOnly {
			return nil, fmt.Errorf("event log %q: there is none in this process; open it for appending to create it", url)
		}
		m = &memory{positions: map[[2]string]int{}, consumers: map[string]*consumer{}, grown: make(chan struct{})}
		if name != "" {
			memories.named[name] = m
		}
	}
	l := &openLog{memory: m, mode: mode}
	l.open, l.close = context.WithCancelCause(context.Background())
	return l, nil
}

// usable returns the error of a call that the log can't serve, or nil.
func (l *openLog) usable(ctx context.Context, changes bool) error {
	switch {
	case l.open.Err() != nil:
		return context.Cause(l.open)
	case ctx.Err() != nil:
		return eventlog.Ended(ctx)
	case changes && l.mode == eventlog.ReadOnly:
		return &eventlog.Error{Kind: eventlog.ErrReadOnly}
	}
	return nil
}

// Append implements [eventlog.Log].
func (l *openLog) Append(ctx context.Context, events ...eventlog.Event) ([]eventlog.Receipt, error) {
	if err := l.usable(ctx, true); err != nil {
		return nil, err
	}
	if _, err := eventlog.Validate(events); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	receipts := make([]eventlog.Receipt, len(events))
	begin := time.Now()
	before, schemas, bytes, recorded := len(l.records), len(l.schemas), l.bytes, begin.UTC()
	for i, event := range events {
		key := [2]string{event.Source, event.ID}
		position, known := l.positions[key]
		if known && !l.records[position-1].Stores(&event) {
			for _, record := range l.records[before:] {
				delete(l.positions, [2]string{record.Source, record.ID})
				l.bytes -= int64(record.Size())
			}
			l.records = slices.Delete(l.records, before, len(l.records))
			l.schemas = slices.Delete(l.schemas, schemas, len(l.schemas))
			return nil, eventlog.Conflict(&event)
		}
		if !known {
			position = len(l.records) + 1
			l.positions[key] = position
			l.bytes += int64(event.Size())
			event.Data = slices.Clone(event.Data)
			if event.Time.IsZero() {
				event.Time = recorded
			}
			l.keepSchema(event.Version)
			l.records = append(l.records, eventlog.Record{Event: event, Position: eventlog.Position(position), Recorded: recorded})
		}
		receipts[i] = eventlog.Receipt{Position: eventlog.Position(position), Duplicate: known, Durability: eventlog.None}
	}
	close(l.grown)
	l.grown = make(chan struct{})
	if stored := len(l.records) - before; stored > 0 {
		l.Committed(stored, l.bytes-bytes, time.Since(begin))
	}
	return receipts, nil
}

// keepSchema keeps a version of a schema, if it is not kept yet.
func (m *memory) keepSchema(version string) {
	kept := slices.ContainsFunc(m.schemas, func(s eventlog.Schema) bool { return s.Version == version })
	if schema, found := eventlog.FindSchema(version); found && !kept {
		m.schemas = append(m.schemas, schema)
	}
}

// Schemas implements [eventlog.SchemaLog].
func (l *openLog) Schemas(ctx context.Context) ([]eventlog.Schema, error) {
	if err := l.usable(ctx, false); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.SortedStableFunc(slices.Values(l.schemas), func(a, b eventlog.Schema) int { return strings.Compare(a.Name, b.Name) }), nil
}

// Read implements [eventlog.Log].
func (l *openLog) Read(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		records, _ := l.after(from)
		if _, err := l.yield(ctx, records, yield); err != nil {
			yield(eventlog.Record{}, err)
		}
	}
}

// Tail implements [eventlog.Log].
func (l *openLog) Tail(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for {
			records, grown := l.after(from)
			wanted, err := l.yield(ctx, records, yield)
			if err != nil {
				yield(eventlog.Record{}, err)
			}
			if err != nil || !wanted {
				return
			}
			if len(records) > 0 {
				from = eventlog.After(records[len(records)-1].Position)
			}
			select {
			case <-grown:
			case <-ctx.Done():
			case <-l.open.Done():
			}
		}
	}
}

// after returns the records where reading begins, and a channel that is closed
// once there are more.
func (l *openLog) after(from eventlog.From) ([]eventlog.Record, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := int(min(max(from.After, 0), eventlog.Position(len(l.records))))
	if !from.Since.IsZero() {
		first = slices.IndexFunc(l.records, func(r eventlog.Record) bool { return !r.Recorded.Before(from.Since) })
		if first < 0 {
			first = len(l.records)
		}
	}
	return l.records[first:len(l.records):len(l.records)], l.grown
}

// yield yields records while they are wanted and the call may go on.
func (l *openLog) yield(ctx context.Context, records []eventlog.Record, yield func(eventlog.Record, error) bool) (wanted bool, err error) {
	for _, record := range records {
		if err := l.usable(ctx, false); err != nil {
			return true, err
		}
		if record.Data = slices.Clone(record.Data); !yield(record, nil) {
			return false, nil
		}
	}
	return true, l.usable(ctx, false)
}

// Hold implements [eventlog.Log].
func (l *openLog) Hold(ctx context.Context, name string) (eventlog.Hold, error) {
	if err := l.usable(ctx, true); err != nil {
		return nil, err
	}
	if err := eventlog.ValidateConsumer(name); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.consumers[name]
	if c == nil {
		c = &consumer{dead: map[eventlog.Position]eventlog.DeadLetter{}}
		l.consumers[name] = c
	}
	if c.holder != nil && c.holder.log.usable(context.Background(), false) == nil {
		return nil, eventlog.Held(name, processName())
	}
	hold := &hold{log: l, name: name, consumer: c}
	hold.lost, hold.lose = context.WithCancelCause(l.open)
	c.holder = hold
	return hold, nil
}

// processName returns the name of this process, which is the only one.
func processName() string { return fmt.Sprintf("process %d", os.Getpid()) }

// Dead implements [eventlog.Log].
func (l *openLog) Dead(ctx context.Context, consumer string) iter.Seq2[eventlog.DeadLetter, error] {
	return func(yield func(eventlog.DeadLetter, error) bool) {
		for _, letter := range l.letters(consumer) {
			if l.usable(ctx, false) != nil {
				break
			}
			if !yield(letter, nil) {
				return
			}
		}
		if err := l.usable(ctx, false); err != nil {
			yield(eventlog.DeadLetter{}, err)
		}
	}
}

// letters returns the dead letters of a consumer, or of all, by position.
func (m *memory) letters(consumer string) (letters []eventlog.DeadLetter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(m.consumers)) {
		if name != consumer && consumer != "" {
			continue
		}
		dead := m.consumers[name].dead
		for _, position := range slices.Sorted(maps.Keys(dead)) {
			letter := dead[position]
			letter.Data = slices.Clone(letter.Data)
			letters = append(letters, letter)
		}
	}
	return letters
}

// Retry implements [eventlog.Log].
func (l *openLog) Retry(ctx context.Context, consumer string, positions ...eventlog.Position) (int, error) {
	return l.changeLetters(ctx, consumer, positions, func(dead map[eventlog.Position]eventlog.DeadLetter, position eventlog.Position) {
		letter := dead[position]
		letter.Retrying = true
		dead[position] = letter
	})
}

// changeLetters changes the dead letters of a consumer at positions, or all if there
// are none, and returns how many there were.
func (l *openLog) changeLetters(ctx context.Context, consumer string, positions []eventlog.Position,
	change func(dead map[eventlog.Position]eventlog.DeadLetter, position eventlog.Position)) (count int, err error) {
	if err := l.usable(ctx, true); err != nil {
		return 0, err
	}
	if err := eventlog.ValidateConsumer(consumer); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.consumers[consumer]
	if c == nil {
		return 0, nil
	}
	for position := range c.dead {
		if len(positions) == 0 || slices.Contains(positions, position) {
			change(c.dead, position)
			count++
		}
	}
	return count, nil
}

// Discard implements [eventlog.Log].
func (l *openLog) Discard(ctx context.Context, consumer string, positions ...eventlog.Position) (int, error) {
	return l.changeLetters(ctx, consumer, positions, func(dead map[eventlog.Position]eventlog.DeadLetter, position eventlog.Position) {
		delete(dead, position)
	})
}

// Stats implements [eventlog.Log].
func (l *openLog) Stats(ctx context.Context) (eventlog.Stats, error) {
	if err := l.usable(ctx, false); err != nil {
		return eventlog.Stats{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	stats := eventlog.Stats{Events: int64(len(l.records)), Bytes: l.bytes, Last: eventlog.Position(len(l.records)), Durability: eventlog.None}
	if len(l.records) > 0 {
		stats.First, stats.Oldest = 1, l.records[0].Recorded
	}
	for i := range l.records {
		if l.records[i].Erased {
			stats.Erased++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.consumers)) {
		c := l.consumers[name]
		consumer := eventlog.ConsumerStats{Name: name, Position: c.position, Lag: int64(stats.Last - min(c.position, stats.Last)), Dead: int64(len(c.dead)), Failure: c.failure, Keeper: c.keeper}
		if c.holder != nil && c.holder.log.usable(ctx, false) == nil {
			consumer.Holder = processName()
		}
		if consumer.Lag > 0 {
			consumer.Oldest = l.records[c.position].Recorded
		}
		stats.Consumers = append(stats.Consumers, consumer)
	}
	return stats, nil
}

// Check implements [eventlog.Log].
func (l *openLog) Check(ctx context.Context) error { return l.usable(ctx, true) }

// Close implements [eventlog.Log].
func (l *openLog) Close() error {
	l.close(&eventlog.Error{Kind: eventlog.ErrClosed})
	return nil
}

// hold is the lease of a consumer.
type hold struct {
	log      *openLog
	name     string
	consumer *consumer
	lost     context.Context
	lose     context.CancelCauseFunc
}

// change changes the consumer, if this is still its lease.
func (h *hold) change(ctx context.Context, change func(*consumer)) error {
	if err := h.log.usable(ctx, true); err != nil {
		return err
	}
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	if h.consumer.holder != h {
		return eventlog.Held(h.name, "")
	}
	change(h.consumer)
	return nil
}

// Position implements [eventlog.Hold].
func (h *hold) Position() (position eventlog.Position, ok bool) {
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	return h.consumer.position, h.consumer.committed
}

// Restarted implements [eventlog.Hold].
func (h *hold) Restarted() string { return "" }

// From implements [eventlog.Hold].
func (h *hold) From(after eventlog.Position) eventlog.From { return eventlog.After(after) }

// Lost implements [eventlog.Hold].
func (h *hold) Lost() context.Context { return h.lost }

// Commit implements [eventlog.Hold].
func (h *hold) Commit(ctx context.Context, to eventlog.Position) error {
	return h.change(ctx, func(c *consumer) { c.position, c.committed = to, true })
}

// SetFailure implements [eventlog.Hold].
func (h *hold) SetFailure(ctx context.Context, failure eventlog.Failure) error {
	failure.Reason = eventlog.CutReason(failure.Reason)
	return h.change(ctx, func(c *consumer) { c.failure = failure })
}

// Keeper implements [eventlog.KeeperHold].
func (h *hold) Keeper() string {
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	return h.consumer.keeper
}

// SetKeeper implements [eventlog.KeeperHold].
func (h *hold) SetKeeper(ctx context.Context, keeper string) error {
	return h.change(ctx, func(c *consumer) { c.keeper = keeper })
}

// Delete implements [eventlog.Hold].
func (h *hold) Delete(ctx context.Context) error {
	err := h.change(ctx, func(c *consumer) {
		c.holder = nil
		delete(h.log.consumers, h.name)
	})
	if err == nil {
		h.lose(eventlog.Held(h.name, ""))
	}
	return err
}

// PutDead implements [eventlog.Hold].
func (h *hold) PutDead(ctx context.Context, letter eventlog.DeadLetter) error {
	letter.Consumer, letter.Retrying = h.name, false
	letter.Data, letter.GaveUp = slices.Clone(letter.Data), letter.GaveUp.UTC()
	letter.Reason = eventlog.CutReason(letter.Reason)
	return h.change(ctx, func(c *consumer) {
		if h.log.isErased(&letter.Record) {
			delete(c.dead, letter.Position)
			return
		}
		c.dead[letter.Position] = letter
	})
}

// isErased reports whether an event was erased since it was read.
func (m *memory) isErased(read *eventlog.Record) bool {
	if read.Position < 1 || read.Position > eventlog.Position(len(m.records)) {
		return false
	}
	record := &m.records[read.Position-1]
	return record.Erased && record.Source == read.Source && record.ID == read.ID
}

// Retries implements [eventlog.Hold].
func (h *hold) Retries(ctx context.Context) (letters []eventlog.DeadLetter, err error) {
	err = h.change(ctx, func(c *consumer) {
		size := 0
		for _, position := range slices.Sorted(maps.Keys(c.dead)) {
			if letter := c.dead[position]; letter.Retrying && size < eventlog.MaxTakenBytes {
				letter.Data = slices.Clone(letter.Data)
				letters = append(letters, letter)
				size += letter.Size()
			}
		}
	})
	return letters, err
}

// RemoveDead implements [eventlog.Hold].
func (h *hold) RemoveDead(ctx context.Context, position eventlog.Position) error {
	return h.change(ctx, func(c *consumer) { delete(c.dead, position) })
}

// Release implements [eventlog.Hold].
func (h *hold) Release() error {
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	if h.consumer.holder == h {
		h.consumer.holder = nil
	}
	h.lose(eventlog.Held(h.name, ""))
	return nil
}

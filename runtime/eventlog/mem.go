package eventlog

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

func init() { Register(openMemory, "memory") }

// memories are the named logs in the memory of this process.
var memories = struct {
	sync.Mutex
	named map[string]*memory
}{named: map[string]*memory{}}

// memory is what a log in memory holds.
type memory struct {
	mu        sync.Mutex
	records   []Record          // the one at position n is records[n-1]
	positions map[[2]string]int // by source and id
	consumers map[string]*memoryConsumer
	bytes     int64
	grown     chan struct{} // closed at the next append
}

type memoryConsumer struct {
	place  Position
	known  bool
	holder *memoryHold // nil if nobody has the place
	dead   map[Position]DeadLetter
}

// memoryLog is a memory that is open.
type memoryLog struct {
	*memory
	mode  Mode
	open  context.Context // ends when the log is closed, with ErrClosed as its cause
	close context.CancelCauseFunc
}

func openMemory(_ context.Context, url string, mode Mode) (Log, error) {
	name := strings.TrimPrefix(url, "memory:")
	memories.Lock()
	defer memories.Unlock()
	m := memories.named[name]
	if m == nil || name == "" {
		if mode == ReadOnly {
			return nil, fmt.Errorf("event log %q: there is none in this process; open it for appending to make it", url)
		}
		m = &memory{positions: map[[2]string]int{}, consumers: map[string]*memoryConsumer{}, grown: make(chan struct{})}
		if name != "" {
			memories.named[name] = m
		}
	}
	l := &memoryLog{memory: m, mode: mode}
	l.open, l.close = context.WithCancelCause(context.Background())
	return l, nil
}

// refusal is the error of a call that the log can't serve.
func (l *memoryLog) refusal(ctx context.Context, changes bool) error {
	switch {
	case l.open.Err() != nil:
		return context.Cause(l.open)
	case ctx.Err() != nil:
		return Ended(ctx)
	case changes && l.mode == ReadOnly:
		return &Error{Kind: ErrReadOnly}
	}
	return nil
}

// Append implements [Log].
func (l *memoryLog) Append(ctx context.Context, events ...Event) ([]Receipt, error) {
	if err := l.refusal(ctx, true); err != nil {
		return nil, err
	}
	if _, err := Validate(events); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	receipts := make([]Receipt, len(events))
	before, recorded := len(l.records), time.Now().UTC()
	for i, event := range events {
		key := [2]string{event.Source, event.ID}
		position, known := l.positions[key]
		if known && !l.records[position-1].Same(&event) {
			for _, record := range l.records[before:] {
				delete(l.positions, [2]string{record.Source, record.ID})
				l.bytes -= int64(record.Size())
			}
			l.records = slices.Delete(l.records, before, len(l.records))
			return nil, Conflict(&event)
		}
		if !known {
			position = len(l.records) + 1
			l.positions[key] = position
			l.bytes += int64(event.Size())
			event.Data = slices.Clone(event.Data)
			if event.Time.IsZero() {
				event.Time = recorded
			}
			l.records = append(l.records, Record{Event: event, Position: Position(position), Recorded: recorded})
		}
		receipts[i] = Receipt{Position: Position(position), Duplicate: known, Durability: None}
	}
	close(l.grown)
	l.grown = make(chan struct{})
	return receipts, nil
}

// Read implements [Log].
func (l *memoryLog) Read(ctx context.Context, from From) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		records, _ := l.from(from)
		if _, err := l.yield(ctx, records, yield); err != nil {
			yield(Record{}, err)
		}
	}
}

// Tail implements [Log].
func (l *memoryLog) Tail(ctx context.Context, from From) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for {
			records, grown := l.from(from)
			wanted, err := l.yield(ctx, records, yield)
			if err != nil {
				yield(Record{}, err)
			}
			if err != nil || !wanted {
				return
			}
			if len(records) > 0 {
				from = After(records[len(records)-1].Position)
			}
			select {
			case <-grown:
			case <-ctx.Done():
			case <-l.open.Done():
			}
		}
	}
}

// from is what stands there, and what is closed once there is more.
func (l *memoryLog) from(from From) ([]Record, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := int(min(max(from.After, 0), Position(len(l.records))))
	if !from.Since.IsZero() {
		first = max(0, slices.IndexFunc(l.records, func(r Record) bool { return !r.Recorded.Before(from.Since) }))
		if n := len(l.records); n > 0 && l.records[first].Recorded.Before(from.Since) {
			first = n
		}
	}
	return l.records[first:len(l.records):len(l.records)], l.grown
}

// yield yields records while they are wanted and the call may go on.
func (l *memoryLog) yield(ctx context.Context, records []Record, yield func(Record, error) bool) (wanted bool, err error) {
	for _, record := range records {
		if err := l.refusal(ctx, false); err != nil {
			return true, err
		}
		if record.Data = slices.Clone(record.Data); !yield(record, nil) {
			return false, nil
		}
	}
	return true, l.refusal(ctx, false)
}

// consumer is a consumer, made if there is none.
func (m *memory) consumer(name string) *memoryConsumer {
	c := m.consumers[name]
	if c == nil {
		c = &memoryConsumer{dead: map[Position]DeadLetter{}}
		m.consumers[name] = c
	}
	return c
}

// Hold implements [Log].
func (l *memoryLog) Hold(ctx context.Context, consumer string) (Hold, error) {
	if err := l.refusal(ctx, true); err != nil {
		return nil, err
	}
	if err := ValidateConsumer(consumer); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.consumer(consumer)
	if c.holder != nil && c.holder.log.refusal(context.Background(), false) == nil {
		return nil, Held(consumer, memoryHolder())
	}
	hold := &memoryHold{log: l, name: consumer}
	hold.lost, hold.lose = context.WithCancelCause(l.open)
	c.holder = hold
	return hold, nil
}

// memoryHolder names this process, which is the only one.
func memoryHolder() string { return fmt.Sprintf("process %d", os.Getpid()) }

// Dead implements [Log].
func (l *memoryLog) Dead(ctx context.Context, consumer string) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		for _, letter := range l.letters(consumer) {
			if l.refusal(ctx, false) != nil {
				break
			}
			if !yield(letter, nil) {
				return
			}
		}
		if err := l.refusal(ctx, false); err != nil {
			yield(DeadLetter{}, err)
		}
	}
}

// letters are the dead letters of a consumer, or of all, by position.
func (m *memory) letters(consumer string) (letters []DeadLetter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(m.consumers)) {
		if name != consumer && consumer != "" {
			continue
		}
		dead := m.consumers[name].dead
		for _, position := range slices.Sorted(maps.Keys(dead)) {
			letters = append(letters, dead[position])
		}
	}
	return letters
}

// Retry implements [Log].
func (l *memoryLog) Retry(ctx context.Context, consumer string, positions ...Position) (count int, err error) {
	if err := l.refusal(ctx, true); err != nil {
		return 0, err
	}
	if err := ValidateConsumer(consumer); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.consumers[consumer]
	if c == nil {
		return 0, nil
	}
	for position, letter := range c.dead {
		if len(positions) == 0 || slices.Contains(positions, position) {
			letter.Retrying = true
			c.dead[position] = letter
			count++
		}
	}
	return count, nil
}

// Stats implements [Log].
func (l *memoryLog) Stats(ctx context.Context) (Stats, error) {
	if err := l.refusal(ctx, false); err != nil {
		return Stats{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	stats := Stats{Events: int64(len(l.records)), Bytes: l.bytes, Last: Position(len(l.records)), Durability: None}
	if len(l.records) > 0 {
		stats.First, stats.Oldest = 1, l.records[0].Recorded
	}
	for _, name := range slices.Sorted(maps.Keys(l.consumers)) {
		c := l.consumers[name]
		consumer := ConsumerStats{Name: name, Position: c.place, Lag: int64(stats.Last - min(c.place, stats.Last)), Dead: int64(len(c.dead))}
		if c.holder != nil && c.holder.log.refusal(ctx, false) == nil {
			consumer.Holder = memoryHolder()
		}
		stats.Consumers = append(stats.Consumers, consumer)
	}
	return stats, nil
}

// Check implements [Log].
func (l *memoryLog) Check(ctx context.Context) error { return l.refusal(ctx, true) }

// Close implements [Log].
func (l *memoryLog) Close() error {
	l.close(&Error{Kind: ErrClosed})
	return nil
}

// memoryHold is the place of a consumer in a log in memory.
type memoryHold struct {
	log  *memoryLog
	name string
	lost context.Context
	lose context.CancelCauseFunc
}

// change changes the consumer, if the hold still has its place.
func (h *memoryHold) change(ctx context.Context, change func(*memoryConsumer)) error {
	if err := h.log.refusal(ctx, true); err != nil {
		return err
	}
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	c := h.log.consumer(h.name)
	if c.holder != h {
		return Held(h.name, "")
	}
	change(c)
	return nil
}

// Position implements [Hold].
func (h *memoryHold) Position() (position Position, ok bool) {
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	c := h.log.consumer(h.name)
	return c.place, c.known
}

// Restarted implements [Hold].
func (h *memoryHold) Restarted() string { return "" }

// From implements [Hold].
func (h *memoryHold) From(after Position) From { return After(after) }

// Lost implements [Hold].
func (h *memoryHold) Lost() context.Context { return h.lost }

// Commit implements [Hold].
func (h *memoryHold) Commit(ctx context.Context, to Position) error {
	return h.change(ctx, func(c *memoryConsumer) { c.place, c.known = to, true })
}

// PutDead implements [Hold].
func (h *memoryHold) PutDead(ctx context.Context, letter DeadLetter) error {
	letter.Consumer, letter.Retrying = h.name, false
	letter.Data, letter.GaveUp = bytes.Clone(letter.Data), letter.GaveUp.UTC()
	letter.Reason = CutReason(letter.Reason)
	return h.change(ctx, func(c *memoryConsumer) { c.dead[letter.Position] = letter })
}

// Retries implements [Hold].
func (h *memoryHold) Retries(ctx context.Context) (letters []DeadLetter, err error) {
	err = h.change(ctx, func(c *memoryConsumer) {
		for _, position := range slices.Sorted(maps.Keys(c.dead)) {
			if letter := c.dead[position]; letter.Retrying {
				letters = append(letters, letter)
			}
		}
	})
	return letters, err
}

// RemoveDead implements [Hold].
func (h *memoryHold) RemoveDead(ctx context.Context, position Position) error {
	return h.change(ctx, func(c *memoryConsumer) { delete(c.dead, position) })
}

// Release implements [Hold].
func (h *memoryHold) Release() error {
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	if c := h.log.consumer(h.name); c.holder == h {
		c.holder = nil
	}
	h.lose(Held(h.name, ""))
	return nil
}

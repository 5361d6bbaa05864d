package eventlogtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/eventlogtest"
)

// An engine that is none of ours passes the tests, though it knows nothing but
// what package eventlog exports: that is all it takes to write one.
func TestJournalKeepsTheContract(t *testing.T) {
	eventlogtest.Run(t, eventlogtest.Engine{
		URL:        func(t testing.TB) string { return "journal:" + filepath.Join(t.TempDir(), "events.jsonl") },
		Durability: eventlog.Fsync,
	})
}

func init() { eventlog.Register(openJournal, "journal") }

// journal is a file with a line of JSON for each change. It is read once, when
// the first log of this process opens it; other processes must not have it open.
type journal struct {
	mu        sync.Mutex
	file      *os.File
	opened    int // by how many logs
	records   []eventlog.Record
	schemas   []eventlog.Schema // in the order in which they came
	consumers map[string]*journalConsumer
	grown     chan struct{} // closed at the next append
}

// journalConsumer is a consumer as the journal has it; Lease is not in the file.
type journalConsumer struct {
	Position *eventlog.Position
	Failure  eventlog.Failure
	Dead     map[eventlog.Position]eventlog.DeadLetter
	Deleted  bool `json:",omitempty"`
	lease    *journalHold
}

// change is a line of the file: records, with the schemas that no record before had, or all
// there is to know of a consumer.
type change struct {
	Schemas  []journalSchema   `json:",omitempty"`
	Records  []eventlog.Record `json:",omitempty"`
	Name     string            `json:",omitempty"`
	Consumer *journalConsumer  `json:",omitempty"`
}

// journalSchema is a schema as the journal has it.
type journalSchema struct {
	Name, Version string
	Files         []byte
}

var journals = struct {
	sync.Mutex
	open map[string]*journal
}{open: map[string]*journal{}}

// journalLog implements [eventlog.Log].
type journalLog struct {
	*journal
	path  string
	mode  eventlog.Mode
	open  context.Context // ends with [eventlog.ErrClosed] when the log is closed
	close context.CancelCauseFunc
}

func openJournal(_ context.Context, url string, mode eventlog.Mode) (eventlog.Log, error) {
	path := strings.TrimPrefix(url, "journal:")
	journals.Lock()
	defer journals.Unlock()
	j := journals.open[path]
	if j == nil {
		if _, err := os.Stat(path); mode == eventlog.ReadOnly && errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: there is no journal; open it for appending to create it", path)
		}
		j = &journal{consumers: map[string]*journalConsumer{}, grown: make(chan struct{})}
		if err := j.load(path); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		journals.open[path] = j
	}
	j.opened++
	l := &journalLog{journal: j, path: path, mode: mode}
	l.open, l.close = context.WithCancelCause(context.Background())
	return l, nil
}

// load opens the file and reads it.
func (j *journal) load(path string) (err error) {
	if j.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return err
	}
	for lines := json.NewDecoder(j.file); ; {
		var c change
		switch err := lines.Decode(&c); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return errors.Join(err, j.file.Close())
		}
		j.records = append(j.records, c.Records...)
		for _, stored := range c.Schemas {
			schema := eventlog.Schema{Name: stored.Name, Version: stored.Version, Files: &descriptorpb.FileDescriptorSet{}}
			if err := proto.Unmarshal(stored.Files, schema.Files); err != nil {
				return errors.Join(err, j.file.Close())
			}
			eventlog.RegisterSchema(schema)
			j.schemas = append(j.schemas, schema)
		}
		switch {
		case c.Consumer == nil:
		case c.Consumer.Deleted:
			delete(j.consumers, c.Name)
		default:
			j.consumers[c.Name] = c.Consumer
		}
	}
}

// maxJournalData is the most data of an event. An engine may take less than the 64
// MiB that package eventlog allows.
const maxJournalData = 1 << 20

// store appends a line to the file, and returns once it is on the disk.
func (j *journal) store(c change) error {
	line, err := json.Marshal(c)
	if err == nil {
		_, err = j.file.Write(append(line, '\n'))
	}
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		return &eventlog.Error{Kind: eventlog.ErrUnavailable, Cause: err}
	}
	return nil
}

// usable returns the error of a call that the log can't serve, or nil.
func (l *journalLog) usable(ctx context.Context, changes bool) error {
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

func (l *journalLog) Append(ctx context.Context, events ...eventlog.Event) ([]eventlog.Receipt, error) {
	if err := l.usable(ctx, true); err != nil {
		return nil, err
	}
	if _, err := eventlog.Validate(events); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(events, func(event eventlog.Event) bool { return len(event.Data) > maxJournalData }) {
		return nil, &eventlog.Error{Kind: eventlog.ErrInvalid, Detail: "an event has more data than a line should have"}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(ctx, true); err != nil { // closed meanwhile
		return nil, err
	}
	receipts, added, now := make([]eventlog.Receipt, len(events)), []eventlog.Record(nil), time.Now().UTC()
	for i, event := range events {
		known := l.find(&event, l.records)
		if known == nil {
			known = l.find(&event, added)
		}
		switch {
		case known == nil:
			record := eventlog.Record{Event: event, Position: eventlog.Position(len(l.records) + len(added) + 1), Recorded: now}
			record.Data = slices.Clone(event.Data)
			if event.Time.IsZero() {
				record.Time = now
			}
			added = append(added, record)
			receipts[i] = eventlog.Receipt{Position: record.Position, Durability: eventlog.Fsync}
		case !known.Same(&event):
			return nil, eventlog.Conflict(&event)
		default:
			receipts[i] = eventlog.Receipt{Position: known.Position, Duplicate: true, Durability: eventlog.Fsync}
		}
	}
	if len(added) == 0 {
		return receipts, nil
	}
	schemas, stored, err := l.newSchemas(added)
	if err != nil {
		return nil, err
	}
	if err := l.store(change{Records: added, Schemas: stored}); err != nil {
		return nil, err
	}
	l.records, l.schemas = append(l.records, added...), append(l.schemas, schemas...)
	close(l.grown)
	l.grown = make(chan struct{})
	return receipts, nil
}

// newSchemas returns the schemas of records that the journal does not have, also as it stores
// them.
func (j *journal) newSchemas(records []eventlog.Record) (schemas []eventlog.Schema, stored []journalSchema, err error) {
	for _, record := range records {
		has := func(s eventlog.Schema) bool { return s.Version == record.Version }
		if schema, known := eventlog.FindSchema(record.Version); known && !slices.ContainsFunc(j.schemas, has) && !slices.ContainsFunc(schemas, has) {
			files, err := proto.Marshal(schema.Files)
			if err != nil {
				return nil, nil, err
			}
			schemas, stored = append(schemas, schema), append(stored, journalSchema{schema.Name, schema.Version, files})
		}
	}
	return schemas, stored, nil
}

func (l *journalLog) Schemas(ctx context.Context) ([]eventlog.Schema, error) {
	if err := l.usable(ctx, false); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	byName := func(a, b eventlog.Schema) int { return strings.Compare(a.Name, b.Name) }
	return slices.SortedStableFunc(slices.Values(l.schemas), byName), nil
}

func (j *journal) find(event *eventlog.Event, among []eventlog.Record) *eventlog.Record {
	i := slices.IndexFunc(among, func(r eventlog.Record) bool { return r.Source == event.Source && r.ID == event.ID })
	if i < 0 {
		return nil
	}
	return &among[i]
}

func (l *journalLog) Read(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		records, _ := l.after(from)
		if _, err := l.yield(ctx, records, yield); err != nil {
			yield(eventlog.Record{}, err)
		}
	}
}

func (l *journalLog) Tail(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for {
			records, grown := l.after(from)
			more, err := l.yield(ctx, records, yield)
			if err != nil {
				yield(eventlog.Record{}, err)
			}
			if err != nil || !more {
				return
			}
			if n := len(records); n > 0 {
				from = eventlog.After(records[n-1].Position)
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
func (j *journal) after(from eventlog.From) (records []eventlog.Record, grown <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	first := slices.IndexFunc(j.records, func(r eventlog.Record) bool {
		if from.Since.IsZero() {
			return r.Position > from.After
		}
		return !r.Recorded.Before(from.Since)
	})
	if first < 0 {
		first = len(j.records)
	}
	return j.records[first:len(j.records):len(j.records)], j.grown
}

// yield yields records, and returns whether more are wanted.
func (l *journalLog) yield(ctx context.Context, records []eventlog.Record, yield func(eventlog.Record, error) bool) (more bool, err error) {
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

func (l *journalLog) Hold(ctx context.Context, name string) (eventlog.Hold, error) {
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
		c = &journalConsumer{Dead: map[eventlog.Position]eventlog.DeadLetter{}}
		l.consumers[name] = c
	}
	if c.lease != nil && c.lease.lost.Err() == nil {
		return nil, eventlog.Held(name, "this process")
	}
	h := &journalHold{log: l, name: name, consumer: c}
	h.lost, h.lose = context.WithCancelCause(l.open)
	c.lease = h
	return h, nil
}

func (l *journalLog) Dead(ctx context.Context, consumer string) iter.Seq2[eventlog.DeadLetter, error] {
	return func(yield func(eventlog.DeadLetter, error) bool) {
		for _, name := range l.names() {
			if consumer != "" && consumer != name {
				continue
			}
			for _, letter := range l.letters(name) {
				if l.usable(ctx, false) == nil && !yield(letter, nil) {
					return
				}
			}
		}
		if err := l.usable(ctx, false); err != nil {
			yield(eventlog.DeadLetter{}, err)
		}
	}
}

func (j *journal) names() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Sorted(maps.Keys(j.consumers))
}

func (j *journal) letters(name string) (letters []eventlog.DeadLetter) {
	j.mu.Lock()
	defer j.mu.Unlock()
	dead := j.consumers[name].Dead
	for _, position := range slices.Sorted(maps.Keys(dead)) {
		letters = append(letters, dead[position])
	}
	return letters
}

func (l *journalLog) Retry(ctx context.Context, consumer string, positions ...eventlog.Position) (int, error) {
	return l.changeLetters(ctx, consumer, positions, func(c *journalConsumer, letter eventlog.DeadLetter) {
		letter.Retrying = true
		c.Dead[letter.Position] = letter
	})
}

func (l *journalLog) Discard(ctx context.Context, consumer string, positions ...eventlog.Position) (int, error) {
	return l.changeLetters(ctx, consumer, positions, func(c *journalConsumer, letter eventlog.DeadLetter) {
		delete(c.Dead, letter.Position)
	})
}

func (l *journalLog) changeLetters(ctx context.Context, consumer string, positions []eventlog.Position,
	edit func(*journalConsumer, eventlog.DeadLetter)) (count int, err error) {
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
	for position, letter := range c.Dead {
		if len(positions) == 0 || slices.Contains(positions, position) {
			edit(c, letter)
			count++
		}
	}
	return count, l.store(change{Name: consumer, Consumer: c})
}

func (l *journalLog) Stats(ctx context.Context) (eventlog.Stats, error) {
	if err := l.usable(ctx, false); err != nil {
		return eventlog.Stats{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	stats := eventlog.Stats{Events: int64(len(l.records)), Durability: eventlog.Fsync}
	for _, record := range l.records {
		stats.Bytes += int64(record.Size())
	}
	if n := len(l.records); n > 0 {
		stats.First, stats.Last, stats.Oldest = 1, eventlog.Position(n), l.records[0].Recorded
	}
	for _, name := range slices.Sorted(maps.Keys(l.consumers)) {
		c := l.consumers[name]
		consumer := eventlog.ConsumerStats{Name: name, Dead: int64(len(c.Dead)), Failure: c.Failure}
		if c.Position != nil {
			consumer.Position = *c.Position
		}
		consumer.Lag = int64(max(0, stats.Last-consumer.Position))
		if c.lease != nil && c.lease.lost.Err() == nil {
			consumer.Holder = "this process"
		}
		stats.Consumers = append(stats.Consumers, consumer)
	}
	return stats, nil
}

func (l *journalLog) Check(ctx context.Context) error { return l.usable(ctx, true) }

func (l *journalLog) Close() error {
	journals.Lock()
	defer journals.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open.Err() != nil {
		return nil
	}
	l.close(&eventlog.Error{Kind: eventlog.ErrClosed})
	if l.opened--; l.opened > 0 {
		return nil
	}
	delete(journals.open, l.path)
	return l.file.Close()
}

// journalHold implements [eventlog.Hold].
type journalHold struct {
	log      *journalLog
	name     string
	consumer *journalConsumer
	lost     context.Context
	lose     context.CancelCauseFunc
}

func (h *journalHold) Position() (position eventlog.Position, ok bool) {
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	if h.consumer.Position == nil {
		return 0, false
	}
	return *h.consumer.Position, true
}

func (h *journalHold) Restarted() string { return "" }

func (h *journalHold) From(after eventlog.Position) eventlog.From { return eventlog.After(after) }

func (h *journalHold) Lost() context.Context { return h.lost }

// change makes a change while the lease is held.
func (h *journalHold) change(ctx context.Context, edit func(*journalConsumer)) error {
	if err := h.log.usable(ctx, true); err != nil {
		return err
	}
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	if h.lost.Err() != nil {
		return context.Cause(h.lost)
	}
	edit(h.consumer)
	return h.log.store(change{Name: h.name, Consumer: h.consumer})
}

func (h *journalHold) Commit(ctx context.Context, position eventlog.Position) error {
	return h.change(ctx, func(c *journalConsumer) { c.Position = &position })
}

func (h *journalHold) SetFailure(ctx context.Context, failure eventlog.Failure) error {
	failure.Reason = eventlog.CutReason(failure.Reason)
	return h.change(ctx, func(c *journalConsumer) { c.Failure = failure })
}

func (h *journalHold) Delete(ctx context.Context) error {
	err := h.change(ctx, func(c *journalConsumer) {
		*c = journalConsumer{Deleted: true}
		delete(h.log.consumers, h.name)
	})
	if err == nil {
		h.lose(eventlog.Held(h.name, ""))
	}
	return err
}

func (h *journalHold) PutDead(ctx context.Context, letter eventlog.DeadLetter) error {
	letter.Consumer, letter.Retrying = h.name, false
	letter.Reason, letter.GaveUp = eventlog.CutReason(letter.Reason), letter.GaveUp.UTC()
	return h.change(ctx, func(c *journalConsumer) { c.Dead[letter.Position] = letter })
}

func (h *journalHold) Retries(ctx context.Context) (retries []eventlog.DeadLetter, err error) {
	if err := h.log.usable(ctx, true); err != nil {
		return nil, err
	}
	if h.lost.Err() != nil {
		return nil, context.Cause(h.lost)
	}
	bytes := 0
	for _, letter := range h.log.letters(h.name) {
		if letter.Retrying && bytes < eventlog.MaxTakenBytes {
			retries = append(retries, letter)
			bytes += letter.Size()
		}
	}
	return retries, nil
}

func (h *journalHold) RemoveDead(ctx context.Context, position eventlog.Position) error {
	return h.change(ctx, func(c *journalConsumer) { delete(c.Dead, position) })
}

func (h *journalHold) Release() error {
	h.lose(eventlog.Held(h.name, ""))
	return nil
}

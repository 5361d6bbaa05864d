package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// How much may wait, and how much of it one transaction takes: at least one
// append, and no more once either bound is reached.
const (
	maxWaitingAppends = 8192
	maxWaitingBytes   = eventlog.MaxAppendBytes
	maxCommitEvents   = 1024
	maxCommitBytes    = 8 << 20
)

// Append implements [eventlog.Log]. Appends that come while others are being committed
// share the next transaction. Up to 8192 of them, with 64 MiB of events, may
// be waiting for it; beyond that the error is [eventlog.ErrFull], at once.
func (l *fileLog) Append(ctx context.Context, events ...eventlog.Event) ([]eventlog.Receipt, error) {
	if ctx.Err() != nil {
		return nil, eventlog.Ended(ctx)
	}
	if l.appender == nil {
		return nil, l.unlessClosed(&eventlog.Error{Kind: eventlog.ErrReadOnly})
	}
	bytes, err := eventlog.Validate(events)
	if err != nil {
		return nil, err
	}
	call := newAppendCall(events, bytes)
	if err := l.appender.enqueue(call); err != nil {
		call.free()
		return nil, err
	}
	select {
	case <-call.done:
	case <-ctx.Done():
		call.left.Store(true)
		return nil, eventlog.Ended(ctx)
	}
	defer call.free()
	return call.receipts()
}

// appendCall is one call of Append on its way through the queue.
type appendCall struct {
	entries []entry // none: it tries whether the storage can be written
	bytes   int
	err     error         // why none of it was stored
	done    chan struct{} // receives once it is decided
	left    atomic.Bool   // the caller waits no more
}

// entry is one event of an append.
type entry struct {
	source, id  driver.Value
	kind        driver.Value // its type
	subject     driver.Value
	time        driver.Value // nil: when it is recorded
	schema      driver.Value
	data        driver.Value
	buffer      []byte // what data is, kept for the next append
	position    eventlog.Position
	isDuplicate bool
	original    *entry // the same event earlier in the transaction
}

// appendCalls are kept for the next calls: an append would otherwise take as
// long to allocate as to queue.
var appendCalls = sync.Pool{New: func() any {
	return &appendCall{done: make(chan struct{}, 1)}
}}

// newAppendCall copies the data of the events: the caller may leave, and
// change it, while the append is waiting.
func newAppendCall(events []eventlog.Event, bytes int) *appendCall {
	call := appendCalls.Get().(*appendCall)
	call.bytes = bytes
	if cap(call.entries) < len(events) {
		call.entries = make([]entry, len(events))
	}
	call.entries = call.entries[:len(events)]
	for i := range events {
		event, entry := &events[i], &call.entries[i]
		entry.source, entry.id, entry.kind = event.Source, event.ID, event.Type
		entry.subject, entry.schema = event.Subject, event.Schema
		if !event.Time.IsZero() {
			entry.time = event.Time.UTC().Format(timeFormat)
		}
		entry.buffer = append(entry.buffer[:0], event.Data...)
		if entry.buffer == nil {
			entry.buffer = []byte{} // nil would be NULL
		}
		entry.data = entry.buffer
	}
	return call
}

// free lets go of an append that neither its caller nor the queue has any more.
func (a *appendCall) free() {
	if len(a.entries) > 1 || a.bytes > 64<<10 {
		return // too large to keep
	}
	for i := range a.entries {
		a.entries[i] = entry{buffer: a.entries[i].buffer}
	}
	a.err = nil
	appendCalls.Put(a)
}

func (a *appendCall) receipts() ([]eventlog.Receipt, error) {
	if a.err != nil {
		return nil, a.err
	}
	receipts := make([]eventlog.Receipt, len(a.entries))
	for i := range a.entries {
		entry := &a.entries[i]
		receipts[i] = eventlog.Receipt{Position: entry.position, Duplicate: entry.isDuplicate, Durability: eventlog.Fsync}
	}
	return receipts, nil
}

// appender is the queue of appends and the goroutine that commits them.
type appender struct {
	writer   *writer
	growth   *growth
	underWay stopwatch

	mu       sync.Mutex
	wake     sync.Cond // of mu: something waits, or no more will
	waiting  []*appendCall
	bytes    int // of waiting
	stopping bool
	failure  error     // of the last transaction; nil if it was stored
	failed   time.Time // when that was

	stopped chan struct{} // closed once everything is decided
	err     error         // of closing the writer
}

func startAppender(path string, growth *growth) (*appender, error) {
	writer, err := newWriter(path)
	if err != nil {
		return nil, err
	}
	a := &appender{writer: writer, growth: growth, stopped: make(chan struct{})}
	a.wake.L = &a.mu
	go a.run()
	return a, nil
}

func (a *appender) enqueue(call *appendCall) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.admit(call.bytes); err != nil {
		return err
	}
	a.waiting = append(a.waiting, call)
	a.bytes += call.bytes
	a.wake.Signal()
	return nil
}

// refusal is the error of an append for which there is no place in the queue.
func (a *appender) admit(bytes int) error {
	switch {
	case a.stopping:
		return &eventlog.Error{Kind: eventlog.ErrClosed}
	case len(a.waiting) >= maxWaitingAppends, len(a.waiting) > 0 && a.bytes+bytes > maxWaitingBytes:
		return &eventlog.Error{Kind: eventlog.ErrFull, Detail: fmt.Sprintf("%d appends of %d bytes are waiting to be stored", len(a.waiting), a.bytes)}
	}
	return nil
}

// stop refuses further appends, and returns once all others are decided.
func (a *appender) stop() error {
	a.mu.Lock()
	a.stopping = true
	a.wake.Signal()
	a.mu.Unlock()
	<-a.stopped
	return a.err
}

// run commits what waits, in turn.
func (a *appender) run() {
	defer close(a.stopped)
	batch, more := a.take(nil)
	for ; more; batch, more = a.take(batch[:0]) {
		if len(batch) > 0 {
			a.underWay.start()
			failure := a.writer.store(batch)
			a.underWay.stop()
			a.note(failure)
			a.growth.notify()
		}
		for i, call := range batch {
			call.done <- struct{}{}
			batch[i] = nil
		}
		// Those who were answered often have more to append: what they queue
		// now is in the next transaction, not in the one after it.
		runtime.Gosched()
	}
	a.err = a.writer.close()
}

// note keeps how the last transaction ended.
func (a *appender) note(failure error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failure = failure; failure != nil {
		a.failed = time.Now()
	}
}

// stopwatch is since when a transaction is under way on a connection.
type stopwatch struct {
	mu    sync.Mutex
	since time.Time // zero: none is
}

func (u *stopwatch) start() { u.set(time.Now()) }

func (u *stopwatch) stop() { u.set(time.Time{}) }

func (u *stopwatch) set(since time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.since = since
}

// tooLong is whether it takes longer than one that waits for others does.
func (u *stopwatch) tookTooLong() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.since.IsZero() && time.Since(u.since) > maxWait
}

// probeInterval is how often a log whose storage has failed is tried again, at
// the most, for the sake of knowing.
const probeInterval = time.Second

// Check implements [eventlog.Log]. If the last transaction failed it tries a small one
// of its own, about once a second, so that it is known when the storage works
// again though nobody appends. While a transaction takes too long, as it does
// when the device hangs, the log is unavailable.
func (l *fileLog) Check(ctx context.Context) error {
	if l.appender == nil {
		return l.unlessClosed(&eventlog.Error{Kind: eventlog.ErrReadOnly})
	}
	if l.appender.underWay.tookTooLong() || l.underWay.tookTooLong() {
		return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: fmt.Sprintf("its storage has not answered for %s", maxWait)}
	}
	if err := l.appender.writer.checkFile(); err != nil {
		return l.unlessClosed(err)
	}
	probe, err := l.appender.probe()
	if err != nil || probe == nil {
		return err
	}
	select {
	case <-probe.done:
		return probe.err
	case <-ctx.Done():
		probe.left.Store(true)
		return eventlog.Ended(ctx)
	}
}

// probe queues an append of nothing, if it is time to, or returns the error
// that appends would get.
func (a *appender) probe() (*appendCall, error) {
	a.mu.Lock()
	due := a.failure != nil && time.Since(a.failed) >= probeInterval
	if due {
		a.failed = time.Now() // for whoever else checks now
	}
	failure, full := a.failure, a.admit(0)
	a.mu.Unlock()
	switch {
	case full != nil:
		return nil, full
	case !due:
		return nil, failure
	}
	probe := &appendCall{done: make(chan struct{}, 1)}
	return probe, a.enqueue(probe)
}

// take waits for appends, and adds those for one transaction to batch, less
// those whose callers have left. It takes none, and says so, once the appender is stopping and nothing waits any more.
func (a *appender) take(batch []*appendCall) (_ []*appendCall, more bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.waiting) == 0 && !a.stopping {
		a.wake.Wait()
	}
	if len(a.waiting) == 0 {
		return nil, false
	}
	taken, events, bytes := 0, 0, 0
	for _, call := range a.waiting {
		if taken > 0 && (events+len(call.entries) > maxCommitEvents || bytes+call.bytes > maxCommitBytes) {
			break
		}
		taken++
		events += len(call.entries)
		bytes += call.bytes
		if !call.left.Load() {
			batch = append(batch, call)
		}
	}
	rest := copy(a.waiting, a.waiting[taken:])
	clear(a.waiting[rest:])
	a.waiting = a.waiting[:rest]
	a.bytes -= bytes
	return batch, true
}

// callerError is what callers get to know of a transaction that failed.
func callerError(err error) error {
	if known := (*eventlog.Error)(nil); errors.As(err, &known) {
		return known
	}
	if resultCode(err)&0xff == sqlite3.SQLITE_FULL {
		return &eventlog.Error{Kind: eventlog.ErrFull, Detail: "there is no room on its device", Cause: err}
	}
	return &eventlog.Error{Kind: eventlog.ErrUnavailable, Cause: err}
}

// now is the current time as the table has it.
func now() string {
	return time.Now().UTC().Format(timeFormat)
}

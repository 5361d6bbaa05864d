package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// How much may wait, and how much of it one transaction takes: at least one
// append, and none after it has reached either limit.
const (
	maxWaitingAppends = 8192
	maxWaitingBytes   = eventlog.MaxAppendBytes
	maxCommitEvents   = 1024
	maxCommitBytes    = 8 << 20
)

// fullCommit is how many appends a transaction should have for its sync to be worth it, if
// so many come.
const fullCommit = 64

// Append implements [eventlog.Log]. Appends that come while others are being
// committed share the next transaction. Up to 8192 of them, with 64 MiB of events,
// may wait for it; for more the error is [eventlog.ErrFull], at once.
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
	entries []entry // none: it only tries whether the storage can be written
	bytes   int
	err     error         // why none of it was stored
	done    chan struct{} // receives once it is decided
	left    atomic.Bool   // the caller no longer waits
}

// entry is one event of an append.
type entry struct {
	row         eventRow
	version     string       // of its schema; "": not known
	kept        *keptVersion // while it is inserted
	position    eventlog.Position
	isDuplicate bool
	original    *entry // the same event earlier in the transaction
}

// data returns the event's data, or the buffer of an earlier one.
func (e *entry) data() []byte {
	data, _ := e.row[dataColumn].([]byte)
	return data
}

// appendCalls keeps calls for later ones: otherwise an append would take as long
// to allocate as to queue.
var appendCalls = sync.Pool{New: func() any {
	return &appendCall{done: make(chan struct{}, 1)}
}}

// newAppendCall returns a call with a copy of the events' data: their caller may
// leave, and change it, while the append waits.
func newAppendCall(events []eventlog.Event, bytes int) *appendCall {
	call := appendCalls.Get().(*appendCall)
	call.bytes = bytes
	if cap(call.entries) < len(events) {
		call.entries = make([]entry, len(events))
	}
	call.entries = call.entries[:len(events)]
	for i := range events {
		entry := &call.entries[i]
		entry.row, entry.version = newEventRow(&events[i], entry.data()[:0]), events[i].Version
	}
	return call
}

// free keeps a call for later, once neither its caller nor the queue uses it.
func (a *appendCall) free() {
	if len(a.entries) > 1 || a.bytes > 64<<10 {
		return // too large to keep
	}
	for i := range a.entries {
		a.entries[i] = entry{row: eventRow{dataColumn: a.entries[i].row[dataColumn]}} // whose buffer is used again
	}
	a.err = nil
	appendCalls.Put(a)
}

func (a *appendCall) firstID() (id string) {
	if len(a.entries) > 0 {
		id, _ = a.entries[0].row[idColumn].(string)
	}
	return id
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
	commits  *eventlog.Commits
	underWay stopwatch

	mu       sync.Mutex
	wake     sync.Cond // of mu: something waits, or nothing will any longer
	waiting  []*appendCall
	bytes    int // of waiting
	stopping bool
	failure  error     // of the last transaction; nil if it was stored
	failed   time.Time // when that was

	stopped chan struct{} // closed once everything is decided
	err     error         // of closing the writer
}

func startAppender(path string, growth *growth, commits *eventlog.Commits) (*appender, error) {
	writer, err := newWriter(path)
	if err != nil {
		return nil, err
	}
	a := &appender{writer: writer, growth: growth, commits: commits, stopped: make(chan struct{})}
	a.wake.L = &a.mu
	go a.run()
	go a.watch()
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

// admit returns the error of an append for which the queue has no room, or nil.
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
			// They came at the same time. In this order they change the fewest pages of the index.
			slices.SortFunc(batch, func(a, b *appendCall) int { return strings.Compare(a.firstID(), b.firstID()) })
			begin := a.underWay.start()
			failure := a.writer.store(batch)
			a.underWay.stop()
			a.note(failure)
			if failure == nil && a.commits.Observed() {
				a.observe(batch, time.Since(begin))
			}
			a.growth.notify()
		}
		for i, call := range batch {
			call.done <- struct{}{}
			batch[i] = nil
		}
		// Callers that were answered often have more to append: what they queue now
		// is in the next transaction, not in the one after it. Unless so many others
		// wait that to insert theirs takes about as long as to sync it: these go
		// first, while another core runs the callers.
		if !a.waits(fullCommit) {
			runtime.Gosched()
		}
	}
	a.err = a.writer.close()
}

// waits reports whether at least a number of appends wait.
func (a *appender) waits(appends int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.waiting) >= appends
}

// observe notes a commit of a batch.
func (a *appender) observe(batch []*appendCall, took time.Duration) {
	events, bytes := 0, 0
	for _, call := range batch {
		for i := range call.entries {
			if entry := &call.entries[i]; call.err == nil && !entry.isDuplicate {
				events, bytes = events+1, bytes+entry.row.size()
			}
		}
	}
	if events > 0 {
		a.commits.Committed(events, int64(bytes), took)
	}
}

// watchInterval is how soon it is noticed that a file was removed while nobody
// appends, and contentInterval that it was overwritten.
const (
	watchInterval   = 200 * time.Millisecond
	contentInterval = time.Second
)

// watch checks the files until the appender stops. If one was lost, it has the writer
// save what it can.
func (a *appender) watch() {
	files := a.writer.watch
	for last := time.Now(); ; {
		select {
		case <-a.stopped:
			return
		case <-time.After(watchInterval):
		}
		err := files.check(false)
		if err == nil && time.Since(last) >= contentInterval {
			err, last = files.checkContent(), time.Now()
		}
		if err != nil {
			_ = a.enqueue(&appendCall{done: make(chan struct{}, 1)}) // it is full of others that do the same, or stops
			return
		}
	}
}

// note records how the last transaction ended.
func (a *appender) note(failure error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failure = failure; failure != nil {
		a.failed = time.Now()
	}
}

// stopwatch measures how long a transaction has been running on a connection.
type stopwatch struct {
	mu    sync.Mutex
	since time.Time // zero: none is running
}

func (u *stopwatch) start() time.Time {
	now := time.Now()
	u.set(now)
	return now
}

func (u *stopwatch) stop() { u.set(time.Time{}) }

func (u *stopwatch) set(since time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.since = since
}

// tookTooLong reports whether it runs for longer than one that waits for others.
func (u *stopwatch) tookTooLong() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.since.IsZero() && time.Since(u.since) > maxWait
}

// probeInterval is the shortest time between two tries of a storage that has
// failed, which are made only to know whether it works again.
const probeInterval = time.Second

// Check implements [eventlog.Log]. If the last transaction failed it tries a small
// one of its own, about once a second, and so notices that the storage works again
// although nobody appends. While a transaction takes too long, because the device
// hangs, the log is unavailable.
func (l *fileLog) Check(ctx context.Context) error {
	if l.appender == nil {
		return l.unlessClosed(&eventlog.Error{Kind: eventlog.ErrReadOnly})
	}
	if l.appender.underWay.tookTooLong() || l.underWay.tookTooLong() {
		return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: fmt.Sprintf("its storage has not answered for %s", maxWait)}
	}
	if err := l.appender.writer.watch.check(false); err != nil {
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

// probe queues an append of nothing, if one is due, or returns the error that
// appends would get.
func (a *appender) probe() (*appendCall, error) {
	a.mu.Lock()
	due := a.failure != nil && time.Since(a.failed) >= probeInterval
	if due {
		a.failed = time.Now() // so that nobody else tries now
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

// take waits for appends, and adds those for one transaction to batch, without
// those whose callers have left. more is false once the appender stops and nothing
// waits.
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

// callerError returns the error that callers get for a transaction that failed.
func callerError(err error) error {
	if known := (*eventlog.Error)(nil); errors.As(err, &known) {
		return known
	}
	if resultCode(err)&0xff == sqlite3.SQLITE_FULL {
		return &eventlog.Error{Kind: eventlog.ErrFull, Detail: "there is no room on its device", Cause: err}
	}
	return &eventlog.Error{Kind: eventlog.ErrUnavailable, Cause: err}
}

package eventlog

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// recordInterval is about how soon it is recorded that an event was handled;
	// sooner if half the window was.
	recordInterval = 100 * time.Millisecond
	// laneCount is how many queues the sources and subjects are spread over.
	// Events that share one wait for each other's retries.
	laneCount = 256
)

// delivery is a [consumption] while it has the lease of its consumer: events are
// taken from the log, put into lanes by their source and subject, handled by
// workers, one per lane at a time, and recorded as handled.
type delivery struct {
	*consumption
	hold Hold
	seed maphash.Seed

	stopping atomic.Bool
	stop     context.CancelCauseFunc

	mu    sync.Mutex
	ready []*lane   // that have a task and no worker
	work  sync.Cond // of mu: there is a ready lane, or delivery stops
	room  sync.Cond // of mu: there is room in the window, or delivery stops
	lanes [laneCount]lane
	// slots are the tasks for the events that are taken, each at its number
	// modulo the size of the window.
	slots                    []task
	taken, handled, recorded int64         // numbers of events: all before these are
	bytes                    int           // of those not handled
	progress                 chan struct{} // has an element if handled has grown
	hurry                    chan struct{} // has an element if half the window is handled
	retrying                 map[Position]bool
	failing                  map[Position]*Failure // events that are tried again, without dead letters
	reported                 Failure               // the one of them that was stored last
}

// lane is a queue of events that are handled one after the other.
type lane struct {
	first, last *task
	busy        bool          // ready, held by a worker, or waiting to try again
	held        bool          // by a worker
	delay       time.Duration // until the worker's tasks are tried again
}

// task is an event to handle.
type task struct {
	Record
	lane    *lane
	next    *task       // in its lane
	letter  *DeadLetter // that the event was taken from; nil for a slot
	tries   int
	logged  bool          // whether it was logged that it failed
	reason  error         // why to give up; nil: not yet
	outcome outcome       // of the last try
	delay   time.Duration // until the next
	handled bool          // guarded by mu, unlike the others
}

type outcome int

const (
	untried outcome = iota
	failed          // try again
	done
)

func newDelivery(c *consumption, hold Hold) *delivery {
	d := &delivery{
		consumption: c, hold: hold, seed: maphash.MakeSeed(),
		slots:    make([]task, c.window),
		progress: make(chan struct{}, 1), hurry: make(chan struct{}, 1),
		retrying: map[Position]bool{}, failing: map[Position]*Failure{},
	}
	if _, ok := hold.Position(); ok {
		d.reported.Position = -1 // it is not known what the process before stored
	}
	d.work.L, d.room.L = &d.mu, &d.mu
	return d
}

// run delivers until ctx ends, and then returns nil, or until it can't go on.
func (d *delivery) run(ctx context.Context) error {
	taking, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	d.stop = stop
	handling, abandon := context.WithCancelCause(context.WithoutCancel(ctx))
	defer abandon(nil)
	context.AfterFunc(taking, func() {
		d.stopping.Store(true)
		if err := context.Cause(taking); errors.Is(err, ErrHeld) {
			abandon(err) // at once: another may handle the same
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.work.Broadcast()
		d.room.Broadcast()
	})
	lost := d.hold.Lost()
	defer context.AfterFunc(lost, func() {
		d.stopping.Store(true)
		abandon(context.Cause(lost)) // even if ctx has ended before
		stop(context.Cause(lost))
	})()
	var workers, others sync.WaitGroup
	for range d.concurrency {
		workers.Go(func() { d.handleTasks(handling) })
	}
	others.Go(func() { d.take(taking) })
	others.Go(func() { d.takeRetries(taking) })
	others.Go(func() { d.record(taking) })
	others.Wait()
	err := context.Cause(taking)
	if ctx.Err() != nil {
		err = nil
	}
	if err != nil {
		abandon(err)
	}
	workers.Wait()
	if err == nil {
		d.recordLast(handling)
	}
	return err
}

// take takes events from the log, as far as the window has room.
func (d *delivery) take(ctx context.Context) {
	after, _ := d.hold.Position()
	for failing := false; ctx.Err() == nil; {
		from := d.hold.From(after)
		from.Logger = d.logger
		for record, err := range d.log.Tail(ctx, from) {
			if err != nil {
				failing = d.waitAfter(ctx, "the log can't be read", err, failing)
				break
			}
			failing = false
			if !d.put(record) {
				return
			}
			after = record.Position
		}
	}
}

// waitAfter waits after a failure of the log, or stops the delivery if that can't
// go on. It logs what failed unless that is known, and returns true.
func (d *delivery) waitAfter(ctx context.Context, what string, err error, known bool) (failing bool) {
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, ErrHeld), errors.Is(err, ErrReplaced), !isTemporary(err):
		d.stop(err)
	default:
		if !known {
			d.logger.WarnContext(ctx, what, "error", err)
		}
		pause(ctx, storageRetryInterval)
	}
	return true
}

// put puts an event into its lane, once there is room in the window. It returns
// false if the delivery stops first.
func (d *delivery) put(record Record) bool {
	bytes := record.Size()
	wanted := !record.Erased && (d.wants == nil || d.wants(&record))
	if !wanted && !record.Erased {
		d.passOver(&record)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for !d.stopping.Load() && (d.isFull() || (d.bytes > 0 && d.bytes+bytes > MaxTakenBytes)) {
		d.room.Wait()
	}
	if d.stopping.Load() {
		return false
	}
	t := &d.slots[d.taken%int64(len(d.slots))]
	d.taken++
	d.bytes += bytes
	*t = task{Record: record}
	if wanted {
		d.enqueue(t)
	} else {
		d.finish(t)
	}
	return true
}

// isFull reports whether so many events are taken that are not recorded as handled yet
// as the window allows. mu is held.
func (d *delivery) isFull() bool { return d.taken-d.recorded >= int64(len(d.slots)) }

// enqueue puts a task at the end of its lane. mu is held.
func (d *delivery) enqueue(t *task) {
	var hash maphash.Hash
	hash.SetSeed(d.seed)
	_, _ = hash.WriteString(t.Source)
	_ = hash.WriteByte(0)
	_, _ = hash.WriteString(t.Subject)
	l := &d.lanes[hash.Sum64()%laneCount]
	t.lane = l
	l.push(t)
	d.release(l)
}

// release makes a lane ready, if it has a task and no worker. mu is held.
func (d *delivery) release(l *lane) {
	if l.busy || l.first == nil {
		return
	}
	l.busy = true
	d.ready = append(d.ready, l)
	d.work.Signal()
}

// takeRetries takes the dead letters that wait to be tried again.
func (d *delivery) takeRetries(ctx context.Context) {
	for failing := false; ctx.Err() == nil; pause(ctx, storageRetryInterval/2) {
		d.mu.Lock()
		before := maps.Clone(d.retrying) // they may be handled while the letters are read
		d.mu.Unlock()
		letters, err := d.hold.Retries(ctx)
		if err != nil {
			failing = d.waitAfter(ctx, "the dead letters can't be read", err, failing)
			continue
		}
		failing = false
		d.mu.Lock()
		for i := range letters {
			letter := &letters[i]
			if !before[letter.Position] {
				d.retrying[letter.Position] = true
				d.enqueue(&task{Record: letter.Record, letter: letter})
			}
		}
		d.mu.Unlock()
	}
}

// handleTasks runs a worker.
func (d *delivery) handleTasks(ctx context.Context) {
	var tasks []*task
	var records []Record
	most := 1
	if d.handleBatch != nil {
		most = d.batchSize
	}
	for {
		if tasks = d.next(tasks[:0], most); len(tasks) == 0 {
			return
		}
		if d.handleBatch == nil || tasks[0].isAlone() {
			d.try(ctx, tasks[0])
		} else {
			records = d.tryBatch(ctx, tasks, records[:0])
		}
		d.settle(tasks)
	}
}

// next waits for ready lanes and takes tasks out of them, none if the delivery
// stops. Tasks that were tried before are taken alone, and so are dead letters.
func (d *delivery) next(tasks []*task, most int) []*task {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.ready) == 0 && !d.stopping.Load() {
		d.work.Wait()
	}
	if d.stopping.Load() {
		return nil
	}
	for len(d.ready) > 0 && len(tasks) < most {
		l := d.ready[0]
		if len(tasks) > 0 && l.first.isAlone() {
			break
		}
		d.ready = d.ready[1:]
		l.held = true
		for l.first != nil && len(tasks) < most && (len(tasks) == 0 || !l.first.isAlone()) {
			if tasks = append(tasks, l.pop()); tasks[0].isAlone() {
				return tasks
			}
		}
	}
	return tasks
}

// isAlone reports whether a task must not be taken together with others.
func (t *task) isAlone() bool { return t.tries > 0 || t.letter != nil }

// push puts a task at the end of a lane.
func (l *lane) push(t *task) {
	if l.first == nil {
		l.first = t
	} else {
		l.last.next = t
	}
	l.last = t
}

// pushFront puts a task at the beginning of a lane.
func (l *lane) pushFront(t *task) {
	if l.first == nil {
		l.last = t
	}
	t.next, l.first = l.first, t
}

// pop takes the first task of a lane.
func (l *lane) pop() *task {
	t := l.first
	l.first, t.next = t.next, nil
	t.outcome, t.delay = untried, 0
	return t
}

// try calls the handler for an event, and updates its dead letter.
func (d *delivery) try(ctx context.Context, t *task) {
	if t.reason == nil {
		t.tries++
		if t.letter != nil {
			ctx = context.WithValue(ctx, retryKey{}, true)
		}
		within, ended := ctx, unobserved
		if len(d.observers) > 0 { // otherwise this would cost each event an allocation
			within, ended = d.handling(ctx, []Record{t.Record})
		}
		err := d.call(within, &t.Record, func() error {
			if d.handleBatch != nil {
				return d.handleBatch(within, []Record{t.Record})
			}
			return d.handle(within, t.Record)
		})
		if err != nil {
			d.judge(ctx, t, err)
			d.observeFailure(within, t)
		}
		ended(err)
		if err != nil && t.reason == nil {
			d.fail(within, t, err)
			return
		}
	}
	var err error
	switch {
	case t.reason != nil:
		err = d.giveUp(ctx, t)
	case t.letter != nil:
		err = d.hold.RemoveDead(context.WithoutCancel(ctx), t.Position)
	}
	if err != nil {
		d.logger.WarnContext(ctx, "a dead letter can't be written", "position", t.Position, "error", err)
		t.outcome, t.delay = failed, storageRetryInterval
		return
	}
	t.outcome = done
}

// judge decides what to do with an event that could not be handled.
func (d *delivery) judge(ctx context.Context, t *task, err error) {
	t.outcome, t.delay = failed, d.backoff(t.tries)
	var advice *advice
	advised := errors.As(err, &advice)
	if advised && advice.delay > 0 {
		t.delay = advice.delay
	}
	if ctx.Err() == nil && (t.tries >= d.tries || advised && advice.giveUp) {
		t.reason = err
	}
}

// fail notes that an event failed and is tried again, and logs it the first time.
func (d *delivery) fail(ctx context.Context, t *task, err error) {
	reason := CutReason(err.Error())
	if !t.logged {
		t.logged = true
		d.logger.WarnContext(ctx, "the handler failed; the event is tried again", "position", t.Position, "source", t.Source,
			"id", t.ID, "try", t.tries, "of", d.tries, "after", t.delay.Round(time.Millisecond), "error", reason)
	}
	if t.letter != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	failure := d.failing[t.Position]
	if failure == nil {
		failure = &Failure{Position: t.Position, Source: t.Source, ID: t.ID, Since: time.Now().UTC()}
		d.failing[t.Position] = failure
	}
	failure.Tries, failure.Reason = t.tries, reason
	notify(d.progress)
}

// backoff returns how long to wait after a number of tries, give or take a fifth,
// so that what failed together is not tried again together.
func (d *delivery) backoff(tries int) time.Duration {
	delay := d.first
	for i := 1; i < tries && delay < d.most; i++ {
		delay *= 2
	}
	return time.Duration(float64(min(delay, d.most)) * (0.8 + 0.4*rand.Float64()))
}

// tryBatch calls the handler for a batch. If it fails, each of the events will be
// tried alone.
func (d *delivery) tryBatch(ctx context.Context, tasks []*task, records []Record) []Record {
	slices.SortFunc(tasks, func(a, b *task) int { return int(a.Position - b.Position) })
	for _, t := range tasks {
		records = append(records, t.Record)
	}
	within, ended := d.handling(ctx, records)
	err := d.call(within, &tasks[0].Record, func() error { return d.handleBatch(within, records) })
	if err != nil && len(tasks) > 1 {
		d.logger.WarnContext(within, "the handler failed; each event of the batch is tried again in a batch of its own",
			"events", len(tasks), "first", tasks[0].Position, "last", tasks[len(tasks)-1].Position, "error", CutReason(err.Error()))
	}
	for _, t := range tasks {
		t.outcome = done
		if err == nil {
			continue
		}
		t.tries++
		switch d.judge(ctx, t, err); {
		case len(tasks) > 1:
			t.reason = nil // it may be another's fault
		case t.reason != nil:
			t.delay = 0
		default:
			d.fail(within, t, err)
		}
		d.observeFailure(within, t)
	}
	ended(err)
	clear(records)
	return records
}

// call calls the handler, and returns a panic as an error.
func (d *delivery) call(ctx context.Context, record *Record, handle func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			d.logger.ErrorContext(ctx, "panic in a consumer's handler",
				"position", record.Position, "cause", cause, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v%s", cause, panicked())
		}
	}()
	return handle()
}

// panicked returns where the function panicked whose panic was just recovered, by a
// deferred function that calls it: " (consume.go:31)".
func panicked() string {
	var callers [64]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers[:])]) // without panicked and its caller
	for {
		frame, more := frames.Next()
		switch {
		case frame.Function == "":
			return ""
		case !strings.HasPrefix(frame.Function, "runtime."): // and not what makes a panic of a fault
			return fmt.Sprintf(" (%s:%d)", filepath.Base(frame.File), frame.Line)
		case !more:
			return ""
		}
	}
}

// giveUp moves an event to the dead letters.
func (d *delivery) giveUp(ctx context.Context, t *task) error {
	letter := DeadLetter{Record: t.Record, Consumer: d.name, Tries: t.tries, Reason: t.reason.Error(), GaveUp: time.Now().UTC()}
	if t.letter != nil {
		letter.Tries += t.letter.Tries
	}
	if err := d.hold.PutDead(context.WithoutCancel(ctx), letter); err != nil {
		return err
	}
	d.logger.ErrorContext(ctx, "gave up on an event: it is in the dead letters now",
		"position", t.Position, "source", t.Source, "id", t.ID, "tries", letter.Tries, "error", CutReason(letter.Reason))
	return nil
}

// settle releases the lanes of tasks, and puts those that are not done back at
// their beginning.
func (d *delivery) settle(tasks []*task) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range slices.Backward(tasks) {
		l := t.lane
		if t.outcome == done {
			d.finish(t)
			continue
		}
		l.pushFront(t)
		l.delay = max(l.delay, t.delay)
	}
	for _, t := range tasks {
		switch l := t.lane; {
		case !l.held: // it is settled
		case l.delay > 0:
			time.AfterFunc(l.delay, func() {
				d.mu.Lock()
				defer d.mu.Unlock()
				l.busy = false
				d.release(l)
			})
			l.held, l.delay = false, 0
		default:
			l.held, l.busy = false, false
			d.release(l)
		}
	}
}

// finish marks an event as handled. mu is held.
func (d *delivery) finish(t *task) {
	if t.letter != nil {
		delete(d.retrying, t.Position)
		return
	}
	if !d.isFull() { // else only commitPosition makes room
		d.room.Signal() // only take waits for it
	}
	if len(d.failing) > 0 {
		delete(d.failing, t.Position)
		notify(d.progress)
	}
	d.bytes -= t.Size()
	t.Event, t.handled = Event{}, true
	window := int64(len(d.slots))
	before := d.handled
	for d.handled < d.taken && d.slots[d.handled%window].handled {
		d.handled++
	}
	if d.handled == before {
		return
	}
	notify(d.progress)
	if d.handled-d.recorded >= window/2 {
		notify(d.hurry)
	}
}

// notify puts an element into a channel of capacity one, if it is empty.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// record records what was handled, until the delivery stops.
func (d *delivery) record(ctx context.Context) {
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-d.progress:
		}
		select {
		case <-ctx.Done():
			return
		case <-d.hurry:
		case <-time.After(recordInterval):
		}
		for err := d.commit(ctx); err != nil; err = d.commit(ctx) {
			if failing = d.waitAfter(ctx, "what was handled can't be recorded", err, failing); ctx.Err() != nil {
				return
			}
		}
		failing = false
	}
}

// recordLast records what was handled once nothing more will be. What can't be
// recorded is handled again the next time.
func (d *delivery) recordLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := d.commit(ctx); err != nil {
		d.logger.WarnContext(ctx, "what was handled can't be recorded", "error", err)
	}
}

// commit stores how far everything is handled, and what fails.
func (d *delivery) commit(ctx context.Context) error {
	if err := d.commitPosition(ctx); err != nil {
		return err
	}
	return d.commitFailure(ctx)
}

// commitFailure stores the first event that fails, unless it is stored.
func (d *delivery) commitFailure(ctx context.Context) error {
	var first Failure
	d.mu.Lock()
	for position, failure := range d.failing {
		if first.Position == 0 || position < first.Position {
			first = *failure
		}
	}
	d.mu.Unlock()
	if first == d.reported {
		return nil
	}
	err := d.hold.SetFailure(ctx, first)
	if err == nil {
		d.reported = first
	}
	return err
}

// commitPosition commits the position up to which everything is handled.
func (d *delivery) commitPosition(ctx context.Context) error {
	d.mu.Lock()
	handled := d.handled
	position := d.slots[max(0, handled-1)%int64(len(d.slots))].Position
	grown := handled > d.recorded
	d.mu.Unlock()
	if !grown {
		return nil
	}
	if err := d.hold.Commit(ctx, position); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.recorded = handled
	d.room.Broadcast()
	return nil
}

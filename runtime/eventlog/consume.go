package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Consume calls a handler for each event of a log, at least once, from where the
// consumer of that name left off, in whichever process. It returns nil once ctx
// has ended and what was begun is finished, or an error if the log can't be used
// at all, such as [ErrClosed]. It waits while storage fails for a time, and while
// another process has the consumer's lease.
//
// A new consumer begins with the first event of the log (see [FromNow]). Several
// events are handled at once (see [Concurrency]), but those of one source and
// subject one after the other, in their order. Events of a source without a subject
// are one such sequence.
//
// If the handler returns an error, or panics, it is called again: after about
// 200 ms, then after twice as long each time, up to a minute (see [Backoff] and
// [RetryAfter]). After the tenth try (see [Tries] and [GiveUp]) the event goes to
// the dead letters, with the error, and the events after it have their turn. When
// [Log].Retry asks for a dead letter it is handled as a new event is, within
// about a second, though not in its order.
//
// That an event was handled is recorded soon afterwards, for many at a time. If
// the process is killed in between, at most the last 4096 events taken (see
// [Window]) are handled again. That includes those that went to the dead letters
// in between: if one succeeds this time, its dead letter stays, for [Log].Retry.
//
// The context of the handler has the values of ctx but does not end with it, so
// that what was begun can finish. It ends if the consumer's lease is lost.
func Consume(ctx context.Context, log Log, name string, handle func(context.Context, Record) error, options ...ConsumeOption) error {
	c := newConsumption(log, name, options)
	c.handle = handle
	return c.run(ctx)
}

// ConsumeBatches is [Consume] for a handler that takes several events at once,
// ordered by their positions: as many as there are, up to [BatchSize]. It is
// called for one batch at a time, unless [Concurrency] says otherwise.
//
// If it returns an error, each of these events is tried again in a batch of its
// own, so one bad event does not hold up the others. The slice is the handler's
// until it returns.
func ConsumeBatches(ctx context.Context, log Log, name string, handle func(context.Context, []Record) error, options ...ConsumeOption) error {
	c := newConsumption(log, name, append([]ConsumeOption{Concurrency(1)}, options...))
	c.handleBatch = handle
	return c.run(ctx)
}

// ConsumeOption changes how [Consume] works.
type ConsumeOption func(*consumption)

// Concurrency sets how many calls of the handler may run at once. The default is
// 8, and 1 for batches.
func Concurrency(calls int) ConsumeOption {
	return func(c *consumption) { c.concurrency = max(1, calls) }
}

// BatchSize sets how many events a batch has at most. The default is 256.
func BatchSize(events int) ConsumeOption {
	return func(c *consumption) { c.batchSize = max(1, events) }
}

// Tries sets how often an event is tried before it goes to the dead letters. The
// default is 10.
func Tries(tries int) ConsumeOption {
	return func(c *consumption) { c.tries = max(1, tries) }
}

// Backoff sets how long to wait after the first try; each later wait is twice as
// long, up to most. The defaults are 200 ms and a minute.
func Backoff(first, most time.Duration) ConsumeOption {
	return func(c *consumption) { c.first, c.most = first, most }
}

// Window sets how many events may be taken that are not recorded as handled yet.
// The default is 4096. It limits what is handled again after a crash; a small
// one makes recording frequent, which costs speed.
func Window(events int) ConsumeOption {
	return func(c *consumption) { c.window = max(1, events) }
}

// FromNow makes a new consumer begin after the events that the log has already.
func FromNow() ConsumeOption { return func(c *consumption) { c.fromNow = true } }

// KeepPosition is for packages that keep the position of a consumer elsewhere, such as in
// a database. begin is called with each lease that the consumer gets, and returns the one
// to use in its place, which has it as a part. What its error wraps says what becomes of
// the consumer, as with [Log].Hold.
func KeepPosition(begin func(ctx context.Context, hold Hold) (Hold, error)) ConsumeOption {
	return func(c *consumption) { c.keep = begin }
}

// Logger sets where a consumer logs what it waits for, and what it gave up on. The
// default is [slog.Default].
func Logger(logger *slog.Logger) ConsumeOption { return func(c *consumption) { c.logger = logger } }

// RetryAfter returns an error for a handler to return: the event is tried again
// after delay, or after the usual wait if delay is not positive. It counts as a try.
func RetryAfter(err error, delay time.Duration) error { return &advice{err, delay, false} }

// IsRetry reports whether the event that a handler got, with ctx, was a dead letter, which
// [Log].Retry asked for.
func IsRetry(ctx context.Context) bool { return ctx.Value(retryKey{}) != nil }

type retryKey struct{}

// GiveUp returns an error for a handler to return: the event goes to the dead
// letters without another try.
func GiveUp(err error) error { return &advice{err, 0, true} }

// Once returns a context for consumers that are to try each event once, whatever [Tries]
// is: what fails goes to the dead letters at once. (An event that fails in a batch is tried
// alone, too.) It is for finding out what would fail.
func Once(ctx context.Context) context.Context { return context.WithValue(ctx, onceKey{}, true) }

type onceKey struct{}

// advice is a handler's error, and what the handler wants done about it.
type advice struct {
	error
	delay  time.Duration
	giveUp bool
}

func (a *advice) Unwrap() error { return a.error }

// consumption is a call of [Consume].
type consumption struct {
	log         Log
	name        string
	handle      func(context.Context, Record) error            // or
	handleBatch func(context.Context, []Record) error          //
	wants       func(*Record) bool                             // nil: every event
	handlers    map[string]func(context.Context, Record) error // by message type, see On

	concurrency, batchSize, tries, window int
	first, most                           time.Duration
	fromNow                               bool
	keep                                  func(context.Context, Hold) (Hold, error) // nil: the log has the position
	passedOver                            map[string]bool                           // schemas of which an event was passed over
	logger                                *slog.Logger
	observers                             []Observer
}

func newConsumption(log Log, name string, options []ConsumeOption) *consumption {
	c := &consumption{
		log: log, name: name,
		concurrency: 8, batchSize: 256, tries: 10, window: 4096,
		first: 200 * time.Millisecond, most: time.Minute,
		handlers: map[string]func(context.Context, Record) error{}, passedOver: map[string]bool{},
		logger: slog.Default(), observers: observersOf(log),
	}
	for _, option := range options {
		option(c)
	}
	c.logger = c.logger.With("consumer", name)
	return c
}

// storageRetryInterval is how long a consumption waits before it uses a log again
// that has failed.
const storageRetryInterval = time.Second

// run consumes while it has the consumer's lease, as often as it gets it.
func (c *consumption) run(ctx context.Context) error {
	if ctx.Value(onceKey{}) != nil {
		c.tries = 1
	}
	if c.wants != nil {
		defer c.warnInBackground(ctx)()
	}
	for {
		hold, err := c.hold(ctx)
		if err != nil {
			return fmt.Errorf("consumer %q: %w", c.name, err)
		}
		if hold == nil {
			return nil
		}
		err = newDelivery(c, hold).run(ctx)
		if released := hold.Release(); released != nil {
			c.logger.WarnContext(ctx, "the consumer's lease can't be released", "error", released)
		}
		if ctx.Err() != nil || err == nil {
			return nil
		}
		if !errors.Is(err, ErrHeld) && !errors.Is(err, ErrReplaced) {
			return fmt.Errorf("consumer %q: %w", c.name, err)
		}
		c.logger.WarnContext(ctx, "the consumer stops, and begins again", "error", err)
	}
}

// hold waits for the consumer's lease. It returns nil, and no error, if ctx ends
// first.
func (c *consumption) hold(ctx context.Context) (Hold, error) {
	for logged := ""; ; {
		hold, err := c.take(ctx)
		if err == nil {
			if err = c.begin(ctx, hold); err == nil {
				if reason := hold.Restarted(); reason != "" {
					c.logger.WarnContext(ctx, "the consumer begins with the first event again; its dead letters stay", "reason", reason)
				}
				return hold, nil
			}
			_ = hold.Release()
		}
		switch {
		case ctx.Err() != nil:
			return nil, nil
		case !isTemporary(err):
			return nil, err
		case logged != err.Error():
			c.logger.InfoContext(ctx, "the consumer waits", "error", err)
			logged = err.Error()
		}
		pause(ctx, storageRetryInterval)
	}
}

// take takes the consumer's lease once.
func (c *consumption) take(ctx context.Context) (Hold, error) {
	hold, err := c.log.Hold(ctx, c.name)
	if err != nil {
		return nil, err
	}
	taken := hold
	if c.keep != nil {
		taken, err = c.keep(ctx, hold)
	} else if known, ok := hold.(KeeperHold); ok && known.Keeper() != "" { // it was consumed in another way before
		err = known.SetKeeper(ctx, "")
	}
	if err != nil {
		_ = hold.Release()
		return nil, err
	}
	return taken, nil
}

// begin commits where a new consumer begins.
func (c *consumption) begin(ctx context.Context, hold Hold) error {
	if _, ok := hold.Position(); ok {
		return nil
	}
	var position Position
	if c.fromNow {
		stats, err := c.log.Stats(ctx)
		if err != nil {
			return err
		}
		position = stats.Last
	}
	return hold.Commit(ctx, position)
}

// isTemporary reports whether what failed may work later.
func isTemporary(err error) bool {
	return errors.Is(err, ErrHeld) || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrFull)
}

// pause waits for a duration, or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

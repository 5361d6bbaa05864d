package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Consume has a handler handle the events of a log: each at least once, and
// from where the consumer of that name was left, in whichever process. It
// returns nil once ctx has ended and what was begun is finished, or an error
// if the log can't be used at all, such as [ErrClosed]. Storage that fails for
// a time, and a place that another process has, it waits for.
//
// A consumer that is new begins with the first event of the log (see
// [FromNow]). Several events are handled at once (see [Concurrency]), but those
// of one source and subject one after the other, in their order; so are all
// events of a source that have no subject.
//
// If the handler returns an error, or panics, it is called again: after 200 ms,
// then after twice as long each time, up to a minute, more or less (see
// [Backoff] and [RetryAfter]). After the tenth try (see [Tries] and [GiveUp])
// the event goes to the dead letters, with the error, and those behind it have
// their turn. When [Log].Retry asks for a dead letter it is handled as a new
// event is, within about a second, though not in its order.
//
// That an event was handled is recorded soon afterwards, for many at a time.
// If the process is killed meanwhile, at most the last 4096 taken (see
// [Window]) are handled again. One that went to the dead letters by then is, too:
// if it succeeds this time, its dead letter is still there, for [Log].Retry.
//
// The context of the handler has the values of ctx but does not end with it, so
// that what was begun can finish. It ends if the consumer's place is lost.
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
// own: so those that are not to blame are not held up by the one that is. The
// slice is the handler's until it returns.
func ConsumeBatches(ctx context.Context, log Log, name string, handle func(context.Context, []Record) error, options ...ConsumeOption) error {
	c := newConsumption(log, name, append([]ConsumeOption{Concurrency(1)}, options...))
	c.handleBatch = handle
	return c.run(ctx)
}

// ConsumeOption changes how [Consume] works.
type ConsumeOption func(*consumption)

// Concurrency is how many calls of the handler may be under way at once: 8
// unless given, and 1 for batches.
func Concurrency(calls int) ConsumeOption {
	return func(c *consumption) { c.concurrency = max(1, calls) }
}

// BatchSize is how many events a batch has at most: 256 unless given.
func BatchSize(events int) ConsumeOption {
	return func(c *consumption) { c.batchSize = max(1, events) }
}

// Tries is how often an event is tried before it goes to the dead letters: 10
// times unless given.
func Tries(tries int) ConsumeOption {
	return func(c *consumption) { c.tries = max(1, tries) }
}

// Backoff is how long to wait after the first try, and at most: 200 ms and a
// minute unless given.
func Backoff(first, most time.Duration) ConsumeOption {
	return func(c *consumption) { c.first, c.most = first, most }
}

// Window is how many events may be taken that are not recorded as handled yet:
// 4096 unless given. It bounds what is handled again after a crash; but a
// small one means frequent recording, and less speed.
func Window(events int) ConsumeOption {
	return func(c *consumption) { c.window = max(1, events) }
}

// FromNow has a consumer that is new begin behind what is in the log already.
func FromNow() ConsumeOption { return func(c *consumption) { c.fromNow = true } }

// Logger is where a consumer says what it waits for, and what it gave up on:
// [slog.Default] unless given.
func Logger(logger *slog.Logger) ConsumeOption { return func(c *consumption) { c.logger = logger } }

// RetryAfter is what a handler returns to be called again after some time of
// its choice, if that is more than nothing. It counts as a try.
func RetryAfter(err error, delay time.Duration) error { return &advice{err, delay, false} }

// GiveUp is what a handler returns for an event that no further try can help:
// it goes to the dead letters at once.
func GiveUp(err error) error { return &advice{err, 0, true} }

// advice is an error with what to do about it.
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
	logger                                *slog.Logger
}

func newConsumption(log Log, name string, options []ConsumeOption) *consumption {
	c := &consumption{
		log: log, name: name,
		concurrency: 8, batchSize: 256, tries: 10, window: 4096,
		first: 200 * time.Millisecond, most: time.Minute,
		handlers: map[string]func(context.Context, Record) error{},
		logger:   slog.Default(),
	}
	for _, option := range options {
		option(c)
	}
	c.logger = c.logger.With("consumer", name)
	return c
}

// patience is how long a consumption waits before it tries again what failed.
const patience = time.Second

// run consumes while it has the consumer's place, as often as it gets it.
func (c *consumption) run(ctx context.Context) error {
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
			c.logger.WarnContext(ctx, "the consumer's place can't be released", "error", released)
		}
		if ctx.Err() != nil || err == nil {
			return nil
		}
		if !errors.Is(err, ErrHeld) && !errors.Is(err, errAstray) {
			return fmt.Errorf("consumer %q: %w", c.name, err)
		}
		c.logger.WarnContext(ctx, "the consumer's place is lost", "error", err)
	}
}

// hold waits for the consumer's place. It returns none, and no error, if ctx
// ends first.
func (c *consumption) hold(ctx context.Context) (Hold, error) {
	for said := ""; ; {
		hold, err := c.log.Hold(ctx, c.name)
		if err == nil {
			if err = c.begin(ctx, hold); err == nil {
				if anew, is := hold.(interface{ beginsAnew() string }); is && anew.beginsAnew() != "" {
					c.logger.WarnContext(ctx, "the consumer begins with the first event again; its dead letters stay", "reason", anew.beginsAnew())
				}
				return hold, nil
			}
			_ = hold.Release()
		}
		switch {
		case ctx.Err() != nil:
			return nil, nil
		case !passing(err):
			return nil, err
		case said != err.Error():
			c.logger.InfoContext(ctx, "the consumer waits", "error", err)
			said = err.Error()
		}
		pause(ctx, patience)
	}
}

// begin gives a consumer that is new its place.
func (c *consumption) begin(ctx context.Context, hold Hold) error {
	if _, known := hold.Place(); known {
		return nil
	}
	var place Position
	if c.fromNow {
		stats, err := c.log.Stats(ctx)
		if err != nil {
			return err
		}
		place = stats.Last
	}
	return hold.Move(ctx, place)
}

// passing is whether what failed may work later.
func passing(err error) bool {
	return errors.Is(err, ErrHeld) || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrFull)
}

// pause waits for some time, or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

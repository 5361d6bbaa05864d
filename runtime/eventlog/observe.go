package eventlog

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Observer is called for what happens in a log, such as to count it. Its functions may be
// nil. They are called from many goroutines at once, and must not wait.
type Observer struct {
	// Appended is called after each append, with what Append returns and how long it
	// took. So it is if [AppendMessages] refuses a message before.
	Appended func(receipts []Receipt, events int, err error, took time.Duration)
	// Committed is called after each commit of the engine, with how many events it stored,
	// their bytes as [Event.Size] counts them, and how long it took. An append that waited
	// for others has taken longer. Engines that embed [Commits] call it.
	Committed func(events int, bytes int64, took time.Duration)
	// Traceparent returns the span of a call that appends, as [Event].Traceparent has
	// it, or "" if the call is not traced. [AppendMessages] stores it with the events.
	Traceparent func(context.Context) string
	// Handling is called before a consumer's handler gets events. The handler gets the
	// context that it returns, and when it has returned, done gets its error: nil if it
	// has handled them all.
	Handling func(ctx context.Context, consumer string, records []Record) (_ context.Context, done func(error))
	// Failed is called when a consumer's handler has failed with an event, before done, with
	// the context that Handling returned: how often the event was tried, and what becomes
	// of it. It is called for each event of a batch.
	Failed func(ctx context.Context, consumer string, record *Record, tries int, then Then)
}

// Then is what becomes of an event that a handler failed with.
type Then struct {
	// GiveUp is true if the event goes to the dead letters.
	GiveUp bool
	// Retry is how long the consumer waits until it tries the event again, alone if it
	// was one of a batch.
	Retry time.Duration
}

// Observe returns a log that calls observers for what happens in it, by appends to it and
// by consumers of it. If log is one that Observe returned, its observers are called, too.
func Observe(log Log, observers ...Observer) Log {
	of := &observedLog{log, observers}
	if inner, ok := log.(*observedLog); ok {
		of = &observedLog{inner.Log, slices.Concat(inner.observers, observers)}
	}
	if engine, ok := of.Log.(interface{ OnCommit(CommitFunc) }); ok {
		for _, observer := range observers {
			if observer.Committed != nil {
				engine.OnCommit(observer.Committed)
			}
		}
	}
	return of
}

// observedLog is a log with observers. The log in it has none.
type observedLog struct {
	Log
	observers []Observer
}

// CommitFunc is what [Observer].Committed is.
type CommitFunc = func(events int, bytes int64, took time.Duration)

// Commits is for the logs of engines to embed, so that [Observe] finds it. Its zero value
// is ready to use.
type Commits struct {
	mu        sync.Mutex
	observers atomic.Pointer[[]CommitFunc]
}

// OnCommit adds a function that is called after each commit.
func (c *Commits) OnCommit(f CommitFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []CommitFunc{f}
	if before := c.observers.Load(); before != nil {
		all = slices.Concat(*before, all)
	}
	c.observers.Store(&all)
}

// Observed reports whether anybody wants to know of commits. It is cheap.
func (c *Commits) Observed() bool { return c.observers.Load() != nil }

// Committed is for the engine to call after a commit.
func (c *Commits) Committed(events int, bytes int64, took time.Duration) {
	if observers := c.observers.Load(); observers != nil {
		for _, observer := range *observers {
			observer(events, bytes, took)
		}
	}
}

func (l *observedLog) Append(ctx context.Context, events ...Event) ([]Receipt, error) {
	begin := time.Now()
	receipts, err := l.Log.Append(ctx, events...)
	for _, observer := range l.observers {
		if observer.Appended != nil {
			observer.Appended(receipts, len(events), err, time.Since(begin))
		}
	}
	return receipts, err
}

// observersOf returns the observers of a log.
func observersOf(log Log) []Observer {
	if observed, ok := log.(*observedLog); ok {
		return observed.observers
	}
	return nil
}

// observeInvalid lets observers of a log know that no message of an append could be taken,
// because one is invalid.
func observeInvalid(log Log, messages int, err error) {
	for _, observer := range observersOf(log) {
		if observer.Appended != nil {
			observer.Appended(nil, messages, err, 0)
		}
	}
}

// unobserved is what handling returns if nobody observes handlers.
func unobserved(error) {}

// handling returns the context for a handler that gets events, and what to call with its
// error.
func (c *consumption) handling(ctx context.Context, records []Record) (context.Context, func(error)) {
	var done []func(error)
	for _, observer := range c.observers {
		if observer.Handling != nil {
			within, ended := observer.Handling(ctx, c.name, records)
			ctx, done = within, append(done, ended)
		}
	}
	if len(done) == 0 {
		return ctx, unobserved
	}
	return ctx, func(err error) {
		for _, ended := range done {
			ended(err)
		}
	}
}

// observeFailure calls observers for an event with which a handler failed.
func (d *delivery) observeFailure(ctx context.Context, t *task) {
	then := Then{GiveUp: t.reason != nil, Retry: t.delay}
	if then.GiveUp {
		then.Retry = 0
	}
	for _, observer := range d.observers {
		if observer.Failed != nil {
			observer.Failed(ctx, d.name, &t.Record, t.tries, then)
		}
	}
}

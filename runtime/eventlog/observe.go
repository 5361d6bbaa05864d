package eventlog

import (
	"context"
	"time"
)

// Observer is called for what happens in a log, such as to count it. Its functions may be
// nil. They are called from many goroutines at once, and must not wait.
type Observer struct {
	// Appended is called after each append, with what Append returns and how long it
	// took.
	Appended func(receipts []Receipt, events int, err error, took time.Duration)
	// Handling is called before a consumer's handler gets events. The handler gets the
	// context that it returns, and when it has returned, done gets its error.
	Handling func(ctx context.Context, consumer string, records []Record) (_ context.Context, done func(error))
	// Retrying is called when a consumer's handler has failed, and is called again.
	Retrying func(consumer string)
	// GaveUp is called when a consumer moves an event to the dead letters.
	GaveUp func(consumer string)
}

// Observe returns a log that calls observers for what happens in it, by appends to it and
// by consumers of it.
func Observe(log Log, observers ...Observer) Log { return &observedLog{log, observers} }

type observedLog struct {
	Log
	observers []Observer
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

// handling returns the context for a handler that gets events, and what to call with its
// error.
func (c *consumption) handling(ctx context.Context, records ...Record) (context.Context, func(error)) {
	var done []func(error)
	for _, observer := range c.observers {
		if observer.Handling != nil {
			within, ended := observer.Handling(ctx, c.name, records)
			ctx, done = within, append(done, ended)
		}
	}
	return ctx, func(err error) {
		for _, ended := range done {
			ended(err)
		}
	}
}

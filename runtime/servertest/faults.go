//runtime:with eventlog

package servertest

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/memory"
)

// errBroken is the error of a log whose storage is out of reach.
var errBroken = &eventlog.Error{Kind: eventlog.ErrUnavailable, Cause: errors.New("broken, for the test")}

// store appends the events of a call to the log behind a [tapped] one.
type store func() ([]eventlog.Receipt, error)

// tapped is a log whose appends a test sees, holds up or has fail.
type tapped struct {
	eventlog.Log
	tap func(ctx context.Context, events []eventlog.Event, store store) ([]eventlog.Receipt, error)
}

// Append implements [eventlog.Log].
func (l tapped) Append(ctx context.Context, events ...eventlog.Event) ([]eventlog.Receipt, error) {
	return l.tap(ctx, events, func() ([]eventlog.Receipt, error) { return l.Log.Append(ctx, events...) })
}

// memoryLog opens an empty log in memory, which is faster than [Log].
func memoryLog(t testing.TB) eventlog.Log {
	t.Helper()
	log, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// from is a log without its first events.
type from struct {
	eventlog.Log
	after eventlog.Position
}

// Read implements [eventlog.Log].
func (l from) Read(ctx context.Context, _ eventlog.From) iter.Seq2[eventlog.Record, error] {
	return l.Log.Read(ctx, eventlog.After(l.after))
}

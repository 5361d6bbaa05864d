// Package byhand implements the service kinds.v1.Intake in a style of its own: what it does
// is behind an interface, and no signature of it has a log.
package byhand

import (
	"context"
	"iter"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindsevents"
)

// Journal keeps clicks.
type Journal interface {
	// Write keeps all of some clicks, or none.
	Write(ctx context.Context, clicks []*kindspb.ClickEvent) error
	// Begin returns a context for a call that writes several times.
	Begin(ctx context.Context) context.Context
	// Read returns the clicks after a position and since a time, and then each new one.
	Read(ctx context.Context, after uint64, since time.Time) iter.Seq2[*kindspb.ClickEvent, error]
}

// journal is a [Journal] in an event log.
type journal struct{ events *kindsevents.Log }

func (j journal) Write(ctx context.Context, clicks []*kindspb.ClickEvent) error {
	_, err := j.events.AppendClickEvent(ctx, clicks...)
	return err
}

func (j journal) Begin(ctx context.Context) context.Context { return eventid.Sequence(ctx) }

func (j journal) Read(ctx context.Context, after uint64, since time.Time) iter.Seq2[*kindspb.ClickEvent, error] {
	from := kindsevents.After(kindsevents.Position(after))
	if !since.IsZero() {
		from = kindsevents.Since(since)
	}
	return func(yield func(*kindspb.ClickEvent, error) bool) {
		for stored, err := range j.events.TailClickEvent(ctx, from) {
			if !yield(stored.Message, err) {
				return
			}
		}
	}
}

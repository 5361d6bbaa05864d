//runtime:with publisher

package eventlog

import "context"

// DeleteLog is a [Log] from which events can be deleted. The logs of eventlog/sqlite
// implement it.
type DeleteLog interface {
	Log

	// Delete deletes the events at some positions, all or none. It does not matter whether
	// consumers have handled them. An event that is deleted is no longer recognised as a
	// duplicate. Positions without an event are skipped.
	//
	// It is for logs that one program has for itself, such as a spool: Stats counts the
	// positions between the first and the last event, and consumers that follow a log
	// take events to be deleted at its beginning only.
	Delete(ctx context.Context, positions ...Position) error
}

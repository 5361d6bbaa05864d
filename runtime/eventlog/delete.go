//runtime:with publisher

package eventlog

import "context"

// DeleteLog is a [Log] from which events can be deleted. The logs of eventlog/sqlite
// implement it.
type DeleteLog interface {
	Log

	// Delete deletes the events at some positions, all or none. It does not matter whether
	// consumers have handled them. An event that is deleted is not recognised as a duplicate
	// any longer. Positions without an event are passed over.
	Delete(ctx context.Context, positions ...Position) error
}

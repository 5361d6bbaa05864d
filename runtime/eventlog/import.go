//runtime:with operate.Backup eventlog.FileLog eventlog.Restore eventlog.ImportLog eventlog.EraseLog eventlog/eventlogtest

package eventlog

import (
	"context"
	"fmt"
)

// ImportLog is a [Log] that stores the events of another log unchanged. All engines that
// store events implement it.
type ImportLog interface {
	Log

	// Import stores events of another log, in their order, after the event at a position,
	// which must be the last that this log has, or 0 if it has none. It keeps when they
	// were recorded, their schemas (see [RegisterSchema]) and what was erased of them. Of
	// the events of a log without gaps in its positions it keeps these, too, if it is
	// empty at first; otherwise they are the next ones.
	//
	// Import stores all events or none, and returns where each is now: 0 for one whose
	// source and id are in the log already, with the same content, since it is not stored
	// again. If they are there with other content, or the log has got other events after
	// the position, the error is [ErrConflict].
	Import(ctx context.Context, after Position, records []Record) ([]Position, error)
}

// NotLast returns the [ErrConflict] of an import after a position that is not the last.
func NotLast(after, last Position) error {
	return &Error{Kind: ErrConflict, Detail: fmt.Sprintf("the log ends at position %d and not at %d: something else writes to it", last, after)}
}

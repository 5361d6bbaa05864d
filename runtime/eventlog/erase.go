//runtime:with operate.Backup eventlog.FileLog eventlog.Restore eventlog.ImportLog eventlog.EraseLog eventlog/eventlogtest

package eventlog

import "context"

// EraseLog is a [Log] from which what events say can be erased. All engines that store
// events implement it.
type EraseLog interface {
	Log

	// Erase erases the events of a source that have a subject, as far as they are stored
	// when it begins: their subject, data and traceparent. Their dead letters are removed,
	// and a consumer that is handling one of them stores none.
	// What stays is that there was an event: its id, source, type and schema, the times
	// and the position. So an event that is sent again is still a duplicate, whatever it
	// has besides these. It returns how much was erased. If there are positions, it is only
	// what is at these.
	Erase(ctx context.Context, source, subject string, positions ...Position) (Erasure, error)
}

// Erasure is how much was erased.
type Erasure struct {
	Events  int64
	Letters int64 // dead letters
}

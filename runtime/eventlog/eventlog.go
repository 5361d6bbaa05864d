// Package eventlog keeps events: durably, in order, each one once.
//
// A [Log] promises three things. An append that returns without an error is
// stored: its [Receipt] says how durably. What was stored is read back in the
// order of its positions, byte for byte. An event is identified by its source
// and id together, and is stored once however often it is appended.
//
// [Consume] has a handler handle each event at least once, under a name whose
// place the log remembers. What it can't handle goes to the dead letters.
//
// [Open] takes a URL, so that where events are kept is configuration.
package eventlog

import (
	"context"
	"iter"
	"time"
)

// Event is an event on its way into a log: the attributes of a CloudEvent and
// the protobuf message they were taken from. Its texts are valid UTF-8 without
// NUL, of at most 1024 bytes each; the events of one append have at most 64 MiB.
type Event struct {
	// ID identifies the event among those of its source. It must not be empty.
	ID string
	// Source says where the event comes from: an application, a tenant.
	// It may be empty: then all such events share one source.
	Source string
	// Type says what happened. It must not be empty.
	Type string
	// Subject says to whom or to what it happened. It may be empty.
	Subject string
	// Time says when it happened, to the nanosecond, within the years 1 to
	// 9999. Zero stands for the time at which the log records the event.
	Time time.Time
	// Schema is the full name of the protobuf message in Data, such as
	// "shop.v1.OrderEvent". It must not be empty.
	Schema string
	// Data is the message in protobuf's binary format. The log keeps it byte
	// for byte, and does not hold on to the slice once Append has returned.
	Data []byte
}

// Record is an event as the log holds it.
type Record struct {
	Event // its Time is never zero
	// Position is where in the log the event stands.
	Position Position
	// Recorded is when the log took the event in, to the nanosecond, in UTC.
	Recorded time.Time
}

// Position is the place of an event in its log. The first is at least 1, and
// each event stands at a greater one than all that were stored before it;
// numbers may be left out. Zero is before every event.
type Position int64

// From is where reading begins. The zero value is the beginning of the log.
type From struct {
	after Position
	since time.Time
	made  time.Time // the stream that after is in, if it has to be in that
}

// After begins behind a position.
func After(position Position) From { return From{after: position} }

// Since begins with the first event that was recorded at or after a time.
func Since(t time.Time) From { return From{since: t} }

// Durability says what an acknowledged event survives.
type Durability string

// The durabilities.
const (
	// Fsync: its storage device has confirmed the event. It survives the loss
	// of the process, of the system and of power.
	Fsync Durability = "fsync"
	// Quorum: most servers of a cluster have the event, on disk or still in the
	// cache of their systems. It survives the loss of any minority of them. If
	// most of them lose power at once it may be lost, unless it is so old that
	// they have synced it: JetStream's do so every sync_interval, which is two
	// minutes unless configured, and with each event only if it is "always".
	Quorum Durability = "quorum"
	// None: the event is stored, but nothing proves that it survives more than
	// the loss of this process. Only who asks for it gets it.
	None Durability = "none"
)

// Receipt is the acknowledgement of one appended event.
type Receipt struct {
	// Position is where the event stands.
	Position Position
	// Duplicate is true if the very same event had been stored before.
	Duplicate bool
	// Durability is what the log has made sure of.
	Durability Durability
}

// Log stores events. Its methods may be called from many goroutines at once,
// and several processes may have one log open.
//
// Its errors are made for a gRPC handler to return as they are: each has the
// status code that its caller should see (see [Error]).
type Log interface {
	// Append stores events, all of them or none, and returns one receipt for
	// each, in their order, once they are durable.
	//
	// An event whose source and id are in the log already is not stored again:
	// if it is the same in type, subject, schema and data, its receipt is that
	// of a duplicate; if it is not, the error is [ErrConflict]. (Its time is
	// not compared: one that was not given is different at every try.)
	//
	// If ctx ends first the error is that of ctx, and it is not known whether
	// the events will be stored: append them again to find out.
	Append(ctx context.Context, events ...Event) ([]Receipt, error)

	// Read yields what is stored and still kept, in order, up to what was stored
	// when Read began or somewhat later. It ends at the end of the log, or with
	// the error that stopped it.
	Read(ctx context.Context, from From) iter.Seq2[Record, error]

	// Tail yields what Read does and then, until ctx ends, each event soon
	// after it is stored, whichever process did. The end of ctx is its last
	// error.
	Tail(ctx context.Context, from From) iter.Seq2[Record, error]

	// Hold takes the place of a named consumer, which one process at a time can
	// have, until it is released, the log closed, or the process ends. If another
	// has it the error is [ErrHeld], and says who.
	Hold(ctx context.Context, consumer string) (Hold, error)

	// Dead yields the dead letters of a consumer, or of all if it is "".
	Dead(ctx context.Context, consumer string) iter.Seq2[DeadLetter, error]

	// Retry has a consumer handle dead letters again, those at the given
	// positions or all, when it next runs, in whichever process. It returns how
	// many there were.
	Retry(ctx context.Context, consumer string, positions ...Position) (int, error)

	// Stats says how much the log holds, and how far its consumers are.
	Stats(ctx context.Context) (Stats, error)

	// Check returns nil if the log can take an event now, and otherwise the
	// error that an append would get.
	Check(ctx context.Context) error

	// Close stores what was accepted and releases the log. Every call after it
	// fails with [ErrClosed].
	Close() error
}

// Hold is the place of a named consumer in a log, while one process has it.
// What it is told is durable when its method returns. If another process has
// taken the place meanwhile, the error is [ErrHeld].
type Hold interface {
	// Place is the position up to which the consumer has handled everything.
	// known is false if it was never moved: then the consumer is new.
	Place() (place Position, known bool)
	// Move moves the place.
	Move(ctx context.Context, to Position) error
	// Bury puts an event among the dead letters, or puts a new account of it in
	// the place of the old.
	Bury(ctx context.Context, letter DeadLetter) error
	// Retries are the dead letters that [Log].Retry has asked for: the first of
	// them, if there are many.
	Retries(ctx context.Context) ([]DeadLetter, error)
	// Revive takes an event off the dead letters: it has been handled.
	Revive(ctx context.Context, position Position) error
	// Release gives the place up. Every other call after it fails.
	Release() error
}

// DeadLetter is an event that a consumer gave up on.
type DeadLetter struct {
	Record
	Consumer string
	Tries    int       // how often it was tried
	Reason   string    // the error of the last try
	Buried   time.Time // when the consumer gave up
	Retrying bool      // whether it waits to be tried again
}

// Stats are figures about a log.
type Stats struct {
	Events      int64     // how many it holds
	Bytes       int64     // what they take, as far as the engine knows
	First, Last Position  // of the events that it holds; 0 if none
	Oldest      time.Time // when First was recorded
	Durability  Durability
	Consumers   []ConsumerStats // by their names
}

// ConsumerStats are figures about a consumer.
type ConsumerStats struct {
	Name   string
	Place  Position
	Lag    int64  // how many events stand behind its place
	Holder string // which process runs it; "" if none does
	Dead   int64  // how many dead letters it has
}

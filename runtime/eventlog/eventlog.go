// Package eventlog stores events: durably, in order, each one once.
//
// A [Log] makes three promises. An append that returns without an error is
// stored: its [Receipt] says how durably. Events are read back in the order of
// their positions, byte for byte. An event is identified by its source and id
// together, and is stored once however often it is appended.
//
// [Consume] calls a handler for each event at least once, under a name whose
// position the log remembers. Events that the handler can't handle go to the
// dead letters.
//
// [Open] takes a URL, so where events are stored is configuration. The engines,
// which do the storing, are packages of their own: eventlog/sqlite,
// eventlog/nats and eventlog/memory. A program has those that it imports. To
// write another one, implement [Log] and [Hold], call [Register], and have
// package eventlogtest test it.
package eventlog

import (
	"context"
	"iter"
	"log/slog"
	"time"
)

// Event is an event before it is stored: the attributes of a CloudEvent, and the
// protobuf message that they were taken from. Its texts are valid UTF-8 without
// NUL, of at most 1024 bytes each. The events of one append have at most 64 MiB
// (see [Event.Size]).
type Event struct {
	// ID identifies the event among those of its source. It must not be empty.
	ID string
	// Source is where the event comes from: an application, a tenant.
	// It may be empty: then all such events share one source.
	Source string
	// Type is what happened. It must not be empty.
	Type string
	// Subject is to whom or to what it happened. It may be empty.
	Subject string
	// Time is when it happened, to the nanosecond, within the years 1 to 9999.
	// Zero means: when the log records the event.
	Time time.Time
	// Schema is the full name of the protobuf message in Data, such as
	// "shop.v1.OrderEvent". It must not be empty.
	Schema string
	// Version is the version of the schema that Data has (see [Schema]), which this
	// program must know (see [FindSchema]), or "" if that is not known. It is stored, but
	// not compared: an event may be sent again by a newer program. [AppendMessages] sets
	// it, and that of a stored event is known to the program that reads it.
	Version string
	// Data is the message in protobuf's binary format. The log keeps it byte
	// for byte, and does not use the slice after Append has returned.
	Data []byte
	// Traceparent is the span that sent the event, in the form that [ParseTraceparent]
	// returns, or "" if that is not known. It is stored, but not compared: an event that
	// is sent again comes from another span.
	Traceparent string
}

// Record is an event as the log stores it. Its data belongs to whoever reads it.
type Record struct {
	Event // its Time is never zero
	// Position is the event's position in the log.
	Position Position
	// Recorded is when the log stored the event, to the nanosecond, in UTC.
	Recorded time.Time
	// Erased reports whether the event was erased (see [EraseLog]): then it has neither a
	// subject nor data.
	Erased bool
}

// Position is the position of an event in its log. The first is at least 1, and
// each event has a greater one than all that were stored before it; numbers may
// be left out. Zero is before every event.
type Position int64

// From is where reading begins. The zero value is the beginning of the log.
type From struct {
	// After is the position after which reading begins.
	After Position
	// Since, unless it is zero, makes reading begin with the first event that
	// was recorded at or after that time, and After is not used.
	Since time.Time
	// Log identifies the events that After is a position of, as [Hold.From] sets
	// it. If the log has other events by now, reading fails with [ErrReplaced]. If
	// it is empty, that is not checked. Only engines whose events can be replaced
	// set it, each in its own form; the others ignore it.
	Log string
	// Logger is where reading logs what it passes over, once: events after After
	// that were deleted before they were read, and what is in the storage but is
	// not an event. If it is nil, that is [slog.Default].
	Logger *slog.Logger
}

// After returns where to begin in order to read what comes after a position.
func After(position Position) From { return From{After: position} }

// Since returns where to begin in order to read from the first event that was
// recorded at or after a time.
func Since(t time.Time) From { return From{Since: t} }

// Durability says what an acknowledged event survives.
type Durability string

// The durabilities.
const (
	// Fsync: the storage device has confirmed the event. It survives the loss
	// of the process, of the system and of power.
	Fsync Durability = "fsync"
	// Quorum: most servers of a cluster have the event, on disk or still in the
	// cache of their systems. It survives the loss of any minority of them. If
	// most of them lose power at once it may be lost, unless it is so old that
	// they have synced it: JetStream's do so every sync_interval, which is two
	// minutes unless configured, and with each event only if it is "always".
	Quorum Durability = "quorum"
	// None: the event is stored, but nothing proves that it survives more than
	// the loss of this process. A log has it only if that was asked for.
	None Durability = "none"
)

// Receipt is the acknowledgement of one appended event.
type Receipt struct {
	// Position is the event's position in the log.
	Position Position
	// Duplicate reports whether the very same event had been stored before.
	Duplicate bool
	// Durability is what the log has made sure of.
	Durability Durability
	// ID is the id of the event. [AppendMessages] sets it, since the id may have come
	// with the call; a [Log], whose caller knows it, need not.
	ID string
}

// Log stores events. Its methods may be called from many goroutines at once,
// and several processes may have one log open.
//
// A gRPC handler can return its errors as they are: each has the status code
// that the caller should see (see [Error]).
type Log interface {
	// Append stores events, all of them or none, and returns one receipt for
	// each, in their order, once they are durable. Without events there are none.
	//
	// An event whose source and id are in the log is not stored again. If it
	// has the same type, subject, schema and data, its receipt is that of a
	// duplicate; otherwise the error is [ErrConflict]. (Times are not compared:
	// one that was not given is different at every try.)
	//
	// If ctx ends first the error is that of ctx, and the events may or may not
	// be stored: append them again to find out.
	Append(ctx context.Context, events ...Event) ([]Receipt, error)

	// Read yields the stored events that are still kept, in order, up to what
	// was stored when Read began or somewhat later. It ends at the end of the
	// log, or with the error that stopped it.
	Read(ctx context.Context, from From) iter.Seq2[Record, error]

	// Tail yields what Read does and then, until ctx ends, each event soon
	// after it is stored, by whichever process. The end of ctx is its last
	// error.
	Tail(ctx context.Context, from From) iter.Seq2[Record, error]

	// Hold takes the lease of a named consumer. It has one holder at a time, in
	// whichever process, this one included, until it is released, the log is
	// closed, or the process ends. If there is another holder the error is
	// [ErrHeld], and names it.
	Hold(ctx context.Context, consumer string) (Hold, error)

	// Dead yields the dead letters of a consumer by their positions, or those of
	// all consumers if it is "".
	Dead(ctx context.Context, consumer string) iter.Seq2[DeadLetter, error]

	// Retry makes a consumer handle dead letters again, those at the given
	// positions or all, when it next runs, in whichever process. It returns how
	// many there were. The consumer must be named: "" is [ErrInvalid].
	Retry(ctx context.Context, consumer string, positions ...Position) (int, error)

	// Discard removes dead letters of a consumer for good, those at the given
	// positions or all. It returns how many there were. The consumer must be named:
	// "" is [ErrInvalid]. One that the consumer is just trying again may come back.
	Discard(ctx context.Context, consumer string, positions ...Position) (int, error)

	// Stats returns how much the log stores, and how far its consumers are.
	Stats(ctx context.Context) (Stats, error)

	// Check returns nil if the log can take an event now, and otherwise the
	// error that an append would get.
	Check(ctx context.Context) error

	// Close stores what was accepted and releases the log. Every call after it
	// fails with [ErrClosed].
	Close() error
}

// Hold is the lease of a named consumer: the right to run it. Its methods may be
// called from many goroutines at once. What they change is durable when they
// return. They fail with [ErrHeld] once the lease is lost or released, and with
// [ErrClosed] once the log is closed.
type Hold interface {
	// Position returns the position up to which the consumer has handled
	// everything. ok is false if none was ever committed: the consumer is new.
	Position() (position Position, ok bool)

	// Restarted returns why the consumer begins with the first event again
	// although a position was committed: the log has other events by now, so that
	// position is not one of theirs. Then Position returns 0 and true. It returns
	// "" if the consumer goes on where it was, as it always does in a log whose
	// events can't be replaced.
	Restarted() string

	// From returns where to read what comes after a position: in the events that
	// this consumer's positions belong to, and in no others (see [From]).
	From(after Position) From

	// Lost returns a context that ends as soon as the lease is lost or released,
	// or the log is closed. Its cause says why, as [ErrHeld] or [ErrClosed].
	Lost() context.Context

	// Commit records that the consumer has handled everything up to a position,
	// which may be before the last one.
	Commit(ctx context.Context, position Position) error

	// SetFailure stores what the consumer fails at, for [Log].Stats to show, in
	// place of what was stored before. The zero value means nothing.
	SetFailure(ctx context.Context, failure Failure) error

	// PutDead stores a dead letter, in place of an earlier one of that event. The
	// letter's Consumer and Retrying are ignored: it is one of this consumer, and
	// waits for no retry. If the event was erased (see [EraseLog]) since it was read,
	// it has no letter afterwards.
	PutDead(ctx context.Context, letter DeadLetter) error

	// Retries returns the dead letters that [Log].Retry has asked for, by their
	// positions: the first of them, until they have [MaxTakenBytes] together, or
	// as many as the engine reads at once. It returns each again until PutDead or
	// RemoveDead was called for it.
	Retries(ctx context.Context) ([]DeadLetter, error)

	// RemoveDead removes the dead letter of an event that has been handled.
	RemoveDead(ctx context.Context, position Position) error

	// Delete removes the consumer, its position and its dead letters, and releases
	// the lease. A consumer of that name which runs later is a new one.
	Delete(ctx context.Context) error

	// Release gives the lease up. To release it again does nothing.
	Release() error
}

// KeeperHold is a [Hold] of an engine that stores what has the position of a consumer, if
// that is not the log (see [KeepPosition]). Those of all engines are.
type KeeperHold interface {
	Hold

	// Keeper returns what has the position, as SetKeeper stored it.
	Keeper() string

	// SetKeeper stores what has the position, for [Log].Stats to show: such as
	// "PostgreSQL", or "" if the log has it.
	SetKeeper(ctx context.Context, keeper string) error
}

// Failure is an event that a consumer could not handle yet, and tries again.
type Failure struct {
	Position Position  // of the event
	Source   string    // its source
	ID       string    // its id
	Tries    int       // how often it was tried
	Reason   string    // the error of the last try, cut as [CutReason] does
	Since    time.Time // when it failed first, in UTC
}

// DeadLetter is an event that a consumer gave up on.
type DeadLetter struct {
	Record
	Consumer string
	Tries    int       // how often it was tried
	Reason   string    // the error of the last try, cut as [CutReason] does
	GaveUp   time.Time // when the consumer gave up, in UTC
	Retrying bool      // whether it waits to be tried again
}

// Stats are figures about a log.
type Stats struct {
	Events      int64     // how many it stores
	Erased      int64     // how many of these are erased, or were removed when they were (see [EraseLog])
	Bytes       int64     // what they take, as far as the engine knows
	First, Last Position  // of the events that it stores; 0 if there are none
	Oldest      time.Time // when First was recorded
	Durability  Durability
	Consumers   []ConsumerStats // by their names
	Free        *int64          // how many bytes more its storage takes; nil if that is not known, or not limited
}

// ConsumerStats are figures about a consumer.
type ConsumerStats struct {
	Name     string
	Position Position // up to which it has handled everything
	Lag      int64    // how many events come after that
	Holder   string   // which process runs it; "" if none does
	Dead     int64    // how many dead letters it has
	Failure  Failure  // what it fails at, as [Hold.SetFailure] stored it
	Keeper   string   // what has its position, which Position is a copy of, such as "PostgreSQL"; "" if the log has it
	// Oldest is when the first event after Position was recorded. It is zero if there is
	// none, and in the logs of engines that don't know it.
	Oldest time.Time
}

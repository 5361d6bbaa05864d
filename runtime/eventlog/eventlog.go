// Package eventlog keeps events: durably, in order, each one once.
//
// A [Log] promises three things. An append that returns without an error is
// stored: its [Receipt] says how durably. What was stored is read back in the
// order of its positions, byte for byte. An event is identified by its source
// and id together, and is stored once however often it is appended.
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

// Durability says what an acknowledged event survives.
type Durability string

// Fsync is the durability of an event that its storage device has confirmed:
// it survives the loss of the process, of the system and of power.
const Fsync Durability = "fsync"

// Receipt is the acknowledgement of one appended event.
type Receipt struct {
	// Position is where the event stands.
	Position Position
	// Duplicate is true if the very same event had been stored before.
	Duplicate bool
	// Durability is what the log has made sure of.
	Durability Durability
}

// Log stores events. Its methods may be called from many goroutines at once.
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

	// Read yields what is stored behind the given position, in order, up to
	// what was stored when Read began or somewhat later. It ends at the end of
	// the log, or with the error that stopped it.
	Read(ctx context.Context, after Position) iter.Seq2[Record, error]

	// Close stores what was accepted and releases the log. Every call after it
	// fails with [ErrClosed].
	Close() error
}

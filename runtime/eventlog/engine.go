package eventlog

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// This file has what the authors of engines need.

// Mode is what a log is opened for.
type Mode int

// The modes.
const (
	// ReadWrite opens a log for everything, and creates it if there is none.
	ReadWrite Mode = iota
	// ReadOnly opens a log that exists. What would change it fails with
	// [ErrReadOnly].
	ReadOnly
)

// Engine opens the logs of one kind of storage. The URL may contain secrets, so
// its errors repeat only the part that names the log.
type Engine func(ctx context.Context, url string, mode Mode) (Log, error)

var engines = struct {
	sync.RWMutex
	byScheme map[string]Engine
}{byScheme: map[string]Engine{}}

// Register makes an engine available to [Open] under the schemes of its URLs.
// Packages of engines call it when they are imported, as the drivers of
// database/sql do, so their order makes no difference. It panics if a scheme is
// registered twice.
func Register(engine Engine, schemes ...string) {
	engines.Lock()
	defer engines.Unlock()
	for _, scheme := range schemes {
		if engines.byScheme[scheme] != nil {
			panic(fmt.Sprintf("eventlog: there are two engines for the scheme %q", scheme))
		}
		engines.byScheme[scheme] = engine
	}
}

// Open opens the log that a URL names, and creates it if there is none. The part
// before the first colon chooses the engine, among those that the program
// imports (see their packages for the rest of the URL):
//
//	sqlite:PATH               one file on this machine         eventlog/sqlite
//	nats://HOST,…/STREAM      a stream of NATS JetStream       eventlog/nats
//	memory:NAME               this process, for tests          eventlog/memory
//
// Several processes may have one log open.
//
// If this program would misread events of the log, because a message type that it reads as
// events (see [RegisterMessage]) has changed since they were stored, the error is a
// [MisreadError].
func Open(ctx context.Context, url string) (Log, error) {
	log, err := open(ctx, url, ReadWrite)
	if err != nil {
		return nil, err
	}
	if err := checkSchemas(ctx, log); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return log, nil
}

// OpenUnchecked is [Open] for programs that do not read events as their message types, such
// as one that copies them: it does not check that this program would read them rightly.
func OpenUnchecked(ctx context.Context, url string) (Log, error) {
	return open(ctx, url, ReadWrite)
}

// OpenReader opens an existing log for reading: what would change it fails with
// [ErrReadOnly].
func OpenReader(ctx context.Context, url string) (Log, error) {
	return open(ctx, url, ReadOnly)
}

func open(ctx context.Context, url string, mode Mode) (Log, error) {
	scheme, _, found := strings.Cut(url, ":")
	engines.RLock()
	engine := engines.byScheme[scheme]
	engines.RUnlock()
	switch {
	case !found && strings.Contains(url, "@"): // what comes before it may be a secret
		return nil, fmt.Errorf("event log …: want %s", schemes())
	case !found:
		return nil, fmt.Errorf("event log %q: want %s", url, schemes())
	case engine == nil: // and the rest may be secret
		return nil, fmt.Errorf("event log %s:…: want %s (this program imports no other engine)", scheme, schemes())
	}
	return engine(ctx, url, mode)
}

// schemes lists how URLs begin.
func schemes() string {
	engines.RLock()
	defer engines.RUnlock()
	var names []string
	for scheme := range engines.byScheme {
		names = append(names, scheme+":…")
	}
	if len(names) == 0 {
		return `an engine: import one, such as _ ".../eventlog/sqlite"`
	}
	slices.Sort(names)
	return strings.Join(names, " or ")
}

// What every engine accepts, and how much of it.
const (
	// maxAttribute is the most bytes that an id, source, type, subject or
	// schema may have.
	maxAttribute = 1 << 10
	// MaxAppendBytes is the most bytes that the events of one append may have
	// together, as [Event.Size] counts them.
	MaxAppendBytes = 64 << 20
	// MaxTakenBytes is how many bytes of events a consumer has in memory that are
	// not handled yet, and about how many [Hold].Retries returns at most.
	MaxTakenBytes = 64 << 20
	// maxReason is the most bytes that the reason of a dead letter has.
	maxReason = 1 << 10
)

// Size returns the bytes that an event counts for where bytes are limited: its
// texts and data, and an allowance for what it takes to hold them.
func (e *Event) Size() int {
	return len(e.Data) + len(e.ID) + len(e.Source) + len(e.Type) + len(e.Subject) + len(e.Schema) + len(e.Traceparent) + 256
}

// Same reports whether two events with one source and id have the same type,
// subject, schema and data: then one is a duplicate of the other. If not, they are
// in conflict.
//
// An event that was stored under a former name of the other's schema (see
// [RegisterMessage]) has the same schema. If it has no type of its own, so that the
// type is the name of the schema, it has the same type, too.
func (e *Event) Same(other *Event) bool {
	return e.sameType(other) && e.Subject == other.Subject && bytes.Equal(e.Data, other.Data)
}

// Stores reports whether an event with the record's source and id is the one that was
// stored. Of one that is erased, only the type and the schema are known.
func (r *Record) Stores(event *Event) bool {
	if r.Erased {
		return r.sameType(event)
	}
	return r.Same(event)
}

func (e *Event) sameType(other *Event) bool {
	sameType := e.Type == other.Type || e.Type == e.Schema && other.Type == other.Schema
	sameSchema := e.Schema == other.Schema || slices.Contains(FormerNames(other.Schema), e.Schema)
	return sameType && sameSchema
}

// Validate returns how many bytes the events of an append count for, or the
// error that says what is wrong with them.
func Validate(events []Event) (size int, err error) {
	for i := range events {
		if flaw := events[i].flaw(); flaw != "" {
			if len(events) > 1 {
				flaw = fmt.Sprintf("event %d of %d: %s", i+1, len(events), flaw)
			}
			return 0, &Error{Kind: ErrInvalid, Detail: flaw}
		}
		size += events[i].Size()
	}
	if size > MaxAppendBytes {
		return 0, &Error{Kind: ErrInvalid, Detail: fmt.Sprintf("%d events have %d bytes together, and one append may have %d; append them in parts", len(events), size, MaxAppendBytes)}
	}
	return size, nil
}

// flaw returns what is wrong with an event, or "".
func (e *Event) flaw() string {
	for _, attribute := range [...]struct {
		name, value string
		required    bool
	}{
		{"id", e.ID, true},
		{"source", e.Source, false},
		{"type", e.Type, true},
		{"subject", e.Subject, false},
		{"schema", e.Schema, true},
	} {
		if attribute.value == "" && attribute.required {
			return attribute.name + " is empty"
		}
		if flaw := textFlaw(attribute.name, attribute.value); flaw != "" {
			return flaw
		}
	}
	if year := e.Time.UTC().Year(); !e.Time.IsZero() && (year < 1 || year > 9999) {
		return fmt.Sprintf("time is in the year %d, want 1 to 9999", year)
	}
	if _, known := FindSchema(e.Version); e.Version != "" && !known {
		return fmt.Sprintf("version %s of the schema of %s is not known to this program: RegisterSchema makes it known", e.Version, e.Schema)
	}
	if e.Traceparent != "" && !isTraceparent(e.Traceparent) {
		return "traceparent is not as ParseTraceparent returns it"
	}
	return ""
}

// textFlaw returns what is wrong with a text, or "".
func textFlaw(name, text string) string {
	switch {
	case len(text) > maxAttribute:
		return fmt.Sprintf("%s has %d bytes, at most %d are allowed", name, len(text), maxAttribute)
	case strings.IndexByte(text, 0) >= 0:
		return name + " has a NUL byte"
	case !utf8.ValidString(text):
		return name + " is not valid UTF-8"
	}
	return ""
}

// LogDeleted logs that events were deleted before they were read, if the next one has a
// later position than the one after f.After. It is for engines that leave out no
// numbers.
func (f From) LogDeleted(ctx context.Context, next Position) {
	if f.After > 0 && f.Since.IsZero() && next > f.After+1 {
		f.logger().WarnContext(ctx, "events were deleted before they were read, and are passed over",
			"first", f.After+1, "last", next-1, "count", next-1-f.After)
	}
}

// LogForeign logs that what is at a position is not an event, and why. Reading goes on
// after it.
func (f From) LogForeign(ctx context.Context, position Position, why error) {
	f.logger().WarnContext(ctx, "what is stored at a position is not an event, and is passed over: something else has written to the event log",
		"position", position, "error", why)
}

func (f From) logger() *slog.Logger { return cmp.Or(f.Logger, slog.Default()) }

// ValidateConsumer returns the error that says what is wrong with the name of a
// consumer, or nil.
func ValidateConsumer(name string) error {
	if name == "" {
		return &Error{Kind: ErrInvalid, Detail: "the name of the consumer is empty"}
	}
	if flaw := textFlaw("the name of the consumer", name); flaw != "" {
		return &Error{Kind: ErrInvalid, Detail: flaw}
	}
	return nil
}

// CutReason returns a reason as dead letters and logs have it: valid UTF-8 without
// NUL, of at most 1024 bytes. So a dead letter always fits where its event did.
func CutReason(reason string) string {
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(reason, ""), "\x00", "")
}

// ParseBytes parses a number of bytes as URLs have it: 5000, 64KB, 500MB, 10GB,
// 2TB, where a KB is 1024 bytes.
func ParseBytes(text string) (int64, error) {
	unit := int64(1)
	for i, suffix := range []string{"KB", "MB", "GB", "TB"} {
		if number, found := strings.CutSuffix(text, suffix); found {
			text, unit = number, 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && (n < 0 || n > (1<<62)/unit) {
		err = strconv.ErrRange
	}
	return n * unit, err
}

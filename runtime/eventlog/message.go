package eventlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// AppendMessages appends the events that messages carry, all of them or none, and
// returns a receipt for each. attributes returns an event without what
// AppendMessages fills in: Schema, Version and Data from the message, and the ID, if the
// message has none, from the id that came with the call (see [eventid.Next]), and
// Traceparent: from the message, if that is a CloudEvent with such an attribute, else from
// the span of the call, if it is traced, or the span that the caller sent.
//
// Equal messages are stored as equal bytes, so an event that is sent again is
// recognised as a duplicate. How many were goes with the answer to the call, see
// [DuplicatesKey].
//
// A message that some client could not read back is [ErrInvalid]: one in which
// more than 99 messages are nested, or a Timestamp or Duration is out of its
// range, or a text is not valid UTF-8. What has no form in protobuf JSON, such as
// NaN in a Struct, is stored.
func AppendMessages[M proto.Message](ctx context.Context, log Log, messages []M, attributes func(M) Event) ([]Receipt, error) {
	events := make([]Event, len(messages))
	next, parent := eventid.Next(ctx, len(messages)), traceparentOf(ctx, log)
	for i, message := range messages {
		data, err := encode(message)
		if err != nil {
			observeInvalid(log, len(messages), err)
			return nil, err
		}
		id := next() // counts also the events that have one
		events[i] = attributes(message)
		if events[i].ID == "" {
			events[i].ID = id
		}
		events[i].Schema, events[i].Data = string(message.ProtoReflect().Descriptor().FullName()), data
		events[i].Version = versionOf(message.ProtoReflect().Descriptor())
		events[i].Traceparent = cmp.Or(events[i].Traceparent, ownTraceparent(message.ProtoReflect()), parent)
	}
	receipts, err := log.Append(ctx, events...)
	duplicates := 0
	for i := range min(len(receipts), len(events)) {
		receipts[i].ID = events[i].ID
		if receipts[i].Duplicate {
			duplicates++
		}
	}
	if duplicates > 0 { // fails outside a call, where nobody asks
		_ = grpc.SetTrailer(ctx, metadata.Pairs(DuplicatesKey, strconv.Itoa(duplicates)))
	}
	return receipts, err
}

// DuplicatesKey is the key of a trailer of calls that append events: how many of them were
// stored before, if any. It is there once for each append.
const DuplicatesKey = "event-duplicates"

// encode returns the bytes to store of a message, or an [ErrInvalid] if some client could
// not read it back.
func encode(message proto.Message) ([]byte, error) {
	if !message.ProtoReflect().IsValid() {
		return nil, &Error{Kind: ErrInvalid, Detail: "no " + string(message.ProtoReflect().Descriptor().FullName()) + " is given"}
	}
	if err := checkBounds(message.ProtoReflect()); err != nil {
		return nil, &Error{Kind: ErrInvalid, Detail: err.Error()}
	}
	data, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte{}, message)
	if err != nil {
		return nil, &Error{Kind: ErrInvalid, Detail: err.Error()}
	}
	return data, nil
}

// Stored is an event as it is read back: what the log holds, and the message
// in it.
type Stored[M proto.Message] struct {
	Record
	Message M
}

// ReplayMessages yields the stored events of one message type, as [Log].Read does,
// and skips the others. An event whose data is not such a message, because the
// type has changed, is yielded with [ErrUnreadable], and without a message; the
// next one follows unless the loop ends.
func ReplayMessages[M proto.Message](ctx context.Context, log Log, from From) iter.Seq2[Stored[M], error] {
	return messagesAhead[M](ctx, log.Read(ctx, from))
}

// TailMessages yields the stored events of one message type, and then each soon
// after it is stored, until ctx ends, which is its last error. Whoever follows the
// log can't do anything about an event whose data is not such a message, because
// the type has changed: it is logged by slog.Default and passed over.
func TailMessages[M proto.Message](ctx context.Context, log Log, from From) iter.Seq2[Stored[M], error] {
	schema := newSchema[M]()
	schema.warnAtFirstTail(ctx, log)
	return func(yield func(Stored[M], error) bool) {
		for record, err := range log.Tail(ctx, from) {
			if err == nil && !schema.has(&record) {
				continue
			}
			stored := Stored[M]{Record: record}
			if err == nil {
				stored, err = schema.stored(record)
			}
			if errors.Is(err, ErrUnreadable) {
				logUnreadable(ctx, &record, err)
				continue
			}
			if !yield(stored, err) || err != nil {
				return
			}
		}
	}
}

// On makes a consumer handle the events of one message type, as [Stored] of it. An
// event whose data is not such a message goes to the dead letters at once.
func On[M proto.Message](handle func(context.Context, Stored[M]) error) ConsumeOption {
	schema := newSchema[M]()
	return func(c *consumption) {
		for _, name := range schema.names {
			c.handlers[name] = func(ctx context.Context, record Record) error {
				stored, err := schema.stored(record)
				if err != nil {
					return GiveUp(err)
				}
				return handle(ctx, stored)
			}
		}
	}
}

// ConsumeMessages is [Consume] with a handler for each message type (see [On]), so
// events of several types are handled in one order. It skips events of types
// without a handler.
func ConsumeMessages(ctx context.Context, log Log, name string, options ...ConsumeOption) error {
	c := newConsumption(log, name, options)
	if len(c.handlers) == 0 {
		return fmt.Errorf("consumer %q has no handler for any type of event", name)
	}
	c.wants = func(record *Record) bool { return c.handlers[record.Schema] != nil }
	c.handle = func(ctx context.Context, record Record) error { return c.handlers[record.Schema](ctx, record) }
	return c.run(ctx)
}

// ConsumeMessageBatches is [ConsumeBatches] for the events of one message type. It
// skips the others.
func ConsumeMessageBatches[M proto.Message](ctx context.Context, log Log, name string, handle func(context.Context, []Stored[M]) error, options ...ConsumeOption) error {
	schema := newSchema[M]()
	return ConsumeBatches(ctx, log, name, func(ctx context.Context, records []Record) error {
		batch := make([]Stored[M], len(records))
		for i, record := range records {
			var err error
			if batch[i], err = schema.stored(record); err != nil {
				return GiveUp(err)
			}
		}
		return handle(ctx, batch)
	}, append(options[:len(options):len(options)], schema.wanted)...)
}

// schema is a message type.
type schema[M proto.Message] struct {
	names []string // its own, and then the former ones
	kind  protoreflect.MessageType
}

func newSchema[M proto.Message]() schema[M] {
	var none M
	kind := none.ProtoReflect().Type()
	name := string(kind.Descriptor().FullName())
	return schema[M]{append([]string{name}, FormerNames(name)...), kind}
}

// has reports whether an event is of the type, and not erased.
func (s schema[M]) has(record *Record) bool {
	if record.Erased {
		return false
	}
	return record.Schema == s.names[0] || slices.Contains(s.names[1:], record.Schema)
}

// wanted makes a consumer handle only events of the type.
func (s schema[M]) wanted(c *consumption) {
	c.wants = s.has
}

func (s schema[M]) stored(record Record) (Stored[M], error) {
	stored := Stored[M]{Record: record, Message: s.kind.New().Interface().(M)}
	if err := proto.Unmarshal(record.Data, stored.Message); err != nil {
		stored.Message = s.kind.Zero().Interface().(M) // and not half of it
		return stored, &Error{Kind: ErrUnreadable, Detail: fmt.Sprintf("the event at position %d is not a %s", record.Position, s.names[0]), Cause: err}
	}
	return stored, nil
}

// How much one goroutine unmarshals, and how many of them there are.
const (
	maxChunkEvents = 64
	maxChunkBytes  = 256 << 10
	maxChunks      = 3
)

// messagesAhead yields the records of one message type, and unmarshals the next
// ones while one is yielded.
func messagesAhead[M proto.Message](ctx context.Context, records iter.Seq2[Record, error]) iter.Seq2[Stored[M], error] {
	schema := newSchema[M]()
	return func(yield func(Stored[M], error) bool) {
		var ahead []chan chunk[M]
		yieldFirst := func() (wanted bool) {
			wanted = (<-ahead[0]).yield(ctx, yield)
			ahead = ahead[1:]
			return wanted
		}
		var next chunk[M]
		bytes := 0
		for record, err := range records {
			if err == nil && !schema.has(&record) {
				continue
			}
			next.events, next.err = append(next.events, Stored[M]{Record: record}), err
			bytes += record.Size()
			if err == nil && len(next.events) < maxChunkEvents && bytes < maxChunkBytes {
				continue
			}
			ahead = append(ahead, next.unmarshal(schema))
			next, bytes = chunk[M]{}, 0
			if len(ahead) == maxChunks && !yieldFirst() {
				return
			}
		}
		ahead = append(ahead, next.unmarshal(schema))
		for len(ahead) > 0 && yieldFirst() {
		}
	}
}

// chunk is some consecutive events, the last one with an error of the log if err
// is set.
type chunk[M proto.Message] struct {
	events     []Stored[M]
	unreadable map[int]error // of events that have no message
	err        error
}

// unmarshal sends the chunk with its messages.
func (c chunk[M]) unmarshal(schema schema[M]) chan chunk[M] {
	done := make(chan chunk[M], 1)
	go func() {
		for i, event := range c.events {
			if c.err != nil && i == len(c.events)-1 {
				break
			}
			var err error
			if c.events[i], err = schema.stored(event.Record); err != nil {
				if c.unreadable == nil {
					c.unreadable = make(map[int]error)
				}
				c.unreadable[i] = err
			}
		}
		done <- c
	}()
	return done
}

func (c chunk[M]) yield(ctx context.Context, yield func(Stored[M], error) bool) (wanted bool) {
	for i, event := range c.events {
		if ctx.Err() != nil {
			yield(Stored[M]{}, Ended(ctx))
			return false
		}
		if c.err != nil && i == len(c.events)-1 {
			yield(event, c.err)
			return false
		}
		if !yield(event, c.unreadable[i]) {
			return false
		}
	}
	return true
}

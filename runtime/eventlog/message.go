package eventlog

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// AppendMessages appends the events that messages carry, all of them or none,
// and returns a receipt for each. What attributes leaves out of an event is
// filled in: its Schema and Data from the message, and its ID, if the message
// has none, by what came with the call (see [eventid.Next]).
//
// Equal messages are stored as equal bytes, so that an event that is sent twice
// is known again.
func AppendMessages[M proto.Message](ctx context.Context, log Log, messages []M, attributes func(M) Event) ([]Receipt, error) {
	events := make([]Event, len(messages))
	next := eventid.Next(ctx, len(messages))
	for i, message := range messages {
		if !message.ProtoReflect().IsValid() {
			return nil, &Error{Kind: ErrInvalid, Detail: "it is missing"}
		}
		data, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte{}, message)
		if err != nil {
			return nil, &Error{Kind: ErrInvalid, Detail: err.Error()}
		}
		id := next() // counts also the events that have one
		events[i] = attributes(message)
		if events[i].ID == "" {
			events[i].ID = id
		}
		events[i].Schema, events[i].Data = string(message.ProtoReflect().Descriptor().FullName()), data
	}
	return log.Append(ctx, events...)
}

// Stored is an event as it is read back: what the log holds, and the message
// in it.
type Stored[M proto.Message] struct {
	Record
	Message M
}

// ReadMessages yields the stored events of one message type, as [Log] reads
// them. Those of other types are passed over.
func ReadMessages[M proto.Message](ctx context.Context, log Log, after Position) iter.Seq2[Stored[M], error] {
	return messages[M](log.Read(ctx, after))
}

// TailMessages yields what [ReadMessages] does, and then each event as it is
// stored, until ctx ends: that is its last error.
func TailMessages[M proto.Message](ctx context.Context, log Log, after Position) iter.Seq2[Stored[M], error] {
	return messages[M](Tail(ctx, log, after))
}

// messages are the records of one message type.
func messages[M proto.Message](records iter.Seq2[Record, error]) iter.Seq2[Stored[M], error] {
	var none M
	kind := none.ProtoReflect().Type()
	schema := string(kind.Descriptor().FullName())
	return func(yield func(Stored[M], error) bool) {
		for record, err := range records {
			if err == nil && record.Schema != schema {
				continue
			}
			stored := Stored[M]{Record: record}
			if err == nil {
				stored.Message = kind.New().Interface().(M)
				if err = proto.Unmarshal(record.Data, stored.Message); err != nil {
					err = fmt.Errorf("position %d is no %s: %w", record.Position, schema, err)
				}
			}
			if !yield(stored, err) || err != nil {
				return
			}
		}
	}
}

// pollInterval is how soon a tail sees a new event, at the latest.
const pollInterval = 50 * time.Millisecond

// Tail yields what a log reads behind a position and then, until ctx ends, each
// event as it is stored, also by another process. The end of ctx is its last
// error.
func Tail(ctx context.Context, log Log, after Position) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for {
			for record, err := range log.Read(ctx, after) {
				if !yield(record, err) || err != nil {
					return
				}
				after = record.Position
			}
			select {
			case <-ctx.Done():
				yield(Record{}, ended(ctx))
				return
			case <-time.After(pollInterval):
			}
		}
	}
}

// UnixTime is the time that a number of units since 1970 stands for; 0 stands
// for none.
func UnixTime(n int64, unit time.Duration) time.Time {
	if n == 0 {
		return time.Time{}
	}
	perSecond := int64(time.Second / unit)
	return time.Unix(n/perSecond, n%perSecond*int64(unit))
}

// TimestampTime is the time of a timestamp, which may be nil: then it is none.
func TimestampTime(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

// Number is the text of a number; 0 stands for none.
func Number[N int32 | int64 | uint32 | uint64](n N) string {
	switch {
	case n == 0:
		return ""
	case n < 0:
		return strconv.FormatInt(int64(n), 10)
	default:
		return strconv.FormatUint(uint64(n), 10)
	}
}

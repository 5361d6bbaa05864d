package eventlog

import (
	"context"
	"iter"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// AppendMessage appends one event to a log: the given attributes, with the
// message for its Schema and Data.
//
// Equal messages are stored as equal bytes, so that an event that is sent twice
// is known again.
func AppendMessage(ctx context.Context, log Log, message proto.Message, event Event) (Receipt, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte{}, message)
	if err != nil {
		return Receipt{}, &Error{Kind: ErrInvalid, Detail: err.Error()}
	}
	event.Schema, event.Data = string(message.ProtoReflect().Descriptor().FullName()), data
	receipts, err := log.Append(ctx, event)
	if err != nil {
		return Receipt{}, err
	}
	return receipts[0], nil
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
	var none M
	kind := none.ProtoReflect().Type()
	schema := string(kind.Descriptor().FullName())
	return func(yield func(Stored[M], error) bool) {
		for record, err := range log.Read(ctx, after) {
			if err == nil && record.Schema != schema {
				continue
			}
			stored := Stored[M]{Record: record}
			if err == nil {
				stored.Message = kind.New().Interface().(M)
				err = proto.Unmarshal(record.Data, stored.Message)
			}
			if !yield(stored, err) || err != nil {
				return
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

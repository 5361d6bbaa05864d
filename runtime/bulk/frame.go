package bulk

import (
	"errors"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
)

// Suffix is what the name of a lane has after that of its RPC. No RPC of a proto can have
// such a name.
const Suffix = ".bulk"

// MaxMessage bounds the messages of clients, in bytes. A call that does not fit in one is
// made as a single call.
const MaxMessage = 64 << 10

// The messages of a lane are encoded as these messages of protobuf would be. Unknown fields
// are skipped, so that later versions can add some.
//
//	message Calls   { uint64 timeout_ms = 1; repeated Call calls = 2; }
//	message Call    { uint64 number = 1; string id = 2; bytes request = 3; repeated Pair metadata = 4; }
//	message Answers { optional uint64 taken = 1; repeated Answer answers = 2; }
//	message Answer  { uint64 number = 1; bytes reply = 2; bytes status = 3; repeated Pair header = 4; repeated Pair trailer = 5; }
//	message Pair    { string key = 1; bytes value = 2; }
const (
	fieldTimeout  = 1
	fieldTaken    = 1
	fieldElements = 2

	fieldNumber   = 1
	fieldID       = 2
	fieldRequest  = 3
	fieldMetadata = 4

	fieldReply   = 2
	fieldStatus  = 3
	fieldHeader  = 4
	fieldTrailer = 5

	fieldKey   = 1
	fieldValue = 2
)

// What the metadata of an answer may have, as gRPC counts and limits that of a single call.
const (
	mostPairs    = 16 << 20
	pairOverhead = 32
)

// ErrFrame is the error of bytes that are not a message of a lane.
var ErrFrame = errors.New("a message of a lane can't be decoded")

// CallFrame is a call as it is sent.
type CallFrame struct {
	Number   uint64 // by which the answer names it
	ID       string // of the event; "" for none
	Request  []byte
	Metadata metadata.MD
}

// AppendTimeout begins a message of calls, each of which may take so long. Without it, they
// may take any time.
func AppendTimeout(to []byte, timeout time.Duration) []byte {
	to = protowire.AppendTag(to, fieldTimeout, protowire.VarintType)
	return protowire.AppendVarint(to, uint64(max(timeout.Milliseconds(), 1)))
}

// AppendCall adds a call to a message.
func AppendCall(to []byte, c *CallFrame) []byte {
	to = protowire.AppendTag(to, fieldElements, protowire.BytesType)
	to = protowire.AppendVarint(to, uint64(c.size()))
	to = appendNumber(to, c.Number)
	if c.ID != "" {
		to = protowire.AppendTag(to, fieldID, protowire.BytesType)
		to = protowire.AppendString(to, c.ID)
	}
	if len(c.Request) > 0 {
		to = protowire.AppendTag(to, fieldRequest, protowire.BytesType)
		to = protowire.AppendBytes(to, c.Request)
	}
	return appendPairs(to, fieldMetadata, c.Metadata)
}

// Size returns about how many bytes [AppendCall] adds; it may add up to 2 more.
func (c *CallFrame) Size() int { return 2 + c.size() }

func (c *CallFrame) size() int {
	n := 1 + protowire.SizeVarint(c.Number)
	if c.ID != "" {
		n += 1 + protowire.SizeBytes(len(c.ID))
	}
	if len(c.Request) > 0 {
		n += 1 + protowire.SizeBytes(len(c.Request))
	}
	return n + sizePairs(c.Metadata)
}

// AnswerFrame is an answer as it is sent.
type AnswerFrame struct {
	Number          uint64
	Reply           []byte
	Status          []byte // a google.rpc.Status; nil for OK
	Header, Trailer metadata.MD
}

// AppendAnswer adds an answer to a message.
func AppendAnswer(to []byte, a *AnswerFrame) []byte {
	n := 1 + protowire.SizeVarint(a.Number) + sizePairs(a.Header) + sizePairs(a.Trailer)
	if len(a.Reply) > 0 {
		n += 1 + protowire.SizeBytes(len(a.Reply))
	}
	if len(a.Status) > 0 {
		n += 1 + protowire.SizeBytes(len(a.Status))
	}
	to = protowire.AppendTag(to, fieldElements, protowire.BytesType)
	to = protowire.AppendVarint(to, uint64(n))
	to = appendNumber(to, a.Number)
	if len(a.Reply) > 0 {
		to = protowire.AppendTag(to, fieldReply, protowire.BytesType)
		to = protowire.AppendBytes(to, a.Reply)
	}
	if len(a.Status) > 0 {
		to = protowire.AppendTag(to, fieldStatus, protowire.BytesType)
		to = protowire.AppendBytes(to, a.Status)
	}
	return appendPairs(appendPairs(to, fieldHeader, a.Header), fieldTrailer, a.Trailer)
}

// AppendTaken adds to a message that the server takes no further calls of the lane, and how
// many it has taken. Those after them it never sees: they may be sent again.
func AppendTaken(to []byte, calls uint64) []byte {
	to = protowire.AppendTag(to, fieldTaken, protowire.VarintType)
	return protowire.AppendVarint(to, calls)
}

func appendNumber(to []byte, number uint64) []byte {
	to = protowire.AppendTag(to, fieldNumber, protowire.VarintType)
	return protowire.AppendVarint(to, number)
}

func sizePairs(md metadata.MD) (n int) {
	for key, values := range md {
		for _, value := range values {
			n += 1 + protowire.SizeBytes(sizePair(key, value))
		}
	}
	return n
}

func sizePair(key, value string) int {
	return 2 + protowire.SizeBytes(len(key)) + protowire.SizeBytes(len(value))
}

func appendPairs(to []byte, field protowire.Number, md metadata.MD) []byte {
	for key, values := range md {
		for _, value := range values {
			to = protowire.AppendTag(to, field, protowire.BytesType)
			to = protowire.AppendVarint(to, uint64(sizePair(key, value)))
			to = protowire.AppendTag(to, fieldKey, protowire.BytesType)
			to = protowire.AppendString(to, key)
			to = protowire.AppendTag(to, fieldValue, protowire.BytesType)
			to = protowire.AppendString(to, value)
		}
	}
	return to
}

// ReadCalls calls each with every call of a message, and the time that it may take, 0 for
// any. The request of a call is part of the message. It ends with the first error of each,
// or one for a message that can't be decoded.
func ReadCalls(message []byte, each func(call CallFrame, timeout time.Duration) error) error {
	timeout := time.Duration(0)
	return fields(message, func(number protowire.Number, value uint64, bytes []byte) error {
		switch {
		case number == fieldTimeout && bytes == nil:
			timeout = milliseconds(value)
		case number == fieldElements && bytes != nil:
			var c CallFrame
			err := fields(bytes, func(number protowire.Number, value uint64, bytes []byte) error {
				switch {
				case number == fieldNumber && bytes == nil:
					c.Number = value
				case number == fieldID && bytes != nil:
					c.ID = string(bytes)
				case number == fieldRequest && bytes != nil:
					c.Request = bytes
				case number == fieldMetadata && bytes != nil:
					return readPair(&c.Metadata, bytes)
				}
				return nil
			})
			if err != nil {
				return err
			}
			return each(c, timeout)
		}
		return nil
	})
}

// ReadAnswers calls each with every answer of a message, of which its reply and its status
// are parts. last is true if the server takes no further calls, and taken how many it took.
func ReadAnswers(message []byte, each func(AnswerFrame)) (taken uint64, last bool, err error) {
	err = fields(message, func(number protowire.Number, value uint64, bytes []byte) error {
		if number == fieldTaken && bytes == nil {
			taken, last = value, true
		}
		if number != fieldElements || bytes == nil {
			return nil
		}
		var a AnswerFrame
		pairs := 0
		err := fields(bytes, func(number protowire.Number, value uint64, bytes []byte) error {
			if number == fieldHeader || number == fieldTrailer {
				if pairs += len(bytes) + pairOverhead; pairs > mostPairs {
					return ErrFrame
				}
			}
			switch {
			case number == fieldNumber && bytes == nil:
				a.Number = value
			case number == fieldReply && bytes != nil:
				a.Reply = bytes
			case number == fieldStatus && bytes != nil:
				a.Status = bytes
			case number == fieldHeader && bytes != nil:
				return readPair(&a.Header, bytes)
			case number == fieldTrailer && bytes != nil:
				return readPair(&a.Trailer, bytes)
			}
			return nil
		})
		if err != nil {
			return err
		}
		each(a)
		return nil
	})
	return taken, last, err
}

// readPair adds a pair to metadata.
func readPair(to *metadata.MD, pair []byte) error {
	key, value := "", ""
	err := fields(pair, func(number protowire.Number, _ uint64, bytes []byte) error {
		switch {
		case number == fieldKey && bytes != nil:
			key = string(bytes)
		case number == fieldValue && bytes != nil:
			value = string(bytes)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if *to == nil {
		*to = metadata.MD{}
	}
	(*to)[key] = append((*to)[key], value)
	return nil
}

// fields calls each with every field of a message: with the value of a number, or with the
// bytes of what has a length, which are then not nil. Others are passed over.
func fields(message []byte, each func(number protowire.Number, value uint64, bytes []byte) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return ErrFrame
		}
		message = message[n:]
		var value uint64
		var bytes []byte
		switch kind {
		case protowire.VarintType:
			value, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			if bytes, n = protowire.ConsumeBytes(message); bytes == nil {
				bytes = []byte{}
			}
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
			number = 0
		}
		if n < 0 {
			return ErrFrame
		}
		message = message[n:]
		if err := each(number, value, bytes); err != nil {
			return err
		}
	}
	return nil
}

// milliseconds returns a duration; the longest if there is none that is so long.
func milliseconds(n uint64) time.Duration {
	return time.Duration(min(n, uint64(1<<63-1)/uint64(time.Millisecond))) * time.Millisecond
}

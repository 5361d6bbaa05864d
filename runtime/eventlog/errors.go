package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// What a log's methods fail with, for [errors.Is].
var (
	// ErrInvalid is the error for an event, or the name of a consumer, that no log
	// can take.
	ErrInvalid = errors.New("not valid")
	// ErrConflict is the error for an event whose source and id belong to a
	// different event.
	ErrConflict = errors.New("another event has this source and id")
	// ErrFull is the error of a log that can't take events for now: too many
	// appends are waiting, or its storage has no room.
	ErrFull = errors.New("the event log is full")
	// ErrUnavailable is the error of a log that can't reach its storage.
	ErrUnavailable = errors.New("the event log is unavailable")
	// ErrReadOnly is the error of every change to a log that [OpenReader] opened.
	ErrReadOnly = errors.New("the event log is open for reading only")
	// ErrHeld is the error for the lease of a consumer that has another holder, or
	// that was lost or released.
	ErrHeld = errors.New("the consumer's lease is not held here")
	// ErrReplaced is the error of reading on in a log that has other events by
	// now: it was deleted and created again, or has lost events.
	ErrReplaced = errors.New("the log has other events at its positions")
	// ErrUnreadable is the error for a stored event whose data is not a message of
	// the type that its schema names, because that type has changed.
	ErrUnreadable = errors.New("the stored event can't be read")
	// ErrClosed is the error of every call on a closed log.
	ErrClosed = errors.New("the event log is closed")
)

// Error is the error of a [Log]'s method: one of the errors above, and what it is
// about. As the answer to an RPC it has a fitting status code.
type Error struct {
	Kind   error  // one of the errors above
	Detail string // what was wrong, fit for the caller to see
	Cause  error  // the error of the storage, for the operator's log; may be nil
}

// Error returns everything that is known, the cause included.
func (e *Error) Error() string {
	text := e.Kind.Error()
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Cause != nil {
		text = fmt.Sprintf("%s: %v", text, e.Cause)
	}
	return text
}

// Unwrap makes [errors.Is] see the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

// GRPCStatus returns what the caller of an RPC gets to see: a code to act on,
// when to try again if that can help, and nothing about the inside of the
// storage.
func (e *Error) GRPCStatus() *status.Status {
	text := e.Kind.Error()
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	answer := status.New(e.code(), text)
	if e.Kind == ErrFull || e.Kind == ErrUnavailable {
		if detailed, err := answer.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(retryDelay)}); err == nil {
			return detailed
		}
	}
	return answer
}

// retryDelay is when a caller should try again if a log is full or unavailable.
const retryDelay = time.Second

func (e *Error) code() codes.Code {
	switch e.Kind {
	case ErrInvalid:
		return codes.InvalidArgument
	case ErrConflict:
		return codes.AlreadyExists
	case ErrReadOnly, ErrHeld, ErrReplaced:
		return codes.FailedPrecondition
	case ErrFull:
		return codes.ResourceExhausted
	case ErrUnavailable, ErrClosed:
		return codes.Unavailable
	default:
		return codes.Internal
	}
}

// Conflict returns the error for an event whose source and id another one has.
func Conflict(event *Event) error {
	return &Error{Kind: ErrConflict, Detail: fmt.Sprintf("source %q, id %q", event.Source, event.ID)}
}

// Held returns the error for the lease of a consumer that another holder has, ""
// if it is not known which.
func Held(consumer, holder string) error {
	if holder == "" {
		return &Error{Kind: ErrHeld, Detail: fmt.Sprintf("the lease of consumer %q was lost or released", consumer)}
	}
	return &Error{Kind: ErrHeld, Detail: fmt.Sprintf("consumer %q is run by %s", consumer, holder)}
}

// Ended returns the error of a call whose context ended, as a handler may return
// it: [errors.Is] finds the context's error and its cause.
func Ended(ctx context.Context) error {
	return &endedError{ctx.Err(), context.Cause(ctx)}
}

// endedError is the error of a context that ended, and its cause.
type endedError struct{ error, cause error }

func (e *endedError) Error() string {
	if errors.Is(e.cause, e.error) {
		return e.cause.Error()
	}
	return fmt.Sprintf("%v: %v", e.error, e.cause)
}

func (e *endedError) Unwrap() []error { return []error{e.error, e.cause} }

// GRPCStatus returns the status of the cause, if whoever ended the context gave
// one with a status code.
func (e *endedError) GRPCStatus() *status.Status {
	if status.Code(e.cause) != codes.Unknown {
		return status.Convert(e.cause)
	}
	return status.FromContextError(e.error)
}

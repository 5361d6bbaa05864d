//runtime:with eventlog

package servertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// trial is an RPC that runs on a log for a test.
type trial[Request, Event, Reply proto.Message] struct {
	*intake[Request, Event, Reply]
	t        *testing.T
	log      eventlog.Log
	caller   Caller
	answered atomic.Int64 // how many replies have come
	ahead    bool         // requests are sent without waiting for the answers to those before
}

// on runs the service on a log.
func (c *intake[Request, Event, Reply]) on(t *testing.T, log eventlog.Log) *trial[Request, Event, Reply] {
	return &trial[Request, Event, Reply]{intake: c, t: t, log: log, caller: c.Serve(t, log)}
}

// tapped runs the service on a log in memory, whose appends pass a tap.
func (c *intake[Request, Event, Reply]) tapped(t *testing.T, tap func(ctx context.Context, events []eventlog.Event, store store) ([]eventlog.Receipt, error)) *trial[Request, Event, Reply] {
	return c.on(t, tapped{memoryLog(t), tap})
}

// context returns the context of calls that carry an event id, the same for all of them.
func (c *trial[Request, Event, Reply]) context() context.Context {
	return eventid.WithID(c.Options.context(c.t), eventid.New())
}

// outcome is what came of a call.
type outcome[Reply any] struct {
	replies []Reply
	err     error
}

// begin makes a call in a goroutine.
func (c *trial[Request, Event, Reply]) begin(ctx context.Context, requests ...Request) <-chan outcome[Reply] {
	done := make(chan outcome[Reply], 1)
	go func() {
		replies, err := c.call(ctx, requests...)
		done <- outcome[Reply]{replies, err}
	}()
	return done
}

// errUnanswered is the error of a stream that ends without one, and too early.
var errUnanswered = errors.New("the stream ended without an error, and without an answer to request")

// call sends requests in one call and returns the replies, and how it ended. If each
// request gets an answer, it waits for that before it sends the next, unless it is to
// send ahead.
func (c *trial[Request, Event, Reply]) call(ctx context.Context, requests ...Request) (replies []Reply, err error) {
	if !c.streams {
		reply, err := c.caller.call(ctx, requests[0])
		if err != nil {
			return nil, err
		}
		return []Reply{reply.(Reply)}, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.caller.open(ctx)
	if err != nil {
		return nil, err
	}
	receive := func() error {
		reply := empty[Reply]()
		err := stream.RecvMsg(reply)
		if err == nil {
			replies = append(replies, reply)
			c.answered.Add(1)
		}
		return err
	}
	ahead := c.ahead && c.answers
	if ahead {
		go func() { // until the stream ends
			for _, request := range requests {
				if stream.SendMsg(request) != nil {
					return
				}
			}
			_ = stream.CloseSend() // it can't fail
		}()
	}
	for i, request := range requests {
		if !ahead && stream.SendMsg(request) != nil {
			err := receive() // which says why
			return replies, err
		}
		if !c.answers {
			continue
		}
		if err := receive(); err != nil {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w %d", errUnanswered, i+1)
			}
			return replies, err
		}
	}
	if !ahead {
		_ = stream.CloseSend()
	}
	err = receive()
	if !c.answers {
		return replies, err
	}
	switch {
	case errors.Is(err, io.EOF):
		return replies, nil
	case err == nil:
		err = fmt.Errorf("%d requests got more answers than one each", len(requests))
	}
	return replies, err
}

// errorf says what is wrong with the RPC, and where it is implemented.
func (c *trial[Request, Event, Reply]) errorf(format string, args ...any) {
	c.t.Helper()
	c.t.Errorf("%s: %s", where(c.Method), fmt.Sprintf(format, args...))
}

// accepted ends the test unless a call has succeeded. When says which one that was.
func (c *trial[Request, Event, Reply]) accepted(when string, err error) {
	c.t.Helper()
	if err == nil {
		return
	}
	switch status.Code(err) {
	case codes.DeadlineExceeded:
		c.left = "a call did not end"
		c.errorf("%s did not end within %s: does it wait for a lock that is not released, or for what this test does not send?", when, callTimeout)
	case codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.OutOfRange:
		c.errorf("%s is refused: %v. %s", when, err, "I"+c.wayOut()[1:])
	case codes.PermissionDenied, codes.Unauthenticated:
		c.errorf("%s is refused: %v. If the service is right, set Context in service_test.go, to send what it asks for", when, err)
	case codes.ResourceExhausted:
		c.errorf("%s is refused: %v. If the service is right, set Callers in service_test.go to how many it takes at once, or %sRequest to send less", when, err, c.Name)
	case codes.AlreadyExists:
		c.errorf("%s is refused: %v. Do events of one call share an id? See eventid.Sequence", when, err)
	default:
		c.errorf("%s failed: %v", when, err)
	}
	c.t.FailNow()
}

// refused checks the error of a call that may be refused.
func (c *trial[Request, Event, Reply]) refused(what string, err error) {
	c.t.Helper()
	switch status.Code(err) {
	case codes.DeadlineExceeded:
		c.left = "a call did not end"
		c.errorf("%s did not end within %s", what, callTimeout)
		c.t.FailNow()
	case codes.Unknown, codes.Internal, codes.Unavailable, codes.DataLoss:
		c.errorf("%s ended with %v, want a code that shows the caller what to do, such as InvalidArgument", what, err)
	}
}

// records returns what the log has of events of this type after a position.
func (c *trial[Request, Event, Reply]) records(after eventlog.Position) (records []eventlog.Stored[Event]) {
	c.t.Helper()
	for record, err := range eventlog.ReplayMessages[Event](context.Background(), c.log, eventlog.After(after)) {
		if err != nil {
			c.t.Fatal(err)
		}
		records = append(records, record)
	}
	return records
}

func messages[Event proto.Message](records []eventlog.Stored[Event]) (events []Event) {
	for _, record := range records {
		events = append(events, record.Message)
	}
	return events
}

// holds checks that the log has what was sent and acknowledged, and nothing else.
func (c *trial[Request, Event, Reply]) holds(sent []Event) {
	c.t.Helper()
	if text := difference(messages(c.records(0)), c.stored(sent)); text != "" {
		c.errorf("%s", text)
	}
}

// holdsPart checks that the log has the first of the events that were sent in a call that
// failed: those that were answered, and perhaps more, but none if they must be stored whole.
func (c *trial[Request, Event, Reply]) holdsPart(sent []Event, requests []Request, replies []Reply) {
	c.t.Helper()
	got, want, answered := messages(c.records(0)), c.stored(sent), 0
	if c.answers {
		for _, request := range requests[:min(len(replies), len(requests))] {
			answered += len(c.stored(c.given(request)))
		}
	}
	switch {
	case c.whole() && len(got) > 0:
		c.errorf("the call failed, but of its %s %d are stored: are they appended one by one, and not all at once?", counted(len(want), "event"), len(got))
	case len(got) < answered:
		c.errorf("the call failed after it had acknowledged %s, and stored %d", counted(answered, "event"), len(got))
	case len(got) > len(want):
		c.errorf("the call failed, and for its %s there are %d in the log: is one appended twice?", counted(len(want), "event"), len(got))
	default:
		if text := difference(got, want[:len(got)]); text != "" {
			c.errorf("the call failed, and %s", text)
		}
	}
}

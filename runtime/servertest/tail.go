//runtime:with eventlog

package servertest

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Tailing is an RPC that replays the log and follows it.
type Tailing[Request, Event proto.Message] struct {
	Options Options
	// Request asks for all there is. If nil, one does that is as empty as its rules allow.
	Request func() Request
	// Append stores an event.
	Append func(eventlog.Log, Event) error
	// ID is the full name of the field that identifies an event; may be empty.
	ID string
	// Open runs the service on a log, and calls the RPC.
	Open func(testing.TB, eventlog.Log, Request) (Receiver[Event], error)
}

// Receiver is the receiving end of a stream.
type Receiver[M any] interface{ Recv() (M, error) }

// Held returns the receiving end of the events that the replies of a stream hold.
func Held[Reply, Event any](stream Receiver[Reply], events func(Reply) []Event) Receiver[Event] {
	return &held[Reply, Event]{stream: stream, events: events}
}

type held[Reply, Event any] struct {
	stream Receiver[Reply]
	events func(Reply) []Event
	next   []Event
}

// Recv returns the next event.
func (h *held[Reply, Event]) Recv() (event Event, err error) {
	for len(h.next) == 0 {
		reply, err := h.stream.Recv()
		if err != nil {
			return event, err
		}
		h.next = h.events(reply)
	}
	event, h.next = h.next[0], h.next[1:]
	return event, nil
}

// Tails tests an RPC that replays the log and follows it: events come in their
// order, those that were stored before the call and those that are stored later.
func Tails[Request, Event proto.Message](t *testing.T, rpc Tailing[Request, Event]) {
	request := Least[Request]()
	if rpc.Request != nil {
		request = rpc.Request()
	}
	log := Log(t)
	before, later := Sample[Event](rpc.ID), Sample[Event](rpc.ID)
	if err := rpc.Append(log, before); err != nil {
		t.Fatal(err)
	}
	stream, err := rpc.Open(t, log, request)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Event{before, later} {
		if i > 0 {
			if err := rpc.Append(log, want); err != nil {
				t.Fatal(err)
			}
		}
		got, err := stream.Recv()
		if err != nil || !proto.Equal(got, want) {
			t.Fatalf("event %d is %v (%v), want %v", i, got, err, want)
		}
	}
}

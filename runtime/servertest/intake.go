//runtime:with eventlog

package servertest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// Intake is an RPC that takes events.
type Intake[Request, Event, Reply proto.Message] struct {
	Options Options
	// Method is its name as gRPC has it, "/shop.v1.Orders/Place", and Name as Go has it.
	Method, Name string
	// Request makes a request that the service accepts, with other events at each call.
	// If nil, it is a [Sample].
	Request func() Request
	// File is the file that users edit to have another request sent. Messages name it.
	File string
	// ID is the full name of the field that identifies an event; may be empty.
	ID string
	// Fields names the fields of a request and of an event that have a role.
	Fields server.Fields
	// Answer names the fields of a reply that say what was stored.
	Answer Answer
	// Canonical returns the form in which the log stores events. If nil, it stores them
	// as they are.
	Canonical func([]Event) []Event
	// Stored returns what the service stores of an event that is sent, nil if it leaves
	// it out. If nil, it stores all of them as they are.
	Stored func(Event) Event
	// Serve runs the service on a log, and returns how to call the RPC: with a client that
	// has some options, or with those of [Dialing].
	Serve func(testing.TB, eventlog.Log, ...client.Option) Caller
}

// Caller calls an RPC of any kind.
type Caller struct {
	call func(context.Context, proto.Message) (proto.Message, error)
	open func(context.Context) (grpc.ClientStream, error)
}

// Unary returns a caller of an RPC without streams, which is a method of a client.
func Unary[Request, Reply proto.Message](method func(context.Context, Request, ...grpc.CallOption) (Reply, error)) Caller {
	return Caller{call: func(ctx context.Context, request proto.Message) (proto.Message, error) {
		return method(ctx, request.(Request))
	}}
}

// Sending returns a caller of an RPC to which the client sends a stream, which is a
// method of a client.
func Sending[Stream grpc.ClientStream](method func(context.Context, ...grpc.CallOption) (Stream, error)) Caller {
	return Caller{open: func(ctx context.Context) (grpc.ClientStream, error) { return method(ctx) }}
}

// TakesEvents tests an RPC that takes events: what it acknowledges is stored once, in
// order, and byte for byte; and what it can't store it does not acknowledge, whatever
// happens to the log, the caller and the other callers.
func TakesEvents[Request, Event, Reply proto.Message](t *testing.T, rpc Intake[Request, Event, Reply]) {
	c := newIntake(t, rpc)
	parts := c.parts()
	c.Options.known(t, parts)
	for i, part := range parts {
		passed := c.Options.part(t, part.name, func(t *testing.T) {
			if c.left != "" {
				t.Skip("left out: " + c.left)
			}
			part.test(t)
		})
		if i == 0 && !passed {
			c.left = fmt.Sprintf("without %q, the rest says nothing", part.name)
		}
	}
}

// intake is an RPC that is tested.
type intake[Request, Event, Reply proto.Message] struct {
	Intake[Request, Event, Reply]
	streams  bool                         // whether the client sends a stream
	answers  bool                         // whether each request of a stream gets an answer
	holder   protoreflect.FieldDescriptor // the field of the request with its events; nil if the request is the event
	envelope Request                      // a request of Request, for what it has beside its events
	marked   bool                         // whether the tests give events an unknown field by which they differ
	left     string                       // why the remaining parts are left out; "" if they are not
}

func newIntake[Request, Event, Reply proto.Message](t *testing.T, rpc Intake[Request, Event, Reply]) *intake[Request, Event, Reply] {
	t.Helper()
	if rpc.Request == nil {
		rpc.Request = func() Request { return Sample[Request](rpc.ID) }
	}
	name := strings.ReplaceAll(strings.TrimPrefix(rpc.Method, "/"), "/", ".")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		t.Fatalf("rpc %s: %v", name, err)
	}
	c := &intake[Request, Event, Reply]{Intake: rpc}
	method := found.(protoreflect.MethodDescriptor)
	c.envelope = rpc.Request()
	c.streams, c.answers = method.IsStreamingClient(), method.IsStreamingServer()
	if rpc.Fields.Holder != "" {
		c.holder = method.Input().Fields().ByName(protoreflect.Name(rpc.Fields.Holder))
	}
	return c
}

const unknownFields = "unknown fields are kept"

// parts returns the parts of the contract. Without the first, the others say nothing.
func (c *intake[Request, Event, Reply]) parts() []part {
	parts := []part{
		{"an acknowledged event is stored", c.stores},
		{unknownFields, c.keepsUnknownFields},
	}
	if c.several() {
		parts = append(parts,
			part{"the events of a call are stored in order", c.storesSeveral},
			part{"300 events of a call are all stored", c.storesMany})
	}
	parts = append(parts, part{"attributes are those of the event", c.hasAttributes})
	if c.Answer != (Answer{}) {
		parts = append(parts, part{"the answer says what was stored", c.answersRightly})
	}
	if c.ID == "" {
		parts = append(parts, part{"equal events without an id are stored each", c.storesEqual})
	}
	parts = append(parts,
		part{"an event sent again is stored once", c.storesOnce},
		part{"another event under the same id is refused", c.refusesAnother},
		part{"nothing is acknowledged before it is stored", c.waits},
		part{"an append that fails is not acknowledged", c.fails},
		part{"an event that the log refuses is not acknowledged", c.refuses},
		part{"a panic ends only its call", c.panics},
		part{"an append ends when its caller has gone", c.cancels})
	if c.streams {
		parts = append(parts,
			part{"a stream that breaks off does no harm", c.breaks},
			part{"a request that can't be read is not acknowledged", c.readsAll},
			part{"a stream without events ends well", c.sendsNothing})
	} else {
		parts = append(parts, part{"the client tries again until it is stored", c.triesAgain})
	}
	return append(parts,
		part{"many callers at once are served", c.servesMany},
		part{"a slow caller holds up no other", c.holdsUp},
		part{"empty and partial events are stored or refused", c.partial},
		part{"long texts are stored or refused", c.long},
		part{"unusual values are stored or refused", c.unusual})
}

// several reports whether a call takes several events.
func (c *intake[Request, Event, Reply]) several() bool {
	return c.streams || c.holder != nil && c.holder.IsList()
}

// whole reports whether the events of a call must be stored all or not at all.
func (c *intake[Request, Event, Reply]) whole() bool { return !c.streams }

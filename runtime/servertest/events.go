//runtime:with eventlog

package servertest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Intake is an RPC that takes events.
type Intake[Request, Event proto.Message] struct {
	Options Options
	// Request makes a request that the service accepts, with other events at
	// each call. If nil, one has a value in every field.
	Request func() Request
	// Events are the events of a request.
	Events func(Request) []Event
	// ID is the full name of the field that identifies an event; may be empty.
	ID string
	// Identity names the fields that two events must share to be taken for one.
	Identity []string
	// Serve runs the service on a log and returns how to send it a request.
	Serve func(testing.TB, eventlog.Log) func(context.Context, Request) error
}

// TakesEvents tests an RPC that takes events: what it acknowledges is stored,
// once, and what it can't store it does not acknowledge.
func TakesEvents[Request, Event proto.Message](t *testing.T, rpc Intake[Request, Event]) {
	if rpc.Request == nil {
		rpc.Request = func() Request { return Sample[Request](rpc.ID) }
	}
	rpc.Options.part(t, "an acknowledged event is stored", rpc.stores)
	rpc.Options.part(t, "many at once are all stored", rpc.storesMany)
	rpc.Options.part(t, "an event sent again is stored once", rpc.storesOnce)
	rpc.Options.part(t, "another event under the same id is refused", rpc.refusesAnother)
	rpc.Options.part(t, "an event that can't be stored is not acknowledged", func(t *testing.T) {
		err := rpc.Serve(t, broken{Log(t)})(rpc.Options.context(t), rpc.Request())
		if code := status.Code(err); code != codes.Unavailable {
			t.Errorf("error is %v, want code Unavailable", err)
		}
	})
}

func (rpc Intake[Request, Event]) stores(t *testing.T) {
	log := Log(t)
	send, request := rpc.Serve(t, log), rpc.Request()
	if err := send(rpc.Options.context(t), request); err != nil {
		t.Fatal(err)
	}
	checkStored(t, log, rpc.Events(request))
}

func (rpc Intake[Request, Event]) storesMany(t *testing.T) {
	const callers = 32
	log := Log(t)
	send := rpc.Serve(t, log)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			if err := send(rpc.Options.context(t), rpc.Request()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	want := callers * len(rpc.Events(rpc.Request()))
	if got := len(stored[Event](t, log)); got != want {
		t.Errorf("the log holds %d events, want %d", got, want)
	}
}

func (rpc Intake[Request, Event]) storesOnce(t *testing.T) {
	log := Log(t)
	send, request := rpc.Serve(t, log), rpc.Request()
	ctx := eventid.WithID(rpc.Options.context(t), eventid.New())
	for range 2 {
		if err := send(ctx, request); err != nil {
			t.Fatal(err)
		}
	}
	checkStored(t, log, rpc.Events(request))
}

func (rpc Intake[Request, Event]) refusesAnother(t *testing.T) {
	log := Log(t)
	send, request := rpc.Serve(t, log), rpc.Request()
	ctx := eventid.WithID(rpc.Options.context(t), eventid.New())
	if err := send(ctx, request); err != nil {
		t.Fatal(err)
	}
	other := proto.CloneOf(request)
	if !change(rpc.Events(other)[0], rpc.Identity) {
		t.Log("its events have no field by which they could differ")
		return
	}
	if err := send(ctx, other); status.Code(err) != codes.AlreadyExists {
		t.Errorf("error is %v, want code AlreadyExists", err)
	}
	checkStored(t, log, rpc.Events(request))
}

// checkStored checks that a log holds events and nothing else.
func checkStored[Event proto.Message](t *testing.T, log eventlog.Log, want []Event) {
	t.Helper()
	got := stored[Event](t, log)
	if !slices.EqualFunc(got, want, func(a, b Event) bool { return proto.Equal(a, b) }) {
		t.Errorf("the log holds %v, want %v", got, want)
	}
}

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

func stored[Event proto.Message](t testing.TB, log eventlog.Log) (events []Event) {
	t.Helper()
	for stored, err := range eventlog.ReplayMessages[Event](t.Context(), log, eventlog.From{}) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, stored.Message)
	}
	return events
}

// change changes a field that does not identify the event, within its rules. It returns
// false if the event has none.
func change(m proto.Message, identity []string) bool {
	message := m.ProtoReflect()
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if fd.IsList() || fd.IsMap() || fd.ContainingOneof() != nil || slices.Contains(identity, string(fd.Name())) {
			continue
		}
		before, had := message.Get(fd), message.Has(fd)
		for _, value := range alternatives(fd, before) {
			if value.Equal(before) {
				continue
			}
			if message.Set(fd, value); valid(m) {
				return true
			}
		}
		if had {
			message.Set(fd, before)
		} else {
			message.Clear(fd)
		}
	}
	return false
}

// alternatives returns values for a field instead of one that it has.
func alternatives(fd protoreflect.FieldDescriptor, value protoreflect.Value) []protoreflect.Value {
	var other protoreflect.Value
	switch fd.Kind() {
	case protoreflect.StringKind:
		other = protoreflect.ValueOfString(value.String() + ", or not")
	case protoreflect.BytesKind:
		other = protoreflect.ValueOfBytes([]byte("another"))
	case protoreflect.BoolKind:
		other = protoreflect.ValueOfBool(!value.Bool())
	default:
		return nil
	}
	return append([]protoreflect.Value{other}, suggested(fd)...)
}

// broken is a log whose storage is out of reach.
type broken struct{ eventlog.Log }

var errBroken = &eventlog.Error{Kind: eventlog.ErrUnavailable, Cause: errors.New("broken, for the test")}

func (broken) Append(context.Context, ...eventlog.Event) ([]eventlog.Receipt, error) {
	return nil, errBroken
}

func (broken) Read(context.Context, eventlog.From) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) { yield(eventlog.Record{}, errBroken) }
}

func (b broken) Tail(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return b.Read(ctx, from)
}

func (broken) Check(context.Context) error { return errBroken }

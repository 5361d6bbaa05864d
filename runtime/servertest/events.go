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

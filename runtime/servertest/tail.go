//runtime:with eventlog

package servertest

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Tailing is an RPC that replays the log and follows it.
type Tailing[Request, Event proto.Message] struct {
	Options Options
	// RPC is its name, as gRPC has it.
	RPC string
	// Request asks for all there is.
	Request func() Request
	// After and Since name the fields of a request that say after which position, or
	// since when, events are wanted. They are empty if there are none.
	After, Since protoreflect.Name
	// Append stores events.
	Append func(context.Context, eventlog.Log, ...Event) ([]eventlog.Receipt, error)
	// ID is the full name of the field that identifies an event; may be empty.
	ID string
	// Serve runs the service on a log, and returns how to call the RPC.
	Serve func(testing.TB, eventlog.Log) func(context.Context, Request) (Receiver[Event], error)
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

// Tails tests an RPC that replays the log and follows it: it sends each event once, in
// order, those that were stored before the call and those that are stored later. It ends
// with its caller, with its server, and with the log.
func Tails[Request, Event proto.Message](t *testing.T, rpc Tailing[Request, Event]) {
	parts := []part{{"each event is sent once, in order", rpc.sendsAll}}
	if rpc.After != "" {
		parts = append(parts, part{"events after a position are sent", rpc.sendsAfter})
	}
	if rpc.Since != "" {
		parts = append(parts, part{"events since a time are sent", rpc.sendsSince})
	}
	rpc.Options.run(t, append(parts,
		part{"empty and partial events are sent", rpc.sendsPartial},
		part{"an error of the log ends the call with an error", rpc.fails},
		part{"the call ends when its caller goes", rpc.endsWithCaller},
		part{"the call ends when the server stops", rpc.endsWithServer},
		part{"a caller who does not read holds up no other", rpc.holdsUpNone}))
}

// sendsAll stores events before the call, and more whenever the service has looked at the
// log: so also between what it replays and what it follows.
func (rpc Tailing[Request, Event]) sendsAll(t *testing.T) {
	log := Log(t)
	rpc.store(t, log, 300)
	tail := rpc.open(t, log, rpc.Serve(t, growing{log, func() {
		_, _ = rpc.Append(t.Context(), log, rpc.events(1)...) // one that can't be stored is not missed
	}}), rpc.Request(), 0)
	tail.receive(300)
	for range 10 {
		rpc.store(t, log, 1)
		tail.receive(1)
	}
	tail.check()
}

func (rpc Tailing[Request, Event]) sendsAfter(t *testing.T) {
	log := Log(t)
	receipts := rpc.store(t, log, 3)
	call := rpc.Serve(t, log)
	for i, receipt := range receipts {
		request := rpc.Request()
		field := request.ProtoReflect().Descriptor().Fields().ByName(rpc.After)
		request.ProtoReflect().Set(field, value(field, int32(receipt.Position), ""))
		tail := rpc.open(t, log, call, request, i+1)
		rpc.store(t, log, 1)
		tail.receive(3)
		tail.check()
	}
}

func (rpc Tailing[Request, Event]) sendsSince(t *testing.T) {
	log := Log(t)
	for range 3 {
		rpc.store(t, log, 1) // each at a time of its own
	}
	call := rpc.Serve(t, log)
	for i, stored := range rpc.stored(t, log) {
		request := rpc.Request()
		field := request.ProtoReflect().Descriptor().Fields().ByName(rpc.Since)
		request.ProtoReflect().Set(field, protoreflect.ValueOfMessage(timestamppb.New(stored.Recorded).ProtoReflect()))
		tail := rpc.open(t, log, call, request, i)
		tail.receive(3 - i)
		tail.check()
	}
}

// sendsPartial stores events as older and newer clients may have sent them.
func (rpc Tailing[Request, Event]) sendsPartial(t *testing.T) {
	log, sent := Log(t), 0
	for _, event := range requests(Sample[Event](rpc.ID)) {
		if _, err := rpc.Append(t.Context(), log, mark(event)); err == nil { // otherwise none is ever stored
			sent++
		}
	}
	tail := rpc.open(t, log, rpc.Serve(t, log), rpc.Request(), 0)
	tail.receive(sent)
	tail.check()
}

func (rpc Tailing[Request, Event]) fails(t *testing.T) {
	log := Log(t)
	rpc.store(t, log, 5)
	tail := rpc.open(t, log, rpc.Serve(t, breaking{log, 3}), rpc.Request(), 0)
	tail.receive(3)
	switch event, err := tail.stream.Recv(); {
	case err == nil:
		t.Errorf("%s: the log failed after 3 events, and the call sent %v: does it look at the error before it sends?", where(rpc.RPC), event)
	case errors.Is(err, io.EOF):
		t.Errorf("%s: the log failed, and the call ended without an error, which its caller takes for the end of all events: return the error of the log", where(rpc.RPC))
	case status.Code(err) != codes.Unavailable:
		t.Errorf("%s: the log failed with code Unavailable, and the call with %v: return the error of the log", where(rpc.RPC), err)
	}
}

// endsWithCaller leaves it to the server to find that handlers don't end.
func (rpc Tailing[Request, Event]) endsWithCaller(t *testing.T) {
	log := Log(t)
	rpc.store(t, log, 3)
	call := rpc.Serve(t, log)
	for range 4 {
		tail := rpc.open(t, log, call, rpc.Request(), 0)
		tail.receive(3)
		tail.leave()
	}
}

func (rpc Tailing[Request, Event]) endsWithServer(t *testing.T) {
	log := Log(t)
	rpc.store(t, log, 3)
	of := &stoppable{TB: t}
	tail := rpc.open(t, log, rpc.Serve(of, log), rpc.Request(), 0)
	tail.receive(3)
	of.stop()
	if _, err := tail.stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("%s: the server stopped, and the call ended with %v, want code Unavailable, so that its caller goes to another server: return context.Cause of the context of server.UntilDrain", where(rpc.RPC), err)
	}
}

func (rpc Tailing[Request, Event]) holdsUpNone(t *testing.T) {
	log := Log(t)
	rpc.store(t, log, 3)
	call := rpc.Serve(t, log)
	ctx, reached, leave := paused(rpc.Options.context(t))
	defer leave()
	if _, err := call(ctx, rpc.Request()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-reached:
	case <-ctx.Done():
		t.Fatalf("%s: nothing was sent within %s", where(rpc.RPC), callTimeout)
	}
	tail := rpc.open(t, log, call, rpc.Request(), 0)
	tail.receive(3)
	rpc.store(t, log, 1)
	tail.receive(1)
	tail.check()
}

// store stores some events.
func (rpc Tailing[Request, Event]) store(t *testing.T, log eventlog.Log, n int) []eventlog.Receipt {
	t.Helper()
	receipts, err := rpc.Append(t.Context(), log, rpc.events(n)...)
	if err != nil {
		t.Fatal(err)
	}
	return receipts
}

// events returns some events, no two of them equal.
func (rpc Tailing[Request, Event]) events(n int) []Event {
	events := make([]Event, n)
	for i := range events {
		events[i] = mark(Sample[Event](rpc.ID))
	}
	return events
}

// stored returns the events in a log.
func (rpc Tailing[Request, Event]) stored(t *testing.T, log eventlog.Log) (all []eventlog.Stored[Event]) {
	t.Helper()
	for stored, err := range eventlog.ReplayMessages[Event](t.Context(), log, eventlog.From{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, stored)
	}
	return all
}

// tail is a call of an RPC that follows a log.
type tail[Event proto.Message] struct {
	t      *testing.T
	rpc    string
	stream Receiver[Event]
	leave  context.CancelFunc
	log    func() []eventlog.Stored[Event]
	from   int // index of the first event that is wanted
	got    []Event
}

// open calls the RPC for the events of a log from an index on.
func (rpc Tailing[Request, Event]) open(t *testing.T, log eventlog.Log, call func(context.Context, Request) (Receiver[Event], error), request Request, from int) *tail[Event] {
	t.Helper()
	ctx, leave := context.WithCancel(rpc.Options.context(t))
	t.Cleanup(leave)
	stream, err := call(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	return &tail[Event]{t: t, rpc: rpc.RPC, stream: stream, leave: leave, from: from,
		log: func() []eventlog.Stored[Event] { return rpc.stored(t, log) }}
}

// receive receives some events.
func (c *tail[Event]) receive(n int) {
	c.t.Helper()
	for range n {
		event, err := c.stream.Recv()
		if err != nil {
			c.check()
			c.t.Fatalf("%s: after %d events the call ended with %v, and the log has %d that it must send", where(c.rpc), len(c.got), err, len(c.log())-c.from)
		}
		c.got = append(c.got, event)
	}
}

// check checks that what was received is what the log has, without a gap.
func (c *tail[Event]) check() {
	c.t.Helper()
	log := c.log()
	for i, event := range c.got {
		want := log[c.from+i]
		if proto.Equal(event, want.Message) {
			continue
		}
		at := slices.IndexFunc(log, func(stored eventlog.Stored[Event]) bool { return proto.Equal(stored.Message, event) })
		if at < 0 {
			c.t.Fatalf("%s: the event at position %d came as %v, want it as it is stored, %v: are fields left out that the service does not know?", where(c.rpc), want.Position, event, want.Message)
		}
		c.t.Fatalf("%s: after %d events came the one at position %d, want the one at position %d: each is sent once, in the order of the log", where(c.rpc), i, log[at].Position, want.Position)
	}
}

// growing is a log in which an event is stored whenever someone has looked at it.
type growing struct {
	eventlog.Log
	grow func()
}

func (g growing) Read(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for record, err := range g.Log.Read(ctx, from) {
			if !yield(record, err) {
				return
			}
		}
		g.grow()
	}
}

func (g growing) Tail(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	g.grow()
	return g.Log.Tail(ctx, from)
}

func (g growing) Stats(ctx context.Context) (eventlog.Stats, error) {
	defer g.grow()
	return g.Log.Stats(ctx)
}

// breaking is a log that can't be read beyond some events.
type breaking struct {
	eventlog.Log
	after int
}

func (b breaking) Read(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return b.cut(b.Log.Read(ctx, from))
}

func (b breaking) Tail(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return b.cut(b.Log.Tail(ctx, from))
}

func (b breaking) cut(records iter.Seq2[eventlog.Record, error]) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		left := b.after
		for record, err := range records {
			if left--; left < 0 || !yield(record, err) {
				break
			}
		}
		if left < 0 {
			yield(eventlog.Record{}, errBroken)
		}
	}
}

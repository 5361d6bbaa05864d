//runtime:with eventlog

package servertest

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/file"
)

// Shadow has the consumer and the RPCs of a service take events that a server has stored,
// before they do so in production. The log is opened for reading, and what handlers append
// goes elsewhere.
type Shadow struct {
	// Events is the URL of the log: of a server's, of a copy, or of a file that a server
	// has exported.
	Events string
	// Since is how old the oldest of the events may be. 0 means any age.
	Since time.Duration
	// Sample is about how many events are taken, with all of the subjects that have any of
	// them. 0 means all.
	Sample int
	// Slow is how long a handler may take for an event.
	Slow time.Duration
	// Context adds to the context of each call of an RPC what the service asks for, such as
	// metadata of the outgoing context. Events do not keep what came beside them.
	Context func(context.Context) context.Context
}

// ShadowFlags defines the flags of a test: -events, -since, -sample and -slow. Call it when
// the package of the test is initialized.
func ShadowFlags() *Shadow {
	s := new(Shadow)
	flag.StringVar(&s.Events, "events", "", "URL of a log whose stored events TestShadow takes, such as sqlite:/var/lib/orders/events.db; it is only read")
	flag.DurationVar(&s.Since, "since", 0, "with -events: take only events that were stored within this time, such as 168h")
	flag.IntVar(&s.Sample, "sample", 100_000, "with -events: take about this many events, all those of some subjects; 0 takes all")
	flag.DurationVar(&s.Slow, "slow", time.Second, "with -events: how long a handler may take for an event")
	return s
}

// StoredCall is an RPC that takes one event, called with events that are stored.
type StoredCall struct {
	rpc    string
	handle func(testing.TB, *Shadow, eventlog.Log) eventlog.ConsumeOption
}

// CallStored returns how to call an RPC with stored events. make makes the service on a
// log, and returns the function that calls it.
func CallStored[Event, Request proto.Message](rpc string, request func(Event) Request, make func(testing.TB, eventlog.Log) func(context.Context, Request) error) StoredCall {
	return StoredCall{rpc, func(t testing.TB, s *Shadow, log eventlog.Log) eventlog.ConsumeOption {
		call := make(t, log)
		return eventlog.On(func(ctx context.Context, stored eventlog.Stored[Event]) error {
			request := request(stored.Message)
			if !valid(request) {
				return fmt.Errorf("the request does not keep the rules of its proto")
			}
			return call(s.incoming(ctx, stored.ID), request)
		})
	}}
}

// incoming returns the context of a call with an event of an id.
func (s *Shadow) incoming(ctx context.Context, id string) context.Context {
	if s.Context != nil {
		ctx = s.Context(ctx)
	}
	md, _ := metadata.FromOutgoingContext(ctx)
	if eventid.Check(id) == nil { // it may have come with the call
		md = metadata.Join(md, metadata.Pairs(eventid.Key, id))
	}
	return metadata.NewIncomingContext(ctx, md)
}

// Holding returns a request that has an event in the field of a name, which may be a list.
func Holding[Request, Event proto.Message](field string, event Event) Request {
	request := empty[Request]()
	message := request.ProtoReflect()
	fd, value := message.Descriptor().Fields().ByName(protoreflect.Name(field)), protoreflect.ValueOfMessage(event.ProtoReflect())
	if fd.IsList() {
		message.Mutable(fd).List().Append(value)
	} else {
		message.Set(fd, value)
	}
	return request
}

// Test has the RPCs and the consumer take stored events, each in a subtest, and prints those
// with which they fail, panic or take long. It is skipped if no log is named. A consumer
// without a function Run is left out.
func (s *Shadow) Test(t *testing.T, consumer Consumer, calls ...StoredCall) {
	if s.Events == "" {
		t.Skip("to try this service with events that are stored, name their log: -events sqlite:/path/to/events.db (see -help)")
	}
	source, err := eventlog.OpenReader(t.Context(), s.Events)
	if err != nil {
		t.Fatalf("%v (a relative path begins at the folder of this test)", err)
	}
	t.Cleanup(func() { _ = source.Close() })
	defer unlogged()()
	taken, err := s.take(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range calls {
		consumer.part(t, call.rpc, func(t *testing.T) {
			scratch, err := eventlog.Open(t.Context(), "memory:")
			if err != nil {
				t.Fatal(err)
			}
			defer scratch.Close()
			handle := call.handle(t, s, scratch)
			run := taken.run(t, s, "rpc "+call.rpc, before{acknowledged: true})
			run.wait(func(ctx context.Context) error {
				return eventlog.ConsumeMessages(ctx, run.log, run.name, handle)
			})
		})
	}
	if consumer.New == nil {
		return
	}
	consumer.part(t, "consumer", func(t *testing.T) {
		before, err := positionOf(t.Context(), source, consumer.Name)
		if err != nil {
			t.Fatal(err)
		}
		run := taken.run(t, s, consumer.Name, before)
		run.wait(consumer.New(t, run.log).Run)
	})
}

// before is what is known of a consumer in the log that is read.
type before struct {
	acknowledged bool // whether each event counts as fine: an RPC has acknowledged it
	known        bool // whether the log has the consumer
	position     eventlog.Position
	dead         map[eventlog.Position]bool
}

// positionOf returns how far a consumer is in a log.
func positionOf(ctx context.Context, log eventlog.Log, name string) (b before, err error) {
	stats, err := log.Stats(ctx)
	if err != nil {
		return b, err
	}
	for _, consumer := range stats.Consumers {
		if consumer.Name == name {
			b.known, b.position = true, consumer.Position
		}
	}
	b.dead = map[eventlog.Position]bool{}
	for letter, err := range log.Dead(ctx, name) {
		if err != nil {
			return b, err
		}
		b.dead[letter.Position] = true
	}
	return b, nil
}

// state is what became of an event before.
type state string

const (
	wasFine state = "fine before"
	wasDead state = "dead before"
	wasNew  state = "not handled before"
)

// of returns what became of the event at a position.
func (b before) of(position eventlog.Position) state {
	switch {
	case b.dead[position]:
		return wasDead
	case b.acknowledged, b.known && position <= b.position:
		return wasFine
	default:
		return wasNew
	}
}

package publisher

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// RPC is one that takes events, as generated code describes it.
type RPC struct {
	// Name is such as "/shop.v1.Orders/Place".
	Name string
	// Streams is "" for a call with one request, "client" for one with a stream of them, and
	// "both" if the answers are a stream, too.
	Streams string
	// Holder is the number of the field of the request that has the event; 0 if the request is
	// the event.
	Holder protowire.Number
	// Many reports whether the holder has any number of events.
	Many bool
	// ID is the number of the text field of the event that identifies it; 0 if it has none.
	ID protowire.Number
	// Duplicate is the number of the field of the answer that reports whether the event was
	// stored before; 0 if it has none.
	Duplicate protowire.Number
}

// Attributes are what a publisher needs to know of an event.
type Attributes struct{ ID, Source, Type, Subject string }

// Route is how the events of a type are sent. [Takes] returns one.
type Route struct {
	RPC
	message    string // full name
	attributes func(proto.Message) (Attributes, bool)
}

// Takes returns the route of events of a message type by an RPC.
func Takes[M proto.Message](rpc RPC, attributes func(M) Attributes) Route {
	var none M
	return Route{RPC: rpc, message: string(none.ProtoReflect().Descriptor().FullName()),
		attributes: func(message proto.Message) (Attributes, bool) {
			event, ok := message.(M)
			if !ok || !message.ProtoReflect().IsValid() {
				return Attributes{}, false
			}
			return attributes(event), true
		}}
}

// rank says how well an RPC fits: the least is best. Many events in one request cost a
// server least. But the nth of them has the id of the call and n, unless it has one of its
// own, and which events go together differs from try to try: without ids of their own one
// call has one event. Single calls by a lane are then better than
// any stream.
func (r *RPC) rank() int {
	switch {
	case r.Many && r.Streams == "" && r.ID != 0:
		return 0
	case r.Streams == "" && !r.Many:
		return 1
	case r.Streams == "client" && r.ID != 0:
		return 2
	case r.Streams == "both" && r.ID != 0:
		return 3
	case r.Streams == "":
		return 4
	default:
		return 5
	}
}

// isSingle reports whether events go by single calls, which have lanes.
func (r *RPC) isSingle() bool { return r.Streams == "" && !r.Many }

// numbered reports whether the event of a call with one event has its id and "/1".
func (r *RPC) numbered() bool { return r.Streams != "" || r.Many }

// choose returns the best route for each message type: one by an RPC that is asked for, if
// there is one.
func choose(routes []Route, by []string) (map[string]*Route, error) {
	best := map[string]*Route{}
	for i := range routes {
		route := &routes[i]
		other := best[route.message]
		asked := slices.Contains(by, route.Name)
		otherAsked := other != nil && slices.Contains(by, other.Name)
		if other == nil || asked && !otherAsked || asked == otherAsked && route.rank() < other.rank() {
			best[route.message] = route
		}
	}
	for _, rpc := range by {
		if !slices.ContainsFunc(routes, func(route Route) bool { return route.Name == rpc }) {
			return nil, fmt.Errorf("there is no RPC %s that takes events: want a name such as %s", rpc, routes[0].Name)
		}
	}
	return best, nil
}

// newEvent returns the event of a message, with its id.
// The event is the nth of those that ctx has an id for; 0: it is the only one.
func (p *Publisher) newEvent(ctx context.Context, message proto.Message, n int) (*event, error) {
	name := string(message.ProtoReflect().Descriptor().FullName())
	route := p.routes[name]
	if route == nil {
		return nil, fmt.Errorf("a %s is not an event that the service takes: want %s", name, p.taken())
	}
	attributes, ok := route.attributes(message)
	if !ok {
		return nil, fmt.Errorf("there is no event: the %s is nil, or of another Go type than the generated one", name)
	}
	e := &event{id: attributes.ID, source: attributes.Source, subject: attributes.Subject, kind: attributes.Type, message: name, route: p.senders[route.Name]}
	if e.kind == "" {
		e.kind = name
	}
	var err error
	if e.data, err = (proto.MarshalOptions{Deterministic: true}).Marshal(message); err != nil {
		return nil, fmt.Errorf("the %s can't be sent: %w", name, err)
	}
	sent, _ := metadata.FromOutgoingContext(ctx)
	if values := sent.Get("traceparent"); len(values) == 1 && isTraceParent(values[0]) {
		e.parent = values[0]
	}
	if e.id != "" {
		return e, nil
	}
	e.id = eventid.New()
	if ids := sent.Get(eventid.Key); len(ids) > 0 && ids[0] != "" {
		if e.id = ids[0]; n > 0 {
			e.id += "/" + strconv.Itoa(n)
		}
		if err := eventid.Check(e.id); err != nil {
			return nil, err
		}
	}
	if route.ID != 0 {
		// The last value of a field counts, so it need not be set in the message, which is
		// the caller's.
		e.data = protowire.AppendString(protowire.AppendTag(e.data, route.ID, protowire.BytesType), e.id)
	}
	e.outside = route.ID == 0
	return e, nil
}

// isTraceParent reports whether a text is one of W3C's trace parents. With another one that
// gRPC can't send, calls of the event would fail forever.
func isTraceParent(text string) bool {
	if len(text) != 55 {
		return false
	}
	for i, c := range []byte(text) {
		switch {
		case i == 2 || i == 35 || i == 52:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}

// senderOf returns what sends events of a message type; nil if nothing does. One whose id
// goes with the call stays with the RPC that it was published for, if that still exists:
// another one may make another id of it.
func (p *Publisher) senderOf(message, rpc string, outside bool) *sender {
	if outside {
		for i := range p.all {
			if route := &p.all[i]; route.Name == rpc && route.message == message && route.ID == 0 {
				return p.senders[rpc]
			}
		}
	}
	if route := p.routes[message]; route != nil {
		return p.senders[route.Name]
	}
	return nil
}

// taken lists the message types of the routes.
func (p *Publisher) taken() string {
	var names []string
	for name := range p.routes {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// request returns the request with an event.
func (r *RPC) request(e *event) []byte {
	if r.Holder == 0 {
		return e.data
	}
	request := make([]byte, 0, protowire.SizeTag(r.Holder)+protowire.SizeBytes(len(e.data)))
	return r.add(request, e)
}

// add adds an event to a request that holds any number of them.
func (r *RPC) add(request []byte, e *event) []byte {
	return protowire.AppendBytes(protowire.AppendTag(request, r.Holder, protowire.BytesType), e.data)
}

// wasDuplicate reports whether an answer says that the event was stored before.
func (r *RPC) wasDuplicate(reply []byte) bool {
	if r.Duplicate == 0 {
		return false
	}
	for len(reply) > 0 {
		number, kind, n := protowire.ConsumeTag(reply)
		if n < 0 {
			return false
		}
		if number == r.Duplicate && kind == protowire.VarintType {
			value, m := protowire.ConsumeVarint(reply[n:])
			return m > 0 && value != 0
		}
		m := protowire.ConsumeFieldValue(number, kind, reply[n:])
		if m < 0 {
			return false
		}
		reply = reply[n+m:]
	}
	return false
}

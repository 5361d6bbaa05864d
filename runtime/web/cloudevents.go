//runtime:with eventlog

package web

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/cloudevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// eventsPort takes CloudEvents by HTTP, at /events/{service} and /events/{service}/{rpc}.
type eventsPort struct {
	*port
	services map[string][]eventRPC // those that take events, in the order of the proto
}

// eventRPC is an RPC that takes events.
type eventRPC struct {
	server.PortRPC
	name    string
	request protoreflect.MessageType
	holder  protoreflect.FieldDescriptor // of the request; nil if that is the event
	event   protoreflect.MessageDescriptor
}

func init() {
	cloudEvents.flags = func(c *Config, flags *flag.FlagSet) {
		flags.Func("webhook-origins", "senders of CloudEvents whose handshake for webhooks is answered, such as eventgrid.azure.net: `origins` with commas, * for all", func(text string) error {
			c.WebhookOrigins = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
			return nil
		})
	}
	cloudEvents.mount = mountEvents
}

// mountEvents serves CloudEvents for those of the RPCs that take events.
func mountEvents(p *port, rpcs []server.PortRPC) {
	events := &eventsPort{p, map[string][]eventRPC{}}
	for _, called := range rpcs {
		if rpc, ok := newEventRPC(called); ok {
			name := string(called.Descriptor.Parent().FullName())
			events.services[name] = append(events.services[name], rpc)
		}
	}
	if len(events.services) == 0 {
		return
	}
	for _, all := range events.services {
		slices.SortFunc(all, func(a, b eventRPC) int { return cmp.Compare(a.Descriptor.Index(), b.Descriptor.Index()) })
	}
	p.events = events
}

// newEventRPC returns an RPC as one that takes events. ok is false if it does not, or its
// messages are not known.
func newEventRPC(called server.PortRPC) (rpc eventRPC, ok bool) {
	if called.RPC.Fields == nil || called.Descriptor == nil {
		return rpc, false
	}
	request, err := protoregistry.GlobalTypes.FindMessageByName(called.Descriptor.Input().FullName())
	if err != nil {
		return rpc, false
	}
	rpc = eventRPC{PortRPC: called, name: string(called.Descriptor.Name()), request: request, event: request.Descriptor()}
	if name := called.RPC.Fields.Holder; name != "" {
		if rpc.holder = request.Descriptor().Fields().ByName(protoreflect.Name(name)); rpc.holder == nil || rpc.holder.Message() == nil {
			return rpc, false
		}
		rpc.event = rpc.holder.Message()
	}
	return rpc, true
}

// takesMany reports whether a call brings any number of events.
func (r eventRPC) takesMany() bool { return r.ClientStreams || r.holder != nil && r.holder.IsList() }

// ServeHTTP answers once all events of a request are stored, with 204.
func (p *eventsPort) ServeHTTP(to http.ResponseWriter, r *http.Request) {
	var err error
	switch {
	case r.Method == http.MethodPost, strings.Trim(r.URL.Path, "/") == "events": // by any method it is unknown
		err = p.take(to, r)
	case r.Method == http.MethodOptions:
		err = p.shakeHands(to, r)
	default:
		to.Header().Set("Allow", "OPTIONS, POST")
		err = refuse(http.StatusMethodNotAllowed, "%s is not a method of this address: send CloudEvents by POST", r.Method)
	}
	switch {
	case err != nil:
		answerError(to, r, err)
	case r.Method == http.MethodPost:
		to.WriteHeader(http.StatusNoContent)
	}
}

// take passes the events of a request to their RPC.
func (p *eventsPort) take(to http.ResponseWriter, r *http.Request) error {
	rpcs, named, err := p.find(r.URL.Path)
	if err != nil {
		p.server.Unhandled(server.UnknownRPC, r.URL.Path, r.Context().Value(connectionKey{}).(net.Conn))
		return err
	}
	rpc := rpcs[0]
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && media == batchMode && !named {
		rpc = forBatch(rpcs)
	}
	md, err := incomingMetadata(r)
	if err != nil {
		return err
	}
	for _, name := range traced { // so that also what observes the call's begin knows it
		if value := r.Header.Get("ce-" + name); value != "" {
			md.Set(name, value)
		}
	}
	maps.DeleteFunc(md, func(name string, _ []string) bool { return strings.HasPrefix(name, "ce-") })
	t := &taking{rpc: rpc, header: r.Header, config: p.server.Config()}
	r = r.WithContext(eventid.Only(r.Context())) // if there are more, they have ids of their own
	for first := true; first || len(t.calls) > 0; first = false {
		t.began = false
		md := md.Copy()
		err := p.call(to, r, rpc.Method, md, func(x *exchange, into proto.Message) error { return t.receive(x, md, into) })
		switch {
		case t.refused != nil:
			return t.refused
		case t.total == 0 && t.read:
			return nil // a batch of none
		case err != nil && t.total > 1:
			return t.inCall(err)
		case err != nil:
			return err
		case !t.began || len(t.current.requests) > 0:
			return refuse(http.StatusInternalServerError, "%s answered before it had taken all events", rpc.Method)
		}
		r = r.Clone(r.Context())
		r.Body = http.NoBody
	}
	return nil
}

// taking is a request whose events are being passed to their RPC.
type taking struct {
	rpc    eventRPC
	header http.Header
	config server.Config

	read    bool
	refused error       // why the events can't be taken
	total   int         // calls
	calls   []eventCall // to come
	began   bool        // the call that is under way
	current eventCall
	rest    int64 // length of all requests to come
}

// receive decodes the next request of a call into a message. The first reads the body.
func (t *taking) receive(x *exchange, md metadata.MD, into proto.Message) error {
	switch {
	case !t.read:
		t.read = true
		if t.refused = t.readBody(x); t.refused != nil {
			if why := (*refused)(nil); errors.As(t.refused, &why) && !why.counted {
				x.server.Unhandled(server.Undecodable, x.rpc.Method, x.from)
			}
			return status.Convert(t.refused).Err()
		}
		x.call.Keep()
	case !t.began:
		if err := x.call.Holds(t.rest, false); err != nil {
			return err
		}
		x.call.Keep()
	}
	if !t.began {
		if len(t.calls) == 0 {
			return io.EOF
		}
		t.began, t.current, t.calls = true, t.calls[0], t.calls[1:]
		t.current.describe(md)
	}
	if len(t.current.requests) == 0 {
		return io.EOF
	}
	request := t.current.requests[0]
	t.current.requests = t.current.requests[1:]
	t.rest -= int64(len(request))
	return x.call.DecodeKept(request, into)
}

// readBody reads all events of a request.
func (t *taking) readBody(x *exchange) error {
	body, err := readBody(x, t.config.MaxMessageBytes)
	if err != nil {
		return err
	}
	x.call.Keep()
	events, _, err := readEvents(t.header, body, t.config.MaxBatch)
	if err != nil {
		return err
	}
	if t.calls, err = t.rpc.callsWith(events, x.call.DecodePart); err != nil {
		return err
	}
	t.total = len(t.calls)
	for _, call := range t.calls {
		for _, request := range call.requests {
			t.rest += int64(len(request))
		}
	}
	return nil
}

// inCall adds to an error which of several calls it ended.
func (t *taking) inCall(err error) error {
	at := t.total - len(t.calls)
	if !t.began {
		at++ // it ended before it began
	}
	was := status.Convert(err).Proto()
	was.Message = fmt.Sprintf("event %d of %d: %s", at, t.total, was.Message)
	if at > 1 {
		was.Message += " (those before it are stored: a batch that is sent again stores none of them twice)"
	}
	return status.ErrorProto(was)
}

// find returns the RPC at an address, or all of a service if it names none.
func (p *eventsPort) find(path string) (rpcs []eventRPC, named bool, err error) {
	service, rpc, named := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(path, "/events"), "/"), "/")
	rpcs, ok := p.services[service]
	if !ok {
		var names []string
		for name := range p.services {
			names = append(names, name)
		}
		slices.Sort(names)
		if service == "" {
			return nil, false, refuse(http.StatusNotFound, "the address names no service: CloudEvents go to /events/ and the name of one that takes events: %s", strings.Join(names, ", "))
		}
		return nil, false, refuse(http.StatusNotFound, "there is no service %q that takes events: there is %s", service, strings.Join(names, ", "))
	}
	if !named {
		return rpcs, false, nil
	}
	var names []string
	for _, one := range rpcs {
		if one.name == rpc {
			return []eventRPC{one}, true, nil
		}
		names = append(names, one.name)
	}
	return nil, false, refuse(http.StatusNotFound, "service %s has no RPC %q that takes events: it has %s; without a name the first is meant", service, rpc, strings.Join(names, ", "))
}

// forBatch returns the RPC for a batch that names none: of those that take the events
// that the first does, the first that takes many at once, or else the first.
func forBatch(rpcs []eventRPC) eventRPC {
	for _, rpc := range rpcs {
		if rpc.takesMany() && rpc.event.FullName() == rpcs[0].event.FullName() {
			return rpc
		}
	}
	return rpcs[0]
}

// eventCall is a call of an RPC with events.
type eventCall struct {
	first    cloudEvent
	requests [][]byte // in protobuf's binary format
	alone    bool     // it brings one event, whose id is that of the call
}

// callsWith returns the calls that bring events to an RPC: one for all if it takes many,
// or one for each. Those whose message has no id, or no place for the trace that they are
// part of, come alone, since a call carries one of each.
func (r eventRPC) callsWith(events []cloudEvent, decode decoder) (calls []eventCall, err error) {
	together := r.takesMany() && len(events) > 1 && r.RPC.Fields.ID != "" && r.keepsTraces(events)
	for i, event := range events {
		request, err := r.requestWith(event, decode)
		if err != nil {
			return nil, inBatch(i, len(events), err)
		}
		encoded, err := proto.Marshal(request)
		switch {
		case err != nil:
			return nil, inBatch(i, len(events), refuse(http.StatusBadRequest, "%v", err))
		case i == 0 || !together:
			calls = append(calls, eventCall{event, [][]byte{encoded}, !together})
		case r.holder != nil && r.holder.IsList():
			calls[0].requests[0] = append(calls[0].requests[0], encoded...) // which makes one list of both
		default:
			calls[0].requests = append(calls[0].requests, encoded)
		}
	}
	return calls, nil
}

// requestWith returns a request with an event.
func (r eventRPC) requestWith(event cloudEvent, decode decoder) (proto.Message, error) {
	request := r.request.New()
	into := request
	switch {
	case r.holder == nil:
	case r.holder.IsList():
		into = request.Mutable(r.holder).List().AppendMutable().Message()
	default:
		into = request.Mutable(r.holder).Message()
	}
	return request.Interface(), fill(into, event, *r.RPC.Fields, decode)
}

// keepsTraces reports whether events can come in one call without losing a trace: they
// have the same, or their messages have a place for it.
func (r eventRPC) keepsTraces(events []cloudEvent) bool {
	if r.RPC.Fields.Attributes != "" || cloudevents.Is(r.event) {
		return true
	}
	return !slices.ContainsFunc(events, func(one cloudEvent) bool {
		return slices.ContainsFunc(traced, func(name string) bool { return one.attributes[name] != events[0].attributes[name] })
	})
}

// describe adds to the metadata of a call what of its event is not in the message.
func (c eventCall) describe(md metadata.MD) {
	md.Delete(eventid.Key)
	if c.alone {
		md.Set(eventid.Key, c.first.attributes["id"])
	}
	if parent := c.first.attributes["traceparent"]; parent != "" {
		md.Set("ce-traceparent", parent) // which the log keeps with the event
		for _, name := range traced {
			md.Delete(name)
			if value := c.first.attributes[name]; value != "" {
				md.Set(name, value)
			}
		}
	}
}

// shakeHands answers the validation handshake of the specification of CloudEvents'
// webhooks, by which a sender asks whether it may send here.
func (p *eventsPort) shakeHands(to http.ResponseWriter, r *http.Request) error {
	to.Header().Set("Allow", "OPTIONS, POST")
	origin := r.Header.Get("WebHook-Request-Origin")
	switch {
	case origin == "":
		to.WriteHeader(http.StatusNoContent)
		return nil
	case !slices.Contains(p.config.WebhookOrigins, origin) && !slices.Contains(p.config.WebhookOrigins, "*"):
		return refuse(http.StatusForbidden, "webhooks of %s are not expected here: start the server with --webhook-origins %s", origin, origin)
	}
	if _, _, err := p.find(r.URL.Path); err != nil {
		return err
	}
	to.Header().Set("WebHook-Allowed-Origin", origin)
	to.Header().Set("WebHook-Allowed-Rate", "*") // the server's limits refuse what is too much
	to.WriteHeader(http.StatusOK)
	return nil
}

// statuses are those of HTTP for the codes of errors, as in the Connect protocol.
var statuses = map[codes.Code]int{
	codes.Canceled: 499, codes.InvalidArgument: http.StatusBadRequest, codes.DeadlineExceeded: http.StatusGatewayTimeout,
	codes.NotFound: http.StatusNotFound, codes.AlreadyExists: http.StatusConflict, codes.PermissionDenied: http.StatusForbidden,
	codes.ResourceExhausted: http.StatusTooManyRequests, codes.FailedPrecondition: http.StatusBadRequest, codes.Aborted: http.StatusConflict,
	codes.OutOfRange: http.StatusBadRequest, codes.Unimplemented: http.StatusNotImplemented, codes.Unavailable: http.StatusServiceUnavailable,
	codes.Unauthenticated: http.StatusUnauthorized,
}

// answerError answers with an error, in the form of those of the Connect protocol.
func answerError(to http.ResponseWriter, r *http.Request, err error) {
	if r.ProtoMajor == 1 && r.Body != http.NoBody {
		_ = http.NewResponseController(to).SetReadDeadline(time.Now().Add(lingering))
	}
	from := status.Convert(err)
	code, ok := statuses[from.Code()]
	if !ok {
		code = http.StatusInternalServerError
	}
	if why := (*refused)(nil); errors.As(err, &why) {
		code, from = why.status, status.New(why.code(), why.text)
	}
	switch code {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		to.Header().Set("Retry-After", cmp.Or(retryAfter(err), "1"))
	case http.StatusUnauthorized:
		to.Header().Set("WWW-Authenticate", "Bearer")
	}
	to.Header().Set("Content-Type", "application/json")
	to.WriteHeader(code)
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(map[string]string{"code": connect.Code(from.Code()).String(), "message": from.Message()})
}

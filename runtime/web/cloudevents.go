//runtime:with eventlog

package web

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"

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
	services map[string][]eventRPC // those that take events, in the order of the proto
	webhooks []string              // origins whose handshake is answered; "*" for any
	most     int                   // bytes of a request
	batch    int                   // events of a batch
}

// eventRPC is an RPC that takes events.
type eventRPC struct {
	server.Called
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

// mountEvents serves CloudEvents for those of the server's RPCs that take events.
func mountEvents(mux *http.ServeMux, p *port, s *server.Server) {
	config := s.Config()
	events := &eventsPort{services: map[string][]eventRPC{}, webhooks: p.config.WebhookOrigins, most: config.MaxMessageBytes, batch: config.MaxBatch}
	for _, called := range s.Called() {
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
	mux.Handle("/events/", events)
}

// newEventRPC returns an RPC as one that takes events. ok is false if it does not, or its
// messages are not known.
func newEventRPC(called server.Called) (rpc eventRPC, ok bool) {
	if called.RPC.Fields == nil || called.Descriptor == nil {
		return rpc, false
	}
	request, err := protoregistry.GlobalTypes.FindMessageByName(called.Descriptor.Input().FullName())
	if err != nil {
		return rpc, false
	}
	rpc = eventRPC{Called: called, name: string(called.Descriptor.Name()), request: request, event: request.Descriptor()}
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
func (p *eventsPort) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	var err error
	switch request.Method {
	case http.MethodPost:
		err = p.take(request)
	case http.MethodOptions:
		err = p.shakeHands(response, request)
	default:
		response.Header().Set("Allow", "OPTIONS, POST")
		err = refuse(http.StatusMethodNotAllowed, "%s is not a method of this address: send CloudEvents by POST", request.Method)
	}
	if err != nil {
		answerError(response, err)
		return
	}
	if request.Method == http.MethodPost {
		response.WriteHeader(http.StatusNoContent)
	}
}

// take passes the events of a request to their RPC.
func (p *eventsPort) take(request *http.Request) error {
	rpcs, named, err := p.find(request.URL.Path)
	if err != nil {
		return err
	}
	body, err := readBody(request, p.most)
	if err != nil {
		return err
	}
	events, isBatch, err := readEvents(request.Header, body)
	if err != nil {
		return err
	}
	if len(events) > p.batch {
		return refuse(http.StatusRequestEntityTooLarge, "the batch has %d events, and the server takes %d at once (--max-batch)", len(events), p.batch)
	}
	rpc := rpcs[0]
	if !named && isBatch {
		rpc = forBatch(rpcs)
	}
	calls, err := rpc.calls(events)
	if err != nil {
		return err
	}
	for i, one := range calls {
		if err := call(request.WithContext(one.context(request.Context())), rpc.Called, one.metadata(request.Header), one.requests); err != nil {
			if len(calls) > 1 {
				err = inCall(i, len(calls), err)
			}
			return err
		}
	}
	return nil
}

// inCall adds to an error which of several calls it ended.
func inCall(i, of int, err error) error {
	was := status.Convert(err).Proto()
	was.Message = fmt.Sprintf("event %d of %d: %s", i+1, of, was.Message)
	if i > 0 {
		was.Message += " (those before it are stored: a batch that is sent again stores none of them twice)"
	}
	return status.ErrorProto(was)
}

// find returns the RPC at an address, or all of a service if it names none.
func (p *eventsPort) find(path string) (rpcs []eventRPC, named bool, err error) {
	service, rpc, named := strings.Cut(strings.TrimPrefix(path, "/events/"), "/")
	rpcs, ok := p.services[service]
	if !ok {
		var names []string
		for name := range p.services {
			names = append(names, name)
		}
		slices.Sort(names)
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
	events   []cloudEvent
	requests []proto.Message
	alone    bool // it brings one event, whose id is that of the call
}

// calls returns the calls that bring events to an RPC: one for all if it takes many, or
// one for each. Those whose message has no id, or no place for the trace that they are
// part of, come alone, since a call carries one of each.
func (r eventRPC) calls(events []cloudEvent) (calls []eventCall, err error) {
	filled := make([]protoreflect.Message, len(events)) // requests, each with one event
	for i, event := range events {
		if filled[i], err = r.requestWith(event); err != nil {
			return nil, inBatch(i, len(events), err)
		}
	}
	if len(events) == 0 {
		return nil, nil
	}
	together := r.takesMany() && (len(events) == 1 || r.RPC.Fields.ID != "" && r.keepsTraces(events))
	if !together {
		for i, event := range events {
			calls = append(calls, eventCall{[]cloudEvent{event}, []proto.Message{filled[i].Interface()}, true})
		}
		return calls, nil
	}
	call := eventCall{events: events, alone: len(events) == 1}
	for i, request := range filled {
		if i > 0 && r.holder != nil && r.holder.IsList() {
			first := call.requests[0].ProtoReflect()
			first.Mutable(r.holder).List().Append(request.Get(r.holder).List().Get(0))
			continue
		}
		call.requests = append(call.requests, request.Interface())
	}
	return []eventCall{call}, nil
}

// requestWith returns a request with an event.
func (r eventRPC) requestWith(event cloudEvent) (protoreflect.Message, error) {
	request := r.request.New()
	into := request
	switch {
	case r.holder == nil:
	case r.holder.IsList():
		into = request.Mutable(r.holder).List().AppendMutable().Message()
	default:
		into = request.Mutable(r.holder).Message()
	}
	return request, fill(into, event, *r.RPC.Fields)
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

func (c eventCall) context(ctx context.Context) context.Context {
	if c.alone {
		return eventid.Only(ctx)
	}
	return ctx
}

// metadata returns what goes with the call: the headers of the request, and what of its
// event is not in the message.
func (c eventCall) metadata(header http.Header) metadata.MD {
	all := metadata.MD{}
	for name, values := range header {
		if name = strings.ToLower(name); !strings.HasPrefix(name, "ce-") {
			all[name] = slices.Clone(values)
		}
	}
	all.Delete(eventid.Key)
	if c.alone {
		all.Set(eventid.Key, c.events[0].attributes["id"])
	}
	if c.events[0].attributes["traceparent"] != "" {
		for _, name := range traced {
			all.Delete(name)
			if value := c.events[0].attributes[name]; value != "" {
				all.Set(name, value)
			}
		}
	}
	return all
}

// shakeHands answers the validation handshake of the specification of CloudEvents'
// webhooks, by which a sender asks whether it may send here.
func (p *eventsPort) shakeHands(response http.ResponseWriter, request *http.Request) error {
	response.Header().Set("Allow", "OPTIONS, POST")
	origin := request.Header.Get("WebHook-Request-Origin")
	switch {
	case origin == "":
		response.WriteHeader(http.StatusNoContent)
		return nil
	case !slices.Contains(p.webhooks, origin) && !slices.Contains(p.webhooks, "*"):
		return refuse(http.StatusForbidden, "webhooks of %s are not expected here: start the server with --webhook-origins %s", origin, origin)
	}
	if _, _, err := p.find(request.URL.Path); err != nil {
		return err
	}
	response.Header().Set("WebHook-Allowed-Origin", origin)
	response.Header().Set("WebHook-Allowed-Rate", "*") // the server's limits refuse what is too much
	response.WriteHeader(http.StatusOK)
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
func answerError(to http.ResponseWriter, err error) {
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
	_ = json.NewEncoder(to).Encode(map[string]string{"code": connect.Code(from.Code()).String(), "message": from.Message()})
}

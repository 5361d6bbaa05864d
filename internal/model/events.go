package model

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// What is read to find the RPCs that take events.
const (
	EventsAuto  = "auto"  // names and comments
	EventsNames = "names" // names alone
	EventsOff   = "off"   // nothing: there are none
)

// The names by which a field fills a role, the first that has the right type.
var (
	idNames      = []protoreflect.Name{"event_id"}
	sourceNames  = []protoreflect.Name{"appid", "app_id", "source", "tenant", "tenant_id"}
	typeNames    = []protoreflect.Name{"xwhat", "event_type", "event_name", "type"}
	subjectNames = []protoreflect.Name{"xwho", "subject", "user_id", "distinct_id"}
	timeNames    = withUnits("xwhen", "event_time", "occurred_at", "timestamp", "time")
	dataNames    = []protoreflect.Name{"xcontext", "data", "payload", "properties"}
)

// The names by which a field says where a tail begins, and how many events a
// reply is about.
var (
	positionNames = []protoreflect.Name{"after", "position", "after_position", "from_position"}
	sinceNames    = []protoreflect.Name{"since", "from", "from_time", "start_time"}
	countNames    = []protoreflect.Name{"count", "received", "accepted", "stored"}
)

// units are the endings by which an integer's name says its unit, and the
// values of receiver:time that do.
var units = []struct{ suffix, value, unit string }{
	{"_s", "time=s", "time.Second"},
	{"_ms", "time=ms", "time.Millisecond"},
	{"_us", "time=us", "time.Microsecond"},
	{"_nanos", "time=ns", "time.Nanosecond"},
}

// withUnits adds to each name the ones that say a unit.
func withUnits(names ...protoreflect.Name) (all []protoreflect.Name) {
	for _, name := range names {
		all = append(all, name)
		for _, u := range units {
			all = append(all, name+protoreflect.Name(u.suffix))
		}
	}
	return all
}

// asEvent reads a message as an event, or returns nil if it is not one: by
// name, one called Event or something that ends so, with a type and a source, a
// subject or a time; by comment, any. If forced it is an event whatever it is
// called.
func (b *builder) asEvent(from *protogen.Message, forced string) *Event {
	if b.events == EventsOff {
		return nil
	}
	comment := b.directive(from.Desc, from.Comments, onMessage)
	event := &Event{Message: b.message(from), Why: forced, At: b.at(from.Desc), proto: from.Desc.ParentFile().Path()}
	b.roles(event, from)
	switch byName := strings.HasSuffix(string(from.Desc.Name()), "Event"); {
	case comment == "plain":
		return nil
	case comment == "event":
		event.Why = "its comment says so"
	case forced != "":
	case !byName || event.Type == nil || event.Source == nil && event.Subject == nil && event.Time == nil:
		return nil
	default:
		event.Why = "its name says so, and it has a type and a source, a subject or a time"
	}
	return event
}

// roles finds the fields that are attributes of the event: by comment, else by
// name.
func (b *builder) roles(event *Event, from *protogen.Message) {
	marked := map[string][]*protogen.Field{} // by role
	taken := map[protoreflect.Name]bool{}    // fields with a comment have the role that it gives, and no other
	for _, field := range from.Fields {
		if comment := b.directive(field.Desc, field.Comments, onField); comment != "" {
			role, _, _ := strings.Cut(comment, "=")
			marked[role] = append(marked[role], field)
			taken[field.Desc.Name()] = true
		}
	}
	fill := func(role string, names []protoreflect.Name, byName, byComment func(protoreflect.FieldDescriptor) bool) *Role {
		for i, field := range marked[role] {
			switch {
			case i > 0:
				b.complaints.add(field.Desc, "%s and %s are both marked as the event's %s: remove one of the comments",
					named(marked[role][0].Desc), named(field.Desc), role)
			case !singular(field.Desc) || !byComment(field.Desc):
				b.complaints.add(field.Desc, "%s can't be the event's %s: %s", named(field.Desc), role, mustBe[role])
			}
		}
		if len(marked[role]) > 0 {
			return &Role{Field: event.Fields[marked[role][0].Desc.Index()], Why: "by comment"}
		}
		for _, name := range names {
			if fd := from.Desc.Fields().ByName(name); fd != nil && !taken[name] && singular(fd) && byName(fd) {
				return &Role{Field: event.Fields[fd.Index()], Why: "by name"}
			}
		}
		return nil
	}
	event.ID = fill("id", idNames, isString, func(fd protoreflect.FieldDescriptor) bool { return isString(fd) || isInteger(fd) })
	event.Source = fill("source", sourceNames, isString, hasText)
	event.Type = fill("type", typeNames, isString, hasText)
	event.Subject = fill("subject", subjectNames, isString, hasText)
	event.Data = fill("data", dataNames, isData, isData)
	if role := fill("time", timeNames, isTime, func(fd protoreflect.FieldDescriptor) bool { return b.unit(from, fd) != "" || isTimestamp(fd) }); role != nil {
		event.Time = &Time{Role: *role, Unit: b.unit(from, from.Desc.Fields().ByName(protoreflect.Name(role.ProtoName)))}
	}
}

// mustBe has the types of field that can have a role by comment.
var mustBe = map[string]string{
	"id":      "it must be one string or integer",
	"source":  "it must be one string, integer or enum",
	"type":    "it must be one string, integer or enum",
	"subject": "it must be one string, integer or enum",
	"time":    "it must be a google.protobuf.Timestamp, or an integer with its unit in the comment: receiver:time=s, ms, us or ns",
	"data":    "it must be one message, bytes or string",
}

// unit returns the unit of an integer that holds a time: given by its comment, else
// by its name's ending, else seconds in 32 bits, else unknown.
func (b *builder) unit(from *protogen.Message, fd protoreflect.FieldDescriptor) string {
	for _, u := range units {
		if b.events == EventsAuto && isInteger(fd) {
			_, directives := cut(string(from.Fields[fd.Index()].Comments.Leading) + "\n" + string(from.Fields[fd.Index()].Comments.Trailing))
			if slices.Contains(directives, u.value) {
				return u.unit
			}
		}
	}
	return unitByName(fd)
}

func unitByName(fd protoreflect.FieldDescriptor) string {
	if !isInteger(fd) {
		return ""
	}
	for _, u := range units {
		if strings.HasSuffix(string(fd.Name()), u.suffix) {
			return u.unit
		}
	}
	switch fd.Kind() {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return "time.Second"
	}
	return ""
}

func singular(fd protoreflect.FieldDescriptor) bool { return !fd.IsList() && !fd.IsMap() }

func isString(fd protoreflect.FieldDescriptor) bool { return fd.Kind() == protoreflect.StringKind }

// hasText reports whether the value of a field can become text.
func hasText(fd protoreflect.FieldDescriptor) bool { return textOf(fd) != NotText }

func textOf(fd protoreflect.FieldDescriptor) Text {
	switch {
	case isString(fd):
		return Plain
	case isInteger(fd):
		return Number
	case fd.Kind() == protoreflect.EnumKind:
		return Named
	}
	return NotText
}

func isInteger(fd protoreflect.FieldDescriptor) bool { return integers[fd.Kind()] != "" }

// integers are the kinds of integer, and their Go types.
var integers = map[protoreflect.Kind]string{
	protoreflect.Int32Kind: "int32", protoreflect.Sint32Kind: "int32", protoreflect.Sfixed32Kind: "int32",
	protoreflect.Int64Kind: "int64", protoreflect.Sint64Kind: "int64", protoreflect.Sfixed64Kind: "int64",
	protoreflect.Uint32Kind: "uint32", protoreflect.Fixed32Kind: "uint32",
	protoreflect.Uint64Kind: "uint64", protoreflect.Fixed64Kind: "uint64",
}

func isData(fd protoreflect.FieldDescriptor) bool {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.BytesKind, protoreflect.StringKind:
		return true
	}
	return false
}

func isTime(fd protoreflect.FieldDescriptor) bool { return isTimestamp(fd) || unitByName(fd) != "" }

func isTimestamp(fd protoreflect.FieldDescriptor) bool {
	return fd.Kind() == protoreflect.MessageKind && fd.Message().FullName() == "google.protobuf.Timestamp"
}

// found is an event in a message: the message itself, or what its only field
// of a message type holds.
type found struct {
	event  *Event
	holder *Field // nil for the message itself
}

// eventIn finds the event in a message.
func (b *builder) eventIn(from *protogen.Message) found {
	if event := b.asEvent(from, ""); event != nil {
		return found{event: event}
	}
	var holder *protogen.Field
	for _, field := range from.Fields {
		switch {
		case field.Desc.Message() == nil:
		case holder != nil || field.Desc.IsMap() || field.Desc.ContainingOneof() != nil && !field.Desc.ContainingOneof().IsSynthetic():
			return found{}
		default:
			holder = field
		}
	}
	if holder == nil {
		return found{}
	}
	if event := b.asEvent(holder.Message, ""); event != nil {
		return found{event: event, holder: b.message(from).Fields[holder.Desc.Index()]}
	}
	return found{}
}

// classify sets of which kind an RPC is, and why.
func (b *builder) classify(method *Method, from *protogen.Method) {
	comment := b.directive(from.Desc, from.Comments, onMethod)
	client, server := from.Desc.IsStreamingClient(), from.Desc.IsStreamingServer()
	method.Kind = plainKind(client, server)
	method.Why = "nothing says that it takes events"
	switch {
	case b.events == EventsOff:
		method.Why = "events=off"
	case comment == "plain":
		method.Why = "its comment says so"
	case comment == "tail":
		b.tail(method, from)
	default:
		b.intake(method, from, comment == "event")
	}
}

// intake makes an RPC one that takes events, if it is one.
func (b *builder) intake(method *Method, from *protogen.Method, marked bool) {
	client, server := from.Desc.IsStreamingClient(), from.Desc.IsStreamingServer()
	if server && !client {
		if marked {
			b.complaints.add(from.Desc, "%s can't take events: it takes one request and returns a stream; "+
				"to replay and follow the log, write // receiver:tail", named(from.Desc))
		}
		return
	}
	in := b.eventIn(from.Input)
	if in.event == nil && marked {
		if in.event = b.asEvent(from.Input, "the comment of "+string(from.Desc.Name())+" says so"); in.event == nil {
			b.complaints.add(from.Desc, "the comment of %s says that it takes events, and that of %s that it is not one: remove one of them",
				named(from.Desc), named(from.Input.Desc))
			return
		}
	}
	if in.event == nil {
		return
	}
	if field := required(from.Output.Desc); field != nil {
		method.Why = fmt.Sprintf("its reply has the required field %s, which only you can fill", field.Name())
		return
	}
	method.Event, method.Holder, method.Retry = in.event, in.holder, true
	method.Why = "its request is an event"
	if in.holder != nil {
		method.Why = fmt.Sprintf("its request holds an event, in %s", in.holder.ProtoName)
	}
	switch {
	case client && server:
		method.Kind = BidiEvent
	case client:
		method.Kind = ClientStreamEvent
	case in.holder != nil && in.holder.List:
		method.Kind, method.Why = UnaryBatch, fmt.Sprintf("its request holds events, in %s", in.holder.ProtoName)
	default:
		method.Kind = UnaryEvent
	}
	method.Reply = replyOf(method.Output, from.Output)
}

// tail makes an RPC one that replays and follows the log.
func (b *builder) tail(method *Method, from *protogen.Method) {
	if from.Desc.IsStreamingClient() || !from.Desc.IsStreamingServer() {
		b.complaints.add(from.Desc, "%s can't be a tail: a tail takes one request and returns a stream", named(from.Desc))
		return
	}
	out := b.eventIn(from.Output)
	if out.event == nil || out.holder != nil {
		b.complaints.add(from.Desc, "%s: a tail must return a stream of events, and %s is not an event: add // receiver:event above it (%s)",
			named(from.Desc), named(from.Output.Desc), b.at(from.Output.Desc))
		return
	}
	method.Kind, method.Event, method.Why = Tail, out.event, "its comment says so"
	fields := from.Input.Desc.Fields()
	for _, name := range positionNames {
		if fd := fields.ByName(name); fd != nil && singular(fd) && isInteger(fd) && method.From.Position == nil {
			method.From.Position = method.Input.Fields[fd.Index()]
		}
	}
	for _, name := range sinceNames {
		if fd := fields.ByName(name); fd != nil && singular(fd) && isTimestamp(fd) && method.From.Time == nil {
			method.From.Time = method.Input.Fields[fd.Index()]
		}
	}
}

func plainKind(client, server bool) Kind {
	switch {
	case client && server:
		return Bidi
	case client:
		return ClientStream
	case server:
		return ServerStream
	}
	return Unary
}

// replyOf finds what a skeleton can fill in: fields that are not pointers.
func replyOf(message *Message, from *protogen.Message) (reply Reply) {
	fits := func(fd protoreflect.FieldDescriptor) bool {
		return fd != nil && singular(fd) && !fd.HasPresence() && fd.ContainingOneof() == nil
	}
	if fd := from.Desc.Fields().ByName("message"); fits(fd) && isString(fd) {
		reply.Message = message.Fields[fd.Index()]
	}
	for _, name := range countNames {
		if fd := from.Desc.Fields().ByName(name); fits(fd) && isInteger(fd) && reply.Count == nil {
			reply.Count = message.Fields[fd.Index()]
		}
	}
	return reply
}

// cycle returns the fields by which a message requires itself, or one that does:
// no message of it is valid. It returns nil for one that does not. fine are the
// messages that do not; way leads to the message.
func cycle(message protoreflect.MessageDescriptor, fine map[protoreflect.FullName]bool, way ...protoreflect.FieldDescriptor) []protoreflect.FieldDescriptor {
	for i := range message.Fields().Len() {
		fd := message.Fields().Get(i)
		if fd.Cardinality() != protoreflect.Required || fd.Message() == nil || fine[fd.Message().FullName()] {
			continue
		}
		longer := append(slices.Clone(way), fd)
		if slices.ContainsFunc(longer, func(on protoreflect.FieldDescriptor) bool { return on.ContainingMessage() == fd.Message() }) {
			return longer
		}
		if found := cycle(fd.Message(), fine, longer...); found != nil {
			return found
		}
	}
	fine[message.FullName()] = true
	return nil
}

// sendable refuses a message of an RPC that requires itself.
func (b *builder) sendable(method protoreflect.MethodDescriptor, message protoreflect.MessageDescriptor) {
	way := cycle(message, map[protoreflect.FullName]bool{})
	if way == nil {
		return
	}
	fields := make([]string, len(way))
	for i, fd := range way {
		fields[i] = strings.TrimPrefix(string(fd.FullName()), string(fd.ParentFile().Package())+".")
	}
	b.complaints.add(method, "%s: no %s can be sent, because it requires itself without end, by %s: make one of these fields optional (%s)",
		named(method), message.Name(), strings.Join(fields, ", "), b.at(way[len(way)-1]))
}

// required returns a field that a message must have, or nil.
func required(message protoreflect.MessageDescriptor) protoreflect.FieldDescriptor {
	for i := range message.Fields().Len() {
		if fd := message.Fields().Get(i); fd.Cardinality() == protoreflect.Required {
			return fd
		}
	}
	return nil
}

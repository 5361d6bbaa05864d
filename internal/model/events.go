package model

import (
	"cmp"
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

// The names by which a map of strings holds the attributes of a CloudEvent for which an
// event has no other field.
var attributesNames = []string{"extensions", "attributes"}

// The names by which a field says where a tail begins.
var (
	positionNames = []protoreflect.Name{"after", "position", "after_position", "from_position"}
	sinceNames    = []protoreflect.Name{"since", "from", "from_time", "start_time"}
)

// Naming is a role of a field: the names by which a field fills it, the first that has
// the right type, and the types that it may have.
type Naming struct {
	Role      string
	Names     []string
	ByName    string // the type that a field needs if its name is to give it the role
	ByComment string // and if a comment is; "" for a role that no comment gives
}

// EventRoles returns the roles of an event's fields. The reference is generated from it.
func EventRoles() []Naming {
	types := func(role string) string { return strings.TrimPrefix(mustBe[role], "it must be ") }
	return []Naming{
		{"id", names(idNames), "one string; in a message that a comment makes an event also `id`", types("id")},
		{"source", names(sourceNames), "one string", types("source")},
		{"type", names(typeNames), "one string", types("type")},
		{"subject", names(subjectNames), "one string", types("subject")},
		{"time", names(timeNames), timeByName(), types("time")},
		{"data", names(dataNames), types("data"), types("data")},
	}
}

// TailRoles returns what fields of the request of a tail say about where it begins.
func TailRoles() []Naming {
	return []Naming{
		{"after this position", names(positionNames), "one integer", ""},
		{"since this time", names(sinceNames), "a google.protobuf.Timestamp", ""},
	}
}

// ReportVerbs returns the words in the name of an rpc that are only stated of events.
func ReportVerbs() []string { return slices.Clone(reportVerbs) }

// names returns names without those that only add the ending of a unit.
func names(all []protoreflect.Name) (list []string) {
	for _, name := range all {
		if !slices.ContainsFunc(units, func(u struct{ suffix, value, unit string }) bool {
			base, ended := strings.CutSuffix(string(name), u.suffix)
			return ended && slices.Contains(all, protoreflect.Name(base))
		}) {
			list = append(list, string(name))
		}
	}
	return list
}

// timeByName is what a field must be that is a time by its name.
func timeByName() string {
	list := make([]string, len(units))
	for i, u := range units {
		list[i] = "`" + u.suffix + "`"
	}
	return "a google.protobuf.Timestamp, an int32, which counts seconds, or an integer whose name has the ending of a unit: " + strings.Join(list, ", ")
}

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
	return b.asReported(from, forced, "")
}

// asReported is asEvent for what an rpc takes whose name has a verb that is only
// stated of events. Then less of the message has to say that it is one.
func (b *builder) asReported(from *protogen.Message, forced, verb string) *Event {
	if b.events == EventsOff || b.reading[from.Desc.FullName()] {
		return nil
	}
	message := b.message(from)
	b.reading[from.Desc.FullName()] = true // a message may hold itself
	defer delete(b.reading, from.Desc.FullName())
	said := b.stance(from.Desc, from.Comments, onMessage, "event", "plain")
	byComment := said == "event" || forced != "" || b.forced[from.Desc.FullName()]
	event := &Event{Message: message, Why: forced, At: b.at(from.Desc), Was: b.former(from), proto: from.Desc.ParentFile().Path(), desc: from.Desc}
	called := strings.HasSuffix(string(from.Desc.Name()), "Event")
	b.roles(event, from, byComment)
	switch kind := enumOfType(from); {
	case said == "plain":
		return nil
	case said == "event":
		event.Why = "its comment says so"
	case forced != "":
	case isCloudEvent(from.Desc):
		event.Why = "its full name says so"
	case called && event.Type != nil && (event.Source != nil || event.Subject != nil || event.Time != nil):
		event.Why = "its name says so, and it has a type and a source, a subject or a time"
	case called && verb != "" && (kind != nil || hasTimestamp(from)):
		event.Why = "its name says so, and so does " + verb + " in that of the rpc"
		if event.Type == nil && kind != nil && !byComment {
			event.Type = &Role{Field: event.Fields[kind.Index()], Why: "by name", fullName: kind.FullName()}
		}
	default:
		return nil
	}
	return event
}

// reportVerbs are the words in the name of an rpc that are only stated of events, and
// not of things that are kept and changed.
var reportVerbs = []string{"Ingest", "Append", "Report", "Send", "Collect", "Publish", "Write"}

// reportVerb returns the word in an rpc's name that is only stated of events, or "".
func reportVerb(name string) string {
	for _, verb := range reportVerbs {
		if at := strings.Index(name, verb); at >= 0 && !startsLower(name[at+len(verb):]) {
			return verb
		}
	}
	return ""
}

func startsLower(text string) bool { return text != "" && 'a' <= text[0] && text[0] <= 'z' }

// enumOfType returns the field of an enum that is called as a type of event is, or
// nil.
func enumOfType(from *protogen.Message) protoreflect.FieldDescriptor {
	for _, name := range typeNames {
		if fd := from.Desc.Fields().ByName(name); fd != nil && singular(fd) && fd.Kind() == protoreflect.EnumKind {
			return fd
		}
	}
	return nil
}

func hasTimestamp(from *protogen.Message) bool {
	return slices.ContainsFunc(from.Fields, func(field *protogen.Field) bool { return singular(field.Desc) && isTimestamp(field.Desc) })
}

// roleWords are the roles that a field can have, and the word that takes its role
// away.
var roleWords = []string{"id", "source", "type", "subject", "time", "data", "none"}

// marked is a field that is given a role by comment.
type marked struct {
	field *protogen.Field
	by    directive
}

// roles finds the fields that are attributes of the event: by comment, else by
// name. By comment says whether a comment makes the message an event.
func (b *builder) roles(event *Event, from *protogen.Message, byComment bool) {
	given := map[string][]marked{}        // by role
	taken := map[protoreflect.Name]bool{} // fields with a comment have the roles that it gives, and no other
	for _, field := range from.Fields {
		var said []string
		for _, by := range b.directives(field.Desc, field.Comments, onField) {
			role, _, _ := strings.Cut(by.text, "=")
			for _, other := range said {
				if before, _, _ := strings.Cut(other, "="); before == role || before == "none" || role == "none" {
					b.complaints.put(by.at, "the comments %s%s and %s%s on %s contradict each other", prefix, other, prefix, by.text, named(field.Desc))
				}
			}
			said = append(said, by.text)
			given[role] = append(given[role], marked{field, by})
			taken[field.Desc.Name()] = true
		}
	}
	fill := func(role string, names []protoreflect.Name, byName, byComment func(protoreflect.FieldDescriptor) bool) *Role {
		for i, one := range given[role] {
			switch first := given[role][0]; {
			case first.field != one.field:
				b.complaints.put(one.by.at, "%s and %s are both marked as the event's %s: remove one of the comments",
					named(first.field.Desc), named(one.field.Desc), role)
			case i == 0 && (!singular(one.field.Desc) || !byComment(one.field.Desc)):
				b.complaints.put(one.by.at, "%s can't be the event's %s: %s", named(one.field.Desc), role, mustBe[role])
			}
		}
		if len(given[role]) > 0 {
			fd := given[role][0].field.Desc
			return &Role{Field: event.Fields[fd.Index()], Why: "by comment", fullName: fd.FullName()}
		}
		for _, name := range names {
			if fd := from.Desc.Fields().ByName(name); fd != nil && !taken[name] && singular(fd) && byName(fd) {
				return &Role{Field: event.Fields[fd.Index()], Why: "by name", fullName: fd.FullName()}
			}
		}
		return nil
	}
	ids := idNames
	if byComment || isCloudEvent(from.Desc) {
		ids = append(slices.Clone(idNames), "id") // of other messages it may be that of the thing that they are about
	}
	event.ID = fill("id", ids, isString, func(fd protoreflect.FieldDescriptor) bool { return isString(fd) || isInteger(fd) })
	event.Source = fill("source", sourceNames, isString, hasText)
	event.Type = fill("type", typeNames, isString, hasText)
	event.Subject = fill("subject", subjectNames, isString, hasText)
	event.Data = fill("data", dataNames, isData, isData)
	if role := fill("time", timeNames, isTime, func(fd protoreflect.FieldDescriptor) bool { return b.unit(from, fd) != "" || isTimestamp(fd) }); role != nil {
		event.Time = &Time{Role: *role, Unit: b.unit(from, from.Desc.Fields().ByName(protoreflect.Name(role.ProtoName)))}
	}
	if isCloudEvent(from.Desc) {
		b.attributes(event, from)
	}
	if byComment {
		b.inherit(event, from)
	}
}

// inherit gives an event the roles that none of its own fields fills and that those
// of an event have that it holds.
func (b *builder) inherit(event *Event, from *protogen.Message) {
	held := b.heldIn(from, "")
	if held.event == nil || held.holder.List {
		return
	}
	within := func(role *Role) *Role {
		if role == nil {
			return nil
		}
		inner := *role
		inner.through = "." + held.holder.Getter + "()" + role.through
		inner.path = held.holder.ProtoName + "." + role.Path()
		return &inner
	}
	event.ID = cmp.Or(event.ID, within(held.event.ID))
	event.Source = cmp.Or(event.Source, within(held.event.Source))
	event.Type = cmp.Or(event.Type, within(held.event.Type))
	event.Subject = cmp.Or(event.Subject, within(held.event.Subject))
	event.Data = cmp.Or(event.Data, within(held.event.Data))
	if event.Time == nil && held.event.Time != nil {
		event.Time = &Time{Role: *within(&held.event.Time.Role), Unit: held.event.Time.Unit}
	}
}

// isCloudEvent reports whether a message is a CloudEvent, as its specification
// declares it: its id, source and type are fields, and the rest is in a map.
func isCloudEvent(message protoreflect.MessageDescriptor) bool {
	if message.FullName() != "io.cloudevents.v1.CloudEvent" {
		return false
	}
	for _, name := range []protoreflect.Name{"id", "source", "type"} {
		if fd := message.Fields().ByName(name); fd == nil || !singular(fd) || !isString(fd) {
			return false
		}
	}
	attributes := message.Fields().ByName("attributes")
	if attributes == nil || !attributes.IsMap() || attributes.MapKey().Kind() != protoreflect.StringKind || attributes.MapValue().Message() == nil {
		return false
	}
	values := attributes.MapValue().Message().Fields()
	text, timestamp := values.ByName("ce_string"), values.ByName("ce_timestamp")
	return text != nil && singular(text) && isString(text) && timestamp != nil && singular(timestamp) && isTimestamp(timestamp)
}

// attributes fills the roles that a CloudEvent has in its map.
func (b *builder) attributes(event *Event, from *protogen.Message) {
	attributes := from.Fields[from.Desc.Fields().ByName("attributes").Index()]
	value := b.message(attributes.Message.Fields[1].Message) // of the entry
	in := func(name, field string) *Role {
		i := slices.IndexFunc(value.Fields, func(one *Field) bool { return one.ProtoName == field })
		return &Role{
			Field:    value.Fields[i],
			Why:      "by the name of the message",
			path:     fmt.Sprintf("attributes[%q].%s", name, field),
			through:  fmt.Sprintf(".%s()[%q]", event.Fields[attributes.Desc.Index()].Getter, name),
			fullName: protoreflect.FullName(value.FullName + "." + field),
		}
	}
	event.Subject = cmp.Or(event.Subject, in("subject", "ce_string"))
	if event.Time == nil {
		event.Time = &Time{Role: *in("time", "ce_timestamp")}
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
	if isInteger(fd) {
		said := b.directives(fd, from.Fields[fd.Index()].Comments, onField)
		for _, u := range units {
			if slices.ContainsFunc(said, func(one directive) bool { return one.text == u.value || one.text == "recorded_"+u.value }) {
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

// found is an event in a message: the message itself, or what one of its fields
// holds.
type found struct {
	event  *Event
	from   *protogen.Message // that the event is
	holder *Field            // nil for the message itself
	beside []string          // the other fields of a message that holds it
}

// reportedIn finds the event in what an rpc takes, with the verb in its name.
func (b *builder) reportedIn(from *protogen.Message, verb string) found {
	if event := b.asReported(from, "", verb); event != nil {
		return found{event: event, from: from}
	}
	return b.heldIn(from, verb)
}

// heldIn finds the only field of a message that holds an event, or many.
func (b *builder) heldIn(from *protogen.Message, verb string) (held found) {
	for _, field := range from.Fields {
		if field.Desc.Message() == nil || field.Desc.IsMap() || field.Desc.ContainingOneof() != nil && !field.Desc.ContainingOneof().IsSynthetic() {
			continue
		}
		if !b.mayBeEvent(field.Message) {
			continue
		}
		event := b.asReported(field.Message, "", verb)
		switch {
		case event == nil:
		case held.event != nil:
			return found{} // either could be it
		default:
			held = b.in(from, field, event)
		}
	}
	return held
}

// mayBeEvent reports whether a message has the name of an event, or a comment that
// makes it one.
func (b *builder) mayBeEvent(message *protogen.Message) bool {
	return strings.HasSuffix(string(message.Desc.Name()), "Event") || b.forced[message.Desc.FullName()] ||
		b.stance(message.Desc, message.Comments, onMessage, "event", "plain") == "event"
}

// in returns the event that a field of a message holds.
func (b *builder) in(from *protogen.Message, field *protogen.Field, event *Event) found {
	held := found{event: event, from: field.Message, holder: b.message(from).Fields[field.Desc.Index()]}
	for _, other := range from.Fields {
		if other != field {
			held.beside = append(held.beside, string(other.Desc.Name()))
		}
	}
	return held
}

// classify sets of which kind an RPC is, and why.
func (b *builder) classify(method *Method, from *protogen.Method) {
	said := b.stance(from.Desc, from.Comments, onMethod, "event", "plain", "tail")
	client, server := from.Desc.IsStreamingClient(), from.Desc.IsStreamingServer()
	method.Kind = plainKind(client, server)
	method.Why = "nothing says that it takes events"
	switch {
	case b.events == EventsOff:
		method.Why = "events=off"
	case said == "plain":
		method.Why = "its comment says so"
	case said == "tail":
		b.tail(method, from)
	default:
		b.intake(method, from, said)
	}
}

// takes finds the event that an RPC takes, by what is stated about it: "event", with
// the name of the field that holds it or without, or "". By name a request that
// holds an event is not taken if more than the event would be lost; the result has
// the event then, and the fields beside it.
func (b *builder) takes(from *protogen.Method, said string) found {
	why := "the comment of " + string(from.Desc.Name()) + " says so"
	word, name, _ := strings.Cut(said, "=")
	switch {
	case name != "":
		field := fieldOf(from.Input, name)
		if field == nil || field.Message == nil || field.Desc.IsMap() {
			b.complaints.put(b.placeOfComment(from, said), "the comment %s%s of %s: %s has no field %s that is a message or a list of messages",
				prefix, said, named(from.Desc), named(from.Input.Desc), name)
			return found{}
		}
		if event := b.asEvent(field.Message, why); event != nil {
			return b.in(from.Input, field, event)
		}
		b.contradicts(from, field.Message)
	case word == "event":
		if in := b.reportedIn(from.Input, reportVerb(string(from.Desc.Name()))); in.event != nil && len(in.beside) == 0 {
			return in
		}
		if event := b.asEvent(from.Input, why); event != nil {
			return found{event: event, from: from.Input}
		}
		b.contradicts(from, from.Input)
	default:
		return b.reportedIn(from.Input, reportVerb(string(from.Desc.Name())))
	}
	return found{}
}

// contradicts complains that an RPC is marked as taking a message that is marked as plain.
func (b *builder) contradicts(from *protogen.Method, message *protogen.Message) {
	b.complaints.add(from.Desc, "the comment of %s says that it takes events, and that of %s that it is not one: remove one of them",
		named(from.Desc), named(message.Desc))
}

// placeOfComment returns the place of what is written about an RPC.
func (b *builder) placeOfComment(from *protogen.Method, text string) Complaint {
	for _, one := range b.directives(from.Desc, from.Comments, onMethod) {
		if one.text == text {
			return one.at
		}
	}
	return placeOf(from.Desc)
}

func fieldOf(message *protogen.Message, name string) *protogen.Field {
	if fd := message.Desc.Fields().ByName(protoreflect.Name(name)); fd != nil {
		return message.Fields[fd.Index()]
	}
	return nil
}

// spread marks the fields of events, and the events, about which the comment of an
// RPC says something.
func (b *builder) spread(from *protogen.Method) {
	said := b.stance(from.Desc, from.Comments, onMethod, "event", "plain", "tail")
	roles := b.directives(from.Desc, from.Comments, onMethod)
	roles = slices.DeleteFunc(roles, func(one directive) bool {
		word, _, _ := strings.Cut(one.text, "=")
		return !slices.Contains(roleWords, word)
	})
	var in found
	if said != "plain" && said != "tail" && (len(roles) > 0 || said != "") {
		b.quietly(func() { in = b.takes(from, said) })
	}
	taken := in.event != nil && (said != "" || len(in.beside) == 0)
	if taken && said != "" && (in.holder == nil || said != "event") {
		b.forced[in.from.Desc.FullName()] = true
	}
	for _, one := range roles {
		word, name, _ := strings.Cut(one.text, "=")
		if !taken {
			do := "also write // " + prefix + "event above it"
			if said != "" {
				do = "remove one of its comments"
			}
			b.complaints.put(one.at, "the comment %s%s names a field of an event, but %s takes none: %s", prefix, one.text, named(from.Desc), do)
			continue
		}
		name, unit, timed := strings.Cut(name, ":")
		field := fieldOf(in.from, name)
		if field == nil && in.holder == nil {
			if held := b.heldIn(in.from, ""); held.event != nil && !held.holder.List {
				field = fieldOf(held.from, name)
			}
		}
		text := word
		if timed {
			text += "=" + unit
		}
		switch {
		case field == nil:
			b.complaints.put(one.at, "the comment %s%s of %s: %s has no field %s", prefix, one.text, named(from.Desc), named(in.from.Desc), name)
		case !onField.allow(text):
			b.complaints.put(one.at, "the comment %s%s of %s: want %s, or to give the unit of a time %stime=FIELD:s, ms, us or ns", prefix, one.text, named(from.Desc), prefix+word+"=FIELD", prefix)
		case !slices.ContainsFunc(b.outside[field.Desc.FullName()], func(other directive) bool { return other.text == text }):
			b.outside[field.Desc.FullName()] = append(b.outside[field.Desc.FullName()], directive{text, one.at})
		}
	}
}

// intake makes an RPC one that takes events, if it is one.
func (b *builder) intake(method *Method, from *protogen.Method, said string) {
	client, server := from.Desc.IsStreamingClient(), from.Desc.IsStreamingServer()
	if server && !client {
		if said != "" {
			b.complaints.put(b.placeOfComment(from, said), "%s can't take events: it takes one request and returns a stream; "+
				"to replay and follow the log, write // receiver:tail", named(from.Desc))
		}
		return
	}
	in := b.takes(from, said)
	if in.event == nil || said == "" && len(in.beside) > 0 {
		b.nearly(method, from, in)
		return
	}
	plain := *method
	method.Event, method.Holder, method.Retry, method.dropped = in.event, in.holder, true, in.beside
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
	if len(in.beside) > 0 {
		method.Why += ", and its comment says that " + list(in.beside) + " " + isOrAre(in.beside) + " not stored"
	}
	method.Reply = b.reply(method, from.Output)
	b.checkRequired(method, from, plain)
}

// checkRequired makes an RPC as it was before, for its owner to write, if its reply
// has a required field that the skeleton can't fill in.
func (b *builder) checkRequired(method *Method, from *protogen.Method, plain Method) {
	if field := method.unfilled(from.Output.Desc); field != nil {
		*method = plain
		method.Why = fmt.Sprintf("its reply has the required field %s, which only you can fill", field.Name())
	}
}

// tail makes an RPC one that replays and follows the log.
func (b *builder) tail(method *Method, from *protogen.Method) {
	if from.Desc.IsStreamingClient() || !from.Desc.IsStreamingServer() {
		b.complaints.add(from.Desc, "%s can't be a tail: a tail takes one request and returns a stream", named(from.Desc))
		return
	}
	out := found{event: b.asEvent(from.Output, "")}
	if out.event == nil {
		out = b.wrappedEvent(from.Output)
	}
	if out.event == nil {
		b.complaints.add(from.Desc, "%s: a tail must return a stream of events, and %s is not an event and does not wrap one, which would be its only field of a message type: add // receiver:event above it (%s), or above the message that it holds",
			named(from.Desc), named(from.Output.Desc), b.at(from.Output.Desc))
		return
	}
	plain := *method
	method.Kind, method.Event, method.Holder, method.Why = Tail, out.event, out.holder, "its comment says so"
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
	if method.Holder != nil {
		method.Reply = b.reply(method, from.Output)
		b.checkRequired(method, from, plain)
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

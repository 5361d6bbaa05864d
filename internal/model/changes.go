package model

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Change is a difference in meaning between protos as they were and as they are.
type Change struct {
	File         string
	Line, Column int // of the element now, from 1; 0 if it is gone with all that it was in
	Text         string
}

// String returns the change as file:line:column: text.
func (c Change) String() string {
	return Complaint{File: c.File, Line: c.Line, Column: c.Column, Text: c.Text}.Error()
}

// Changes returns what differs in meaning between two models of the same module: their
// services, RPCs, events and roles, and the fields of the messages that RPCs use. A model
// that is nil has none of these. The changes are in the order of their places.
func Changes(before, after *Module) []Change {
	c := changes{}
	old, now := servicesOf(before), servicesOf(after)
	for name, service := range now {
		if former := old[name]; former == nil {
			c.add(service.desc, "service %s added%s", name, withMethods(service))
		} else {
			c.service(former, service)
		}
	}
	for name, former := range old {
		if now[name] == nil {
			c.all = append(c.all, Change{File: former.proto, Text: fmt.Sprintf("service %s removed", name)})
		}
	}
	c.events(eventsOf(before), eventsOf(after), after)
	c.reach(reachOf(before), reachOf(after))
	slices.SortFunc(c.all, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Text, b.Text))
	})
	return c.all
}

// changes are those found so far.
type changes struct{ all []Change }

// add adds a change, which is to be seen at a descriptor.
func (c *changes) add(at protoreflect.Descriptor, format string, args ...any) {
	place := placeOf(at)
	c.all = append(c.all, Change{place.File, place.Line, place.Column, fmt.Sprintf(format, args...)})
}

func servicesOf(m *Module) map[string]*Service {
	services := map[string]*Service{}
	if m != nil {
		for _, service := range m.Services() {
			services[service.FullName] = service
		}
	}
	return services
}

func withMethods(service *Service) string {
	var names []string
	for _, method := range service.Methods {
		names = append(names, method.ProtoName+" "+Does(method.Kind))
	}
	if len(names) == 0 {
		return ""
	}
	return ": " + strings.Join(names, "; ")
}

// does has words for what becomes of an RPC.
var does = map[Kind]string{
	UnaryEvent:        "takes an event",
	UnaryBatch:        "takes events, many at once",
	ClientStreamEvent: "takes a stream of events",
	BidiEvent:         "takes a stream of events and answers each",
	Tail:              "replays events and follows the log",
	Unary:             "is for you to write",
	ClientStream:      "is for you to write: a client stream",
	ServerStream:      "is for you to write: a server stream",
	Bidi:              "is for you to write: streams both ways",
}

// Does returns what becomes of an RPC of a kind, as the end of a sentence about it.
func Does(kind Kind) string { return does[kind] }

// service adds what has changed of a service.
func (c *changes) service(before, after *Service) {
	if was, is := before.Package.Messages.Path, after.Package.Messages.Path; was != is {
		c.add(after.desc, "service %s: its messages are in the Go package %s (before: %s)", after.FullName, is, was)
	}
	if was, is := before.Package.Program.Name, after.Package.Program.Name; was != is {
		c.add(after.desc, "service %s is served by the program %s-server (before: %s-server)", after.FullName, is, was)
	}
	old := map[string]*Method{}
	for _, method := range before.Methods {
		old[method.ProtoName] = method
	}
	for _, method := range after.Methods {
		if former := old[method.ProtoName]; former == nil {
			c.add(method.desc, "rpc %s added: %s (%s)", method.ProtoName, Does(method.Kind), method.Why)
		} else {
			c.method(former, method)
		}
		delete(old, method.ProtoName)
	}
	for _, gone := range old {
		c.add(after.desc, "rpc %s of %s removed", gone.ProtoName, after.FullName)
	}
}

// method adds what has changed of an RPC.
func (c *changes) method(before, after *Method) {
	add := func(format string, args ...any) {
		c.add(after.desc, "rpc "+after.ProtoName+format, args...)
	}
	if before.Input.FullName != after.Input.FullName {
		add(": its request is %s (before: %s)", after.Input, before.Input)
	}
	if before.Output.FullName != after.Output.FullName {
		add(": its reply is %s (before: %s)", after.Output, before.Output)
	}
	switch {
	case before.Kind != after.Kind && before.TakesEvents() && after.Event == nil:
		add(" no longer takes events: %s", after.Why)
	case before.Kind != after.Kind:
		add(" %s (before: %s): %s", Does(after.Kind), Does(before.Kind), after.Why)
	case after.Event != nil && before.Event.FullName != after.Event.FullName:
		add(": its event is %s (before: %s)", after.Event, before.Event)
	}
	if fields := without(namesOf(after.Filled()), namesOf(before.Filled())); len(fields) > 0 {
		add(" fills in %s of the reply", list(fields))
	}
	if fields := without(namesOf(before.Filled()), namesOf(after.Filled())); len(fields) > 0 {
		add(" no longer fills in %s of the reply", list(fields))
	}
	if fields := without(after.dropped, before.dropped); len(fields) > 0 {
		add(": %s beside the event %s not stored", list(fields), isOrAre(fields))
	}
	if fields := without(namesOf(after.Ignored()), slices.Concat(namesOf(before.Ignored()), after.dropped)); len(fields) > 0 {
		add(" ignores %s of the request", list(fields))
	}
	if was, is := before.From.Words(), after.From.Words(); was != is && before.Kind == after.Kind {
		add(" replays events%s (before:%s)", cmp.Or(is, " from the first"), cmp.Or(was, " from the first"))
	}
	if before.Retry != after.Retry && before.Kind == after.Kind {
		add(": %s", map[bool]string{true: "clients retry it, because the proto says that this does no harm", false: "clients no longer retry it"}[after.Retry])
	}
}

func namesOf(fields []*Field) (names []string) {
	for _, field := range fields {
		names = append(names, field.ProtoName)
	}
	return names
}

// without returns the names that are not among others.
func without(names, others []string) (rest []string) {
	for _, name := range names {
		if !slices.Contains(others, name) {
			rest = append(rest, name)
		}
	}
	return rest
}

func eventsOf(m *Module) map[string]*Event {
	events := map[string]*Event{}
	if m != nil {
		for _, event := range m.EventTypes() {
			events[event.FullName] = event
		}
	}
	return events
}

// events adds which messages are events, or no longer, and what has changed of their roles.
func (c *changes) events(before, after map[string]*Event, now *Module) {
	for name, event := range after {
		former := before[name]
		if former == nil {
			c.add(event.desc, "message %s is an event now: %s%s", name, event.Why, event.withRoles())
			continue
		}
		for _, word := range roleWords {
			c.role(word, former.role(word), event.role(word), event)
		}
		if former.Time != nil && event.Time != nil && former.Time.Unit != event.Time.Unit {
			c.add(event.place(event.role("time")), "field %s of %s: its time is in %s (before: in %s)",
				event.Time.Path(), name, unitWords(event.Time.Unit), unitWords(former.Time.Unit))
		}
		if names := without(event.Was, former.Was); len(names) > 0 {
			c.add(event.desc, "message %s: what is stored as %s is read, too", name, list(names))
		}
		if names := without(former.Was, event.Was); len(names) > 0 {
			c.add(event.desc, "message %s: what is stored as %s is no longer read", name, list(names))
		}
	}
	for name, former := range before {
		if after[name] != nil {
			continue
		}
		if message := declared(now, protoreflect.FullName(name)); message != nil {
			c.add(message, "message %s is no longer an event of any rpc", name)
		} else {
			c.all = append(c.all, Change{File: former.proto, Text: fmt.Sprintf("message %s removed, which was an event", name)})
		}
	}
}

// role returns the field of an event that has a role, or nil.
func (e *Event) role(word string) *Role {
	switch word {
	case "id":
		return e.ID
	case "source":
		return e.Source
	case "type":
		return e.Type
	case "subject":
		return e.Subject
	case "data":
		return e.Data
	case "time":
		if e.Time != nil {
			return &e.Time.Role
		}
	}
	return nil
}

// withRoles returns which fields have which roles, in parentheses.
func (e *Event) withRoles() string {
	var roles []string
	for _, word := range roleWords {
		if role := e.role(word); role != nil {
			roles = append(roles, word+" "+role.Path())
		}
	}
	if len(roles) == 0 {
		return ""
	}
	return " (" + strings.Join(roles, ", ") + ")"
}

// place returns where a role is to be seen: at its field, or at the event if the field
// is one of a message in it, or is gone.
func (e *Event) place(role *Role) protoreflect.Descriptor {
	if role.path == "" {
		if fd := e.desc.Fields().ByName(protoreflect.Name(role.ProtoName)); fd != nil {
			return fd
		}
	}
	return e.desc
}

// role adds what has changed of a role of an event.
func (c *changes) role(word string, before, after *Role, event *Event) {
	switch {
	case before == nil && after == nil:
	case after == nil:
		c.add(event.place(before), "field %s of %s is no longer its %s, and no other is", before.Path(), event.FullName, word)
	case before == nil:
		c.add(event.place(after), "field %s of %s is its %s now (%s)", after.Path(), event.FullName, word, after.Why)
	case before.Path() != after.Path():
		c.add(event.place(after), "field %s of %s is its %s now (%s), and %s no longer is", after.Path(), event.FullName, word, after.Why, before.Path())
	}
}

func unitWords(unit string) string {
	switch unit {
	case "":
		return "a Timestamp"
	case "time.Second":
		return "seconds"
	}
	return strings.ToLower(strings.TrimPrefix(unit, "time.")) + "s"
}

// declared returns a message that is declared in a file with services of the model, or is
// used by their RPCs; nil if there is none of that name.
func declared(m *Module, name protoreflect.FullName) protoreflect.Descriptor {
	if m == nil {
		return nil
	}
	if used := reachOf(m).messages[name]; used != nil {
		return used
	}
	var found protoreflect.Descriptor
	var look func(messages protoreflect.MessageDescriptors)
	look = func(messages protoreflect.MessageDescriptors) {
		for i := range messages.Len() {
			if messages.Get(i).FullName() == name {
				found = messages.Get(i)
			}
			look(messages.Get(i).Messages())
		}
	}
	for _, service := range m.Services() {
		look(service.desc.ParentFile().Messages())
	}
	return found
}

// reach is what RPCs use, besides the well-known types.
type reach struct {
	messages map[protoreflect.FullName]protoreflect.MessageDescriptor
	enums    map[protoreflect.FullName]protoreflect.EnumDescriptor
}

func reachOf(m *Module) reach {
	r := reach{map[protoreflect.FullName]protoreflect.MessageDescriptor{}, map[protoreflect.FullName]protoreflect.EnumDescriptor{}}
	if m != nil {
		for _, service := range m.Services() {
			for i := range service.desc.Methods().Len() {
				r.add(service.desc.Methods().Get(i).Input())
				r.add(service.desc.Methods().Get(i).Output())
			}
		}
	}
	return r
}

// add adds a message and what its fields use.
func (r reach) add(message protoreflect.MessageDescriptor) {
	if r.messages[message.FullName()] != nil || isWellKnown(message) {
		return
	}
	if !message.IsMapEntry() {
		r.messages[message.FullName()] = message
	}
	for i := range message.Fields().Len() {
		fd := message.Fields().Get(i)
		if fd.Message() != nil {
			r.add(fd.Message())
		} else if fd.Enum() != nil {
			r.enums[fd.Enum().FullName()] = fd.Enum()
		}
	}
}

// reach adds what has changed of messages and enums that RPCs used before and still use.
func (c *changes) reach(before, after reach) {
	for name, message := range after.messages {
		if former := before.messages[name]; former != nil {
			c.fields(former, message)
		}
	}
	for name, enum := range after.enums {
		if former := before.enums[name]; former != nil {
			c.values(former, enum)
		}
	}
}

// fields adds what has changed of the fields of a message.
func (c *changes) fields(before, after protoreflect.MessageDescriptor) {
	old := map[protoreflect.Name]protoreflect.FieldDescriptor{}
	for i := range before.Fields().Len() {
		old[before.Fields().Get(i).Name()] = before.Fields().Get(i)
	}
	var added []protoreflect.FieldDescriptor
	for i := range after.Fields().Len() {
		fd := after.Fields().Get(i)
		former := old[fd.Name()]
		delete(old, fd.Name())
		if former == nil {
			added = append(added, fd)
			continue
		}
		if was, is := wholeType(former), wholeType(fd); was != is {
			c.add(fd, "field %s of %s is %s (before: %s)", fd.Name(), after.FullName(), is, was)
		}
		if former.Number() != fd.Number() {
			c.add(fd, "field %s of %s has the number %d (before: %d): what was sent or stored with that is not read as this field",
				fd.Name(), after.FullName(), fd.Number(), former.Number())
		}
	}
	for _, fd := range added {
		if former := before.Fields().ByNumber(fd.Number()); former != nil && old[former.Name()] != nil && wholeType(former) == wholeType(fd) {
			c.add(fd, "field %s of %s was called %s before", fd.Name(), after.FullName(), former.Name())
			delete(old, former.Name())
			continue
		}
		c.add(fd, "field %s added to %s: %s", fd.Name(), after.FullName(), wholeType(fd))
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		c.add(after, "field %s removed from %s", name, after.FullName())
	}
}

// wholeType returns all that decides how a field can be set: "repeated string".
func wholeType(fd protoreflect.FieldDescriptor) string {
	text := protoType(fd)
	switch {
	case fd.IsList():
		text = "repeated " + text
	case fd.Cardinality() == protoreflect.Required:
		text = "required " + text
	case fd.HasOptionalKeyword():
		text = "optional " + text
	}
	if !outsideOneof(fd) {
		text += " in oneof " + string(fd.ContainingOneof().Name())
	}
	return text
}

// values adds what has changed of the values of an enum.
func (c *changes) values(before, after protoreflect.EnumDescriptor) {
	for i := range after.Values().Len() {
		value := after.Values().Get(i)
		switch former := before.Values().ByName(value.Name()); {
		case former == nil:
			c.add(value, "value %s added to enum %s", value.Name(), after.FullName())
		case former.Number() != value.Number():
			c.add(value, "value %s of enum %s is %d (before: %d)", value.Name(), after.FullName(), value.Number(), former.Number())
		}
	}
	for i := range before.Values().Len() {
		if value := before.Values().Get(i); after.Values().ByName(value.Name()) == nil {
			c.add(after, "value %s removed from enum %s", value.Name(), after.FullName())
		}
	}
}

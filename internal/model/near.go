package model

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// near says why an RPC does not take events, though something says that it does, and
// what to write if it should.
type near struct {
	nearness nearness
	always   bool // to be reported in each run, because it can't be meant
	text     string
}

// nearness says how much speaks for it.
type nearness int

const (
	maybe  nearness = iota + 1 // nothing speaks against it
	likely                     // a name says that it is about something that happened
	held                       // its request holds an event, with fields beside it
)

// NotRecognised returns lines about RPCs that take no events, or not all of what is
// sent, where their author may expect it:
//
//   - one for each new service that takes none though something says so, or else one
//     for all of them,
//   - one for each RPC whose request holds an event beside other fields, if the RPC is
//     new or its name says that it takes what happened,
//   - one for each RPC that comments prepare for events,
//   - one for each new RPC whose comment says that other fields are not stored.
//
// written reports whether a file is written in this run.
func NotRecognised(m *Module, written func(path string) bool) (lines []string) {
	var first *Method // that may take events, as far as anybody can see
	for _, service := range m.Services() {
		var nearest *Method
		for _, method := range service.Methods {
			isNew := written(path.Join(service.Impl().Dir, method.File+".go"))
			switch near := method.near; {
			case len(method.dropped) > 0 && isNew:
				lines = append(lines, fmt.Sprintf("%s: rpc %s stores %s alone, as its comment says: %s beside it %s acknowledged, but not stored",
					method.At, method.ProtoName, method.Holder.ProtoName, list(method.dropped), isOrAre(method.dropped)))
			case near == nil:
			case near.always || near.nearness == held && isNew:
				lines = append(lines, fmt.Sprintf("%s: rpc %s takes no events: %s", method.At, method.ProtoName, near.text))
			case near.nearness != held && isNew && (nearest == nil || near.nearness > nearest.near.nearness):
				nearest = method
			}
		}
		switch {
		case nearest == nil || service.TakesEvents():
		case nearest.near.nearness == maybe:
			first = cmp.Or(first, nearest)
		default:
			lines = append(lines, fmt.Sprintf("%s: no rpc of service %s takes events. The nearest is rpc %s: %s", nearest.At, service.FullName, nearest.ProtoName, nearest.near.text))
		}
	}
	if first != nil && len(lines) == 0 && !m.UsesEvents() {
		lines = append(lines, fmt.Sprintf("%s: no rpc takes events. The nearest is rpc %s: %s", first.At, first.ProtoName, first.near.text))
	}
	return lines
}

// nearly notes why an RPC takes no events, if something says that it does.
func (b *builder) nearly(method *Method, from *protogen.Method, in found) {
	if in.event != nil {
		method.near = &near{held, isTaking(from), fmt.Sprintf("its request holds an event, in %s, but %s beside it would not be stored. To store the whole request, write %s; to store %s alone, // %sevent=%s; or else // %splain",
			in.holder.ProtoName, list(in.beside), b.toWrite("event", from.Desc), in.holder.ProtoName, prefix, in.holder.ProtoName, prefix)}
		method.Why = method.near.text
		return
	}
	message, beside := subjectOf(from.Input)
	if b.quietStance(message) == "plain" {
		method.Why = fmt.Sprintf("the comment of %s says so", named(message.Desc))
		return
	}
	event := &Event{Message: b.message(message)}
	b.quietly(func() { b.roles(event, message, false) })
	when, commented := momentIn(message), hasComment(event) && !b.forced[message.Desc.FullName()]
	nearness := nearnessOf(from, message, event, when != nil, message != from.Input && !beside)
	switch {
	case commented:
		nearness = likely
	case nearness == 0:
		return
	}
	var why []string
	if !strings.HasSuffix(string(message.Desc.Name()), "Event") {
		why = append(why, "its name does not end in Event")
	}
	if event.Type == nil {
		why = append(why, "no string is called event_type, type or the like")
	}
	if event.Source == nil && event.Subject == nil && event.Time == nil {
		why = append(why, "no field has the name of a source, a subject or a time")
	}
	text := fmt.Sprintf("%s is not taken for an event, because %s. If it is one, write ", named(message.Desc), list(why))
	switch {
	case commented:
		text = fmt.Sprintf("comments give fields of %s roles of an event, but nothing says that it is one. If it is, write ", named(message.Desc))
	case nearness == maybe:
		text = fmt.Sprintf("nothing says that it takes events. If %s is one, write ", named(message.Desc))
	}
	if beside {
		text += b.toWrite("event", from.Desc)
	} else {
		text += b.toWrite("event", message.Desc)
		if when != nil && event.Time == nil {
			unit := ""
			if !isTimestamp(when) && unitByName(when) == "" {
				unit = "=s (or ms, us, ns)"
			}
			text += ", and " + b.toWrite("time"+unit, when)
		}
	}
	method.near = &near{nearness, commented, text}
	method.Why = text
}

// hasComment reports whether a comment gives a field of an event its role.
func hasComment(event *Event) bool {
	roles := []*Role{event.ID, event.Source, event.Type, event.Subject, event.Data}
	if event.Time != nil {
		roles = append(roles, &event.Time.Role)
	}
	return slices.ContainsFunc(roles, func(role *Role) bool { return role != nil && role.Why == "by comment" })
}

// quietStance returns what is stated about a message, without complaining.
func (b *builder) quietStance(message *protogen.Message) (said string) {
	b.quietly(func() { said = b.stance(message.Desc, message.Comments, onMessage, "event", "plain") })
	return said
}

// subjectOf returns the message that a request is about: itself, or what it holds, if
// that is all that it is for. beside reports whether there are other fields then.
func subjectOf(request *protogen.Message) (message *protogen.Message, beside bool) {
	var only *protogen.Field
	for _, field := range request.Fields {
		switch {
		case field.Message == nil || field.Desc.IsMap() || isWellKnown(field.Message.Desc):
		case only != nil:
			return request, false
		default:
			only = field
		}
	}
	if only == nil || !isRequest(request) && len(request.Fields) > 1 {
		return request, false
	}
	return only.Message, len(request.Fields) > 1
}

func isWellKnown(message protoreflect.MessageDescriptor) bool {
	return message.ParentFile().Package() == "google.protobuf"
}

// isRequest reports whether a message is called a request.
func isRequest(message *protogen.Message) bool {
	name := string(message.Desc.Name())
	return slices.ContainsFunc([]string{"Request", "Req", "Input", "Query", "Params"}, func(end string) bool { return strings.HasSuffix(name, end) })
}

// Words with which the name of an RPC begins that takes what happened, and of one
// that reads, or keeps something to change it later.
var (
	takingWords = append([]string{"Record", "Submit", "Track", "Log", "Push", "Emit", "Observe", "Capture", "Notify", "Receive"}, reportVerbs...)
	otherWords  = []string{"Get", "List", "Search", "Query", "Find", "Fetch", "Lookup", "Read", "Watch", "Subscribe", "Follow", "Tail", "Stream", "Describe", "Count", "Check",
		"Create", "Add", "Set", "Put", "Update", "Patch", "Delete", "Remove", "Cancel", "Validate", "Login", "Ping", "Say", "Start", "Stop", "Run"}
)

// happened matches the name of a message that says what happened, such as OrderPlaced.
var happened = regexp.MustCompile(`[a-z0-9]([A-Z][a-z]*[^e]ed|Made|Sent|Paid|Sold|Bought|Lost|Found|Won|Left|Taken|Given|Written|Begun|Built)$`)

// nearnessOf returns how much speaks for it that an RPC takes a message as an event, 0
// for nothing. event is the message read as one. dated is true if a field of it may say
// when something happened, and alone if the request holds nothing else.
func nearnessOf(from *protogen.Method, message *protogen.Message, event *Event, dated, alone bool) nearness {
	hasRole := event.Type != nil || event.Source != nil || event.Subject != nil || event.Time != nil
	switch {
	case isWellKnown(message.Desc) || len(message.Fields) == 0:
		return 0
	case strings.HasSuffix(string(message.Desc.Name()), "Event"):
		return likely
	case isTaking(from) && (dated || hasRole || message == from.Input && !isRequest(message) || alone):
		return likely
	case isRequest(message) || begins(from, otherWords):
		return 0
	case happened.MatchString(string(message.Desc.Name())):
		return likely
	case dated && message == from.Input:
		return likely
	case message == from.Input:
		return maybe
	}
	return 0
}

// isTaking reports whether the name of an RPC says that it takes what happened.
func isTaking(from *protogen.Method) bool {
	return from.GoName == "Export" || // of telemetry; with more in the name, it exports things
		begins(from, takingWords)
}

func begins(from *protogen.Method, words []string) bool {
	return slices.ContainsFunc(words, func(word string) bool {
		rest, found := strings.CutPrefix(from.GoName, word)
		return found && !startsLower(rest)
	})
}

// momentIn returns the first field of a message that may say when something happened,
// whatever it is called, or nil.
func momentIn(message *protogen.Message) protoreflect.FieldDescriptor {
	for _, field := range message.Fields {
		name := string(field.Desc.Name())
		later := slices.ContainsFunc([]string{"expir", "until", "deadline", "due", "end"}, func(part string) bool { return strings.HasPrefix(name, part) })
		if !later && singular(field.Desc) && (isTimestamp(field.Desc) ||
			isInteger(field.Desc) && (strings.HasSuffix(name, "_at") || strings.HasSuffix(name, "_time") || strings.HasSuffix(name, "timestamp"))) {
			return field.Desc
		}
	}
	return nil
}

// list returns names as a sentence lists them: "a, b and c".
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

func isOrAre(names []string) string {
	if len(names) == 1 {
		return "is"
	}
	return "are"
}

package model

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// The names by which a field of a reply says something of the events that it
// answers, the first that has the right type. The others are words of comments, too.
var (
	countNames         = []protoreflect.Name{"count", "received", "accepted", "stored"}
	replyPositionNames = []protoreflect.Name{"position", "positions"}
	eventIDNames       = []protoreflect.Name{"event_id", "event_ids"}
	duplicateNames     = []protoreflect.Name{"duplicate", "duplicates"}
	recordedNames      = withUnits("recorded_time")
)

// Reply is what a skeleton can fill in of the answer to events, or of what a tail
// wraps an event in. A field that the message does not have is nil.
type Reply struct {
	Message  *Field // text for a person: string message
	Count    *Field // how many events were stored: an integer called count, received, accepted or stored
	Position *Field // position of the event in the log, of the last of several; repeated: of each
	EventID  *Field // id of the event, of the last of several; repeated: of each
	// Duplicate says whether the event was stored before: a bool, true for several
	// events if all were; or an integer, how many were; or a repeated bool, for each.
	Duplicate *Field
	Recorded  *Time // when the event was recorded, the last of several
}

// ReplyRoles returns what fields of a reply say of the events that it answers. The
// reference is generated from it.
func ReplyRoles() []Naming {
	types := func(role string) string { return strings.TrimPrefix(replyRoles[role], "it must be ") }
	return []Naming{
		{"message", []string{"message"}, "one string", ""},
		{"count", names(countNames), "one integer", ""},
		{"position", names(replyPositionNames), types("position"), types("position")},
		{"event_id", names(eventIDNames), types("event_id"), types("event_id")},
		{"duplicate", names(duplicateNames), types("duplicate"), types("duplicate")},
		{"recorded_time", names(recordedNames), timeByName(), types("recorded_time")},
	}
}

// Receipts reports whether the reply has something of the receipts of the events.
func (r Reply) Receipts() bool {
	return r.Position != nil || r.EventID != nil || r.Duplicate != nil || r.Recorded != nil
}

// Counts reports whether the reply says how many events were stored.
func (r Reply) Counts() bool { return r.Count != nil || r.Message != nil }

// Sums reports whether the reply says something of several receipts together.
func (r Reply) Sums() bool {
	of := func(f *Field) bool { return f != nil && !f.List }
	return of(r.Position) || of(r.EventID) || of(r.Duplicate) || r.Recorded != nil
}

// Answers returns what fields of the reply say of the events that it answers, as elements
// of a Go literal of the runtime's servertest.Answer: `Position: "position"`.
func (r Reply) Answers() (all []string) {
	for _, role := range []struct {
		name  string
		field *Field
	}{{"Count", r.Count}, {"Position", r.Position}, {"EventID", r.EventID}, {"Duplicate", r.Duplicate}} {
		if role.field != nil {
			all = append(all, fmt.Sprintf("%s: %q", role.name, role.field.ProtoName))
		}
	}
	return all
}

// Fill is a field of a reply, and the Go expression that a skeleton sets it to.
type Fill struct {
	Name  string // of the field, as Go spells it
	Value string // what it is set to, in Go
}

// fill returns the Go expression for a field that is set to a value.
func (f *Field) fill(value string) Fill {
	if f.Optional {
		goType := f.GoType
		if goType == "" {
			goType = f.Kind
		}
		value = "proto." + strings.ToUpper(goType[:1]) + goType[1:] + "(" + value + ")"
	}
	return Fill{f.Name, value}
}

// Fills returns what a skeleton sets in its reply, besides the event of a tail. There
// it has receipts, or for a stream that is answered in the end and for a batch their
// sum, stored; for a tail what was read, stored; and recorded, if the reply has when
// that was.
func (m *Method) Fills() (fills []Fill) {
	add := func(f *Field, value func() string) {
		if f != nil {
			fills = append(fills, f.fill(value()))
		}
	}
	r := m.Reply
	if m.Kind != Tail {
		add(r.Count, m.count)
		add(r.Message, m.message)
	}
	add(r.Position, m.position)
	add(r.EventID, m.eventID)
	if m.Kind != Tail {
		add(r.Duplicate, m.duplicate)
	}
	if r.Recorded != nil {
		add(r.Recorded.Field, m.recorded)
	}
	return fills
}

// answersSeveral reports whether a reply is about any number of events.
func (m *Method) answersSeveral() bool { return m.Many() || m.Kind == ClientStreamEvent }

// last returns the Go expression for the receipt of the last event, or for what a tail
// has read.
func (m *Method) last() string {
	switch {
	case m.Kind == Tail:
		return "stored"
	case m.answersSeveral():
		return "stored.Last"
	}
	return "receipts[0]"
}

// number returns the Go expression for the number of events.
func (m *Method) number() string {
	if m.Kind == ClientStreamEvent {
		return "stored.Events"
	}
	return "len(receipts)"
}

// count returns the Go expression for the field Count of the reply, and the following
// ones those for the other fields.
func (m *Method) count() string {
	if m.answersSeveral() {
		return fmt.Sprintf("%s(%s)", m.Reply.Count.GoType, m.number())
	}
	return "1"
}

func (m *Method) message() string {
	if m.answersSeveral() {
		return fmt.Sprintf(`fmt.Sprintf("%%d stored", %s)`, m.number())
	}
	return m.Greeting()
}

func (m *Method) position() string {
	switch field := m.Reply.Position; {
	case !field.List:
		return fmt.Sprintf("%s(%s.Position)", field.GoType, m.last())
	case m.Kind == Tail:
		return fmt.Sprintf("[]%s{%[1]s(stored.Position)}", field.GoType)
	default:
		return fmt.Sprintf("eventlog.Positions[%s](receipts)", field.GoType)
	}
}

func (m *Method) eventID() string {
	switch {
	case !m.Reply.EventID.List:
		return m.last() + ".ID"
	case m.Kind == Tail:
		return "[]string{stored.ID}"
	default:
		return "eventlog.IDs(receipts)"
	}
}

func (m *Method) duplicate() string {
	switch field := m.Reply.Duplicate; {
	case field.List:
		return "eventlog.Duplicates(receipts)"
	case field.GoType != "":
		return field.GoType + "(stored.Duplicates)"
	case m.answersSeveral():
		return "stored.Duplicate()"
	default:
		return "receipts[0].Duplicate"
	}
}

func (m *Method) recorded() string {
	field, recorded := m.Reply.Recorded, "recorded"
	if m.Kind == Tail {
		recorded = "stored.Recorded"
	}
	if field.Unit == "" {
		return fmt.Sprintf("eventlog.Timestamp(%s)", recorded)
	}
	number := fmt.Sprintf("eventlog.UnixNumber(%s, %s)", recorded, field.Unit)
	if field.GoType != "int64" {
		number = field.GoType + "(" + number + ")"
	}
	return number
}

// replyRoles are the roles of a reply's fields that a comment can give, and the types
// of field that can have them.
var replyRoles = map[string]string{
	"position":      "it must be one 64-bit integer, or repeated ones where the reply answers a bounded number of events",
	"event_id":      "it must be one string, or repeated ones where the reply answers a bounded number of events",
	"duplicate":     "it must be one bool, or where the reply answers several events an integer, which is how many were, or repeated bools if their number is bounded",
	"recorded_time": "it must be a google.protobuf.Timestamp, or an integer with its unit in the comment: receiver:recorded_time=s, ms, us or ns",
}

// reply finds what a skeleton can fill in of what an RPC sends: by comment, else by
// name.
func (b *builder) reply(method *Method, from *protogen.Message) (reply Reply) {
	marked := b.commented(from)
	several := method.Many() || method.Kind == ClientStreamEvent
	lists := method.Kind != ClientStreamEvent // whose reply would grow with the stream
	listOr := func(is func(protoreflect.FieldDescriptor) bool) func(protoreflect.FieldDescriptor) bool {
		return func(fd protoreflect.FieldDescriptor) bool {
			return is(fd) && (singular(fd) || fd.IsList() && lists)
		}
	}
	one := func(is func(protoreflect.FieldDescriptor) bool) func(protoreflect.FieldDescriptor) bool {
		return func(fd protoreflect.FieldDescriptor) bool { return singular(fd) && is(fd) }
	}
	find := func(role string, names []protoreflect.Name, byName, byComment func(protoreflect.FieldDescriptor) bool) *Field {
		for i, field := range marked[role] {
			switch {
			case i > 0:
				b.complaints.add(field.Desc, "%s and %s are both marked as the reply's %s: remove one of the comments",
					named(marked[role][0].Desc), named(field.Desc), role)
			case !outsideOneof(field.Desc):
				b.complaints.add(field.Desc, "%s can't be the reply's %s: it must not be in a oneof", named(field.Desc), role)
			case !byComment(field.Desc):
				b.complaints.add(field.Desc, "%s can't be the reply's %s: %s", named(field.Desc), role, replyRoles[role])
			}
		}
		if len(marked[role]) > 0 {
			return method.Output.Fields[marked[role][0].Desc.Index()]
		}
		for _, name := range names {
			if fd := from.Desc.Fields().ByName(name); fd != nil && !taken(marked, fd) && outsideOneof(fd) && byName(fd) {
				return method.Output.Fields[fd.Index()]
			}
		}
		return nil
	}
	isDuplicate := func(fd protoreflect.FieldDescriptor) bool {
		return listOr(isBool)(fd) || several && singular(fd) && isInteger(fd)
	}
	if method.Kind != Tail {
		reply.Message = find("message", []protoreflect.Name{"message"}, one(isString), one(isString))
		reply.Count = find("count", countNames, one(isInteger), one(isInteger))
	}
	reply.Position = find("position", replyPositionNames, listOr(isLong), listOr(isLong))
	reply.EventID = find("event_id", eventIDNames, listOr(isString), listOr(isString))
	reply.Duplicate = find("duplicate", duplicateNames, isDuplicate, isDuplicate)
	isMarkedTime := func(fd protoreflect.FieldDescriptor) bool { return isTimestamp(fd) || b.unit(from, fd) != "" }
	if field := find("recorded_time", recordedNames, one(isTime), one(isMarkedTime)); field != nil {
		reply.Recorded = &Time{Role: Role{Field: field}, Unit: b.unit(from, from.Desc.Fields().ByName(protoreflect.Name(field.ProtoName)))}
	}
	return reply
}

// commented returns the fields of a reply that have a role by comment, by their roles.
func (b *builder) commented(from *protogen.Message) map[string][]*protogen.Field {
	marked := map[string][]*protogen.Field{}
	for _, field := range from.Fields {
		for _, comment := range b.directives(field.Desc, field.Comments, onField) {
			role, _, _ := strings.Cut(comment.text, "=")
			marked[role] = append(marked[role], field)
		}
	}
	return marked
}

// taken reports whether a field has a comment: then it has the role that this gives,
// and no other.
func taken(marked map[string][]*protogen.Field, fd protoreflect.FieldDescriptor) bool {
	for _, fields := range marked {
		if slices.ContainsFunc(fields, func(field *protogen.Field) bool { return field.Desc == fd }) {
			return true
		}
	}
	return false
}

// outsideOneof reports whether a field can be set beside all others.
func outsideOneof(fd protoreflect.FieldDescriptor) bool {
	return fd.ContainingOneof() == nil || fd.ContainingOneof().IsSynthetic()
}

func isBool(fd protoreflect.FieldDescriptor) bool { return fd.Kind() == protoreflect.BoolKind }

// isLong reports whether a field holds integers of 64 bits.
func isLong(fd protoreflect.FieldDescriptor) bool {
	return strings.HasSuffix(integers[fd.Kind()], "64")
}

// Filled returns the fields of the reply that the skeleton fills in, in their order.
func (m *Method) Filled() (fields []*Field) {
	if m.Event == nil {
		return nil
	}
	fills := m.Fills()
	for _, field := range m.Output.Fields {
		wraps := m.Kind == Tail && field == m.Holder
		if wraps || slices.ContainsFunc(fills, func(f Fill) bool { return f.Name == field.Name }) {
			fields = append(fields, field)
		}
	}
	return fields
}

// unfilled returns a field that a message must have and that a skeleton does not
// fill in, or nil.
func (m *Method) unfilled(message protoreflect.MessageDescriptor) protoreflect.FieldDescriptor {
	filled := m.Filled()
	for i := range message.Fields().Len() {
		fd := message.Fields().Get(i)
		if fd.Cardinality() == protoreflect.Required && !slices.Contains(filled, m.Output.Fields[i]) {
			return fd
		}
	}
	return nil
}

// wrappedEvent finds the event that a tail's reply holds: in its only field of a
// message type, besides a time of recording.
func (b *builder) wrappedEvent(from *protogen.Message) found {
	recorded := b.commented(from)["recorded_time"]
	var holder *protogen.Field
	for _, field := range from.Fields {
		isRecorded := isTimestamp(field.Desc) && (slices.Contains(recorded, field) || slices.Contains(recordedNames, field.Desc.Name()))
		switch {
		case field.Desc.Message() == nil || isRecorded:
		case holder != nil || field.Desc.IsMap() || !outsideOneof(field.Desc):
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

// Ignored returns the fields of the request that the skeleton does not look at: a
// filter, or the size of a page.
func (m *Method) Ignored() (fields []*Field) {
	if m.Event == nil || m.Kind != Tail && m.Holder == nil {
		return nil
	}
	used := []*Field{m.Holder}
	if m.Kind == Tail {
		used = []*Field{m.From.Position, m.From.Time}
	}
	for _, field := range m.Input.Fields {
		if !slices.Contains(used, field) {
			fields = append(fields, field)
		}
	}
	return fields
}

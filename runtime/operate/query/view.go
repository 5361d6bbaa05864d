package query

import (
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// View is the events of one message type: a row for each event, and a column for each of
// the attributes and of the fields.
type View struct {
	Name    string // the message's, such as order_event of shop.v1.OrderEvent
	Message string // full name of the message, such as "shop.v1.OrderEvent"
	Columns []Column

	schemas []string // under which the events are stored: the message's name and its former ones
	fields  []*field // of the last columns
}

// Column is a column of a [View].
type Column struct {
	Name  string
	Type  string // INTEGER, REAL, TEXT, BLOB or JSON; "" if it was another one in former versions
	About string // what the text or the JSON is, such as "google.protobuf.Timestamp"; "" for plain values
}

// attributes are the first columns of all views.
var attributes = []Column{
	{"position", "INTEGER", ""}, {"recorded", "TEXT", "time"}, {"source", "TEXT", ""}, {"id", "TEXT", ""},
	{"type", "TEXT", ""}, {"subject", "TEXT", ""}, {"time", "TEXT", "time"},
}

// Attributes is how many columns of a view are attributes: the first ones, which are never
// NULL.
var Attributes = len(attributes)

// Field returns what the field of the nth column is, in this program or else in the last
// version, and then in each version that has it. It returns nil for an attribute.
func (v *View) Field(column int) []protoreflect.FieldDescriptor {
	if column < len(attributes) {
		return nil
	}
	return v.fields[column-len(attributes)].known
}

// field is a field of a message, as each version of it has it. What a field is called and
// what it is may have changed; its number is what it is known by.
type field struct {
	known    []protoreflect.FieldDescriptor // what it is, the current one first
	read     reader                         // in events of versions that don't have it, or are not known
	versions map[int64]reader               // by their numbers in the log
	failed   failures
}

// version is a version of a message as the log keeps it.
type version struct {
	number     int64 // which events have; later ones are greater. 0: events that have none
	message    protoreflect.MessageDescriptor
	unreadable error // why the log's schema can't be read. Then there is no message.
}

// failing returns the reader of what events have whose version can't be read.
func (v version) failing() reader {
	return func([]byte) (driver.Value, error) { return nil, v.unreadable }
}

// readable returns the versions that can be read.
func readable(versions []version) []version {
	return slices.DeleteFunc(slices.Clone(versions), func(v version) bool { return v.message == nil })
}

// newView returns the view of a message. current is what this program knows of it, or else
// the last version; versions are those of its events, the oldest first.
func newView(current protoreflect.MessageDescriptor, versions []version, schemas []string) View {
	view := View{Message: string(current.FullName()), schemas: schemas, Columns: slices.Clone(attributes)}
	numbers := fieldNumbers(current)
	for _, version := range slices.Backward(readable(versions)) { // fields that were there before
		for _, number := range fieldNumbers(version.message) {
			if !slices.Contains(numbers, number) {
				numbers = append(numbers, number)
			}
		}
	}
	for _, number := range numbers {
		view.addField(number, current, versions)
	}
	return view
}

// fieldNumbers returns the numbers of a message's fields in the order of the proto.
func fieldNumbers(message protoreflect.MessageDescriptor) (numbers []protoreflect.FieldNumber) {
	for fields, i := message.Fields(), 0; i < fields.Len(); i++ {
		numbers = append(numbers, fields.Get(i).Number())
	}
	return numbers
}

func (v *View) addField(number protoreflect.FieldNumber, current protoreflect.MessageDescriptor, versions []version) {
	known := current.Fields().ByNumber(number)
	for _, version := range slices.Backward(readable(versions)) {
		if known == nil {
			known = version.message.Fields().ByNumber(number)
		}
	}
	read, kind := newReader(known)
	added := &field{known: []protoreflect.FieldDescriptor{known}, read: read, versions: map[int64]reader{}}
	for _, version := range versions {
		if version.message == nil {
			added.versions[version.number] = version.failing()
			continue
		}
		was := version.message.Fields().ByNumber(number)
		if was == nil {
			continue // what it has of the number is from a newer program
		}
		added.known = append(added.known, was)
		var before string
		added.versions[version.number], before = newReader(was)
		if before != kind || kind != "JSON" && was.Enum() == nil && about(was) != about(known) {
			kind = ""
		}
	}
	v.fields = append(v.fields, added)
	v.Columns = append(v.Columns, Column{v.columnName(known), kind, about(known)})
}

// columnName returns the name of a field's column: that of the field, if no other column
// has it. The names of the attributes are theirs in all views.
func (v *View) columnName(field protoreflect.FieldDescriptor) string {
	name := string(field.Name())
	for _, taken := range v.Columns {
		if strings.EqualFold(taken.Name, name) {
			name = "field_" + name
		}
	}
	for _, taken := range v.Columns {
		if strings.EqualFold(taken.Name, name) {
			name = fmt.Sprintf("%s_%d", name, field.Number())
		}
	}
	return name
}

// about describes the type of a field, where that of its column says too little.
func about(field protoreflect.FieldDescriptor) string {
	switch {
	case field.IsMap():
		return fmt.Sprintf("map<%s, %s>", field.MapKey().Kind(), elementType(field.MapValue()))
	case field.IsList():
		return "repeated " + elementType(field)
	case field.Message() != nil || field.Enum() != nil:
		return elementType(field)
	case field.Kind() == protoreflect.Fixed64Kind || field.Kind() == protoreflect.Uint64Kind:
		return "uint64"
	case field.Kind() == protoreflect.BoolKind:
		return "bool"
	}
	return ""
}

func elementType(field protoreflect.FieldDescriptor) string {
	switch {
	case field.Message() != nil:
		return string(field.Message().FullName())
	case field.Enum() != nil:
		return string(field.Enum().FullName())
	default:
		return field.Kind().String()
	}
}

// definition returns the statement that makes a view of a table of events: of those that
// are not erased, which would have the default in each column. The function event_field
// gets the index of the view's first field, and the following ones.
func (v *View) definition(from source, condition string, first int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "CREATE TEMP VIEW %s AS SELECT ", quoted(v.Name))
	for i, column := range v.Columns {
		if i > 0 {
			text.WriteString(", ")
		}
		if i < len(attributes) {
			text.WriteString(column.Name)
			continue
		}
		value := fmt.Sprintf("event_field(data, version, %d)", first+i-len(attributes))
		if column.Type == "INTEGER" && !strings.Contains(strings.ToLower(column.About), "uint64") {
			// So it is compared with '5' as a column of integers would be. Those of 64 bits
			// without a sign can be text, as NaN is.
			value = "CAST(" + value + " AS INTEGER)"
		}
		fmt.Fprintf(&text, "%s AS %s", value, quoted(column.Name))
	}
	names := make([]string, len(v.schemas))
	for i, schema := range v.schemas {
		names[i] = literal(schema)
	}
	fmt.Fprintf(&text, " FROM %s WHERE %sschema IN (%s) AND version <> %d%s", from.table, from.pacing, strings.Join(names, ", "), erasedVersion, condition)
	return text.String()
}

// name gives views their names: of the message alone, and with its package where that
// would be the name of another view or table, and with a number where that is one, too. For
// SQLite, names that differ in their case only are the same.
func name(views []View) {
	const taken = 2
	count := map[string]int{"events": taken, "dead_letters": taken, "consumers": taken, "sqlite_master": taken, "sqlite_schema": taken}
	used := map[string]bool{}
	for short := range count {
		used[short] = true
	}
	for i := range views {
		_, short := splitName(views[i].Message)
		count[short]++
	}
	slices.SortFunc(views, func(a, b View) int { return strings.Compare(a.Message, b.Message) })
	var longer []*View
	for i := range views {
		_, short := splitName(views[i].Message)
		if count[short] > 1 || strings.HasPrefix(short, "sqlite_") {
			longer = append(longer, &views[i])
			continue
		}
		views[i].Name, used[short] = short, true
	}
	for _, view := range longer {
		pkg, short := splitName(view.Message)
		long := strings.TrimPrefix(strings.ReplaceAll(pkg, ".", "_")+"_"+short, "_")
		if strings.HasPrefix(strings.ToLower(long), "sqlite_") { // which SQLite keeps for itself
			long = "message_" + long
		}
		view.Name = long
		for n := 2; used[strings.ToLower(view.Name)]; n++ {
			view.Name = fmt.Sprintf("%s_%d", long, n)
		}
		used[strings.ToLower(view.Name)] = true
	}
	slices.SortFunc(views, func(a, b View) int { return strings.Compare(a.Name, b.Name) })
}

// splitName returns the package of a message, and its name as SQL has names: order_event.
func splitName(message string) (pkg, short string) {
	at := strings.LastIndexByte(message, '.')
	var text strings.Builder
	letters := []rune(message[at+1:])
	for i, letter := range letters {
		if unicode.IsUpper(letter) && i > 0 && letters[i-1] != '_' &&
			(!unicode.IsUpper(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1])) {
			text.WriteByte('_')
		}
		text.WriteRune(unicode.ToLower(letter))
	}
	return message[:max(at, 0)], text.String()
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// failures are values that could not be read. They are NULL, so that one event does not
// keep a query from answering about the others.
type failures struct {
	count int
	first error
}

// value returns what an event has in a field.
func (f *field) value(version int64, data []byte) driver.Value {
	read, found := f.versions[version]
	if !found {
		read = f.read
	}
	value, err := read(data)
	if err != nil {
		if f.failed.count++; f.failed.count == 1 {
			f.failed.first = err
		}
		return nil
	}
	return value
}

//runtime:with eventlog

package servertest

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Answer names the fields of a reply that say what became of the events that it answers. A
// field that the reply does not have is "".
//
// If it answers several events, a field that is not repeated has the position or the id of
// the last one. Duplicate is true if all of them are duplicates, or is their number. A reply
// to one event may leave Count unset.
type Answer struct {
	Count, Position, EventID, Duplicate string
}

// acknowledged is an event that a reply answers.
type acknowledged struct {
	id        string
	position  int64
	duplicate bool
}

// check returns what is wrong with what a reply says of some events, or "".
func (a Answer) check(reply proto.Message, events []acknowledged) string {
	message := reply.ProtoReflect()
	wrong := func(name string, want any) string {
		if got := read(message, name); fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Sprintf("the answer says that %s is %v, want %v", name, got, want)
		}
		return ""
	}
	var ids, positions, duplicates []any
	for _, event := range events {
		ids, positions, duplicates = append(ids, event.id), append(positions, event.position), append(duplicates, event.duplicate)
	}
	for name, values := range map[string][]any{a.Position: positions, a.EventID: ids} {
		if name == "" || len(values) == 0 {
			continue
		}
		want := values[len(values)-1]
		if field(message, name).IsList() {
			want = values
		}
		if text := wrong(name, want); text != "" {
			return text
		}
	}
	if a.Count != "" && (len(events) != 1 || message.Has(field(message, a.Count))) {
		if text := wrong(a.Count, len(events)); text != "" {
			return text
		}
	}
	if a.Duplicate == "" {
		return ""
	}
	fd := field(message, a.Duplicate)
	switch {
	case fd.IsList():
		return wrong(a.Duplicate, duplicates)
	case fd.Kind() == protoreflect.BoolKind:
		return wrong(a.Duplicate, len(events) > 0 && !slices.Contains(duplicates, any(false)))
	}
	return wrong(a.Duplicate, len(slices.DeleteFunc(duplicates, func(d any) bool { return d == false })))
}

func field(message protoreflect.Message, name string) protoreflect.FieldDescriptor {
	return message.Descriptor().Fields().ByName(protoreflect.Name(name))
}

// read returns the value of a field, or a slice of the values of one that is repeated.
func read(message protoreflect.Message, name string) any {
	value := message.Get(field(message, name))
	list, ok := value.Interface().(protoreflect.List)
	if !ok {
		return value.Interface()
	}
	values := []any{}
	for i := range list.Len() {
		values = append(values, list.Get(i).Interface())
	}
	return values
}

//runtime:with command.From command.Bench

package command

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// column is a field that a column of CSV has, by the fields that lead to it.
type column struct {
	name string
	path []protoreflect.FieldDescriptor
}

// fieldPath returns the fields that a path such as event.source names in a message, as the
// proto or as JSON spells them.
func fieldPath(message protoreflect.MessageDescriptor, path string) ([]protoreflect.FieldDescriptor, error) {
	var fields []protoreflect.FieldDescriptor
	for name := range strings.SplitSeq(path, ".") {
		if message == nil {
			return nil, fmt.Errorf("%s has no fields", fields[len(fields)-1].FullName())
		}
		field := message.Fields().ByTextName(name)
		if field == nil {
			field = message.Fields().ByJSONName(name)
		}
		if field == nil {
			return nil, fmt.Errorf("%s has no field %q; it has %s", message.FullName(), name, fieldNames(message))
		}
		fields = append(fields, field)
		if message = nil; field.Cardinality() != protoreflect.Repeated {
			message = field.Message()
		}
	}
	return fields, nil
}

func fieldNames(message protoreflect.MessageDescriptor) string {
	var names []string
	for i := range message.Fields().Len() {
		names = append(names, string(message.Fields().Get(i).Name()))
	}
	return strings.Join(names, ", ")
}

// columnsOf returns the fields of the header of a CSV file.
func columnsOf(message protoreflect.MessageDescriptor, header []string) ([]column, error) {
	var columns []column
	for i, name := range header {
		name = strings.TrimSpace(name)
		path, err := fieldPath(message, name)
		if err == nil && slices.ContainsFunc(columns, func(c column) bool { return slices.Equal(c.path, path) }) {
			err = fmt.Errorf("%s is there twice", name)
		}
		if err != nil {
			return nil, fmt.Errorf("column %d: %w", i+1, err)
		}
		columns = append(columns, column{name, path})
	}
	return columns, nil
}

// fillFrom sets the fields of an empty message from the cells of a record. An empty cell
// leaves its field unset.
func fillFrom(message proto.Message, columns []column, cells []string) error {
	if len(cells) != len(columns) {
		return fmt.Errorf("it has %d columns, and the header %d", len(cells), len(columns))
	}
	for i, column := range columns {
		if cells[i] == "" {
			continue
		}
		if err := setPath(message.ProtoReflect(), column.path, cells[i]); err != nil {
			return fmt.Errorf("column %d (%s): %w", i+1, column.name, err)
		}
	}
	return nil
}

// setPath sets the field at the end of a path. A repeated one takes a JSON array, or one
// element.
func setPath(message protoreflect.Message, path []protoreflect.FieldDescriptor, text string) error {
	for _, field := range path[:len(path)-1] {
		message = message.Mutable(field).Message()
	}
	field := path[len(path)-1]
	if field.IsList() && strings.HasPrefix(text, "[") {
		elements := message.New()
		if err := unmarshal(fmt.Sprintf("{%q: %s}", field.JSONName(), text), elements.Interface()); err != nil {
			return err
		}
		message.Set(field, elements.Get(field))
		return nil
	}
	return setField(message, field, []string{text})
}

//runtime:with eventlog

package servertest

import (
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
)

func init() { renew = renewIDs }

// renewIDs gives new values to those fields of a message, and of the messages in it, that
// have one of these full names and are set.
func renewIDs(m protoreflect.Message, names []string) {
	m.Range(func(fd protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case slices.Contains(names, string(fd.FullName())):
			m.Set(fd, unique(fd))
		case fd.IsMap() && fd.MapValue().Message() != nil:
			value.Map().Range(func(_ protoreflect.MapKey, held protoreflect.Value) bool {
				renewIDs(held.Message(), names)
				return true
			})
		case fd.IsList() && fd.Message() != nil:
			for i := range value.List().Len() {
				renewIDs(value.List().Get(i).Message(), names)
			}
		case fd.Message() != nil && !fd.IsMap():
			renewIDs(value.Message(), names)
		}
		return true
	})
}

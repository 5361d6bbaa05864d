//runtime:with operate/query

package eventlog

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Messages returns the message types that this program reads as events, by their names:
// those of the present, not the former ones (see [RegisterMessage]).
func Messages() (kinds []protoreflect.MessageType) {
	registry.RLock()
	defer registry.RUnlock()
	for name, kind := range registry.types {
		if string(kind.Descriptor().FullName()) == name {
			kinds = append(kinds, kind)
		}
	}
	slices.SortFunc(kinds, func(a, b protoreflect.MessageType) int {
		return strings.Compare(string(a.Descriptor().FullName()), string(b.Descriptor().FullName()))
	})
	return kinds
}

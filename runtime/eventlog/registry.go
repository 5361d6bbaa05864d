package eventlog

import (
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// registry has the message types that this program reads as events.
var registry = struct {
	sync.RWMutex
	types map[string]protoreflect.MessageType // by their names, the former ones too
	was   map[string][]string                 // former names, by the present one
}{types: map[string]protoreflect.MessageType{}, was: map[string][]string{}}

// RegisterMessage makes a message type known as one that this program reads as
// events. was are the full names that the type had before it, or its proto package,
// was renamed: what is stored under them is read as this type, and an event that is
// stored under one of them is a duplicate of the same event under the present name.
//
// Generated packages call it when they are imported.
func RegisterMessage[M proto.Message](was ...string) {
	var none M
	kind := none.ProtoReflect().Type()
	name := string(kind.Descriptor().FullName())
	registry.Lock()
	defer registry.Unlock()
	registry.types[name] = kind
	for _, former := range was {
		if registry.types[former] == nil {
			registry.types[former] = kind
		}
		if !slices.Contains(registry.was[name], former) {
			registry.was[name] = append(registry.was[name], former)
		}
	}
}

// FindMessage returns the message type that this program reads events of a schema
// as, also if the schema is one of its former names (see [RegisterMessage]).
func FindMessage(schema string) (kind protoreflect.MessageType, found bool) {
	registry.RLock()
	defer registry.RUnlock()
	kind, found = registry.types[schema]
	return kind, found
}

// FormerNames returns the names under which events of a schema may be stored besides
// its own (see [RegisterMessage]).
func FormerNames(schema string) []string {
	registry.RLock()
	defer registry.RUnlock()
	return registry.was[schema]
}

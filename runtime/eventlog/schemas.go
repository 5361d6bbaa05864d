package eventlog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/compat"
)

// Schema is a version of the message type of events, as a log keeps it beside them: whoever
// has it can read them without the program that stored them.
type Schema struct {
	// Name is the full name of the message, such as "shop.v1.OrderEvent".
	Name string
	// Version identifies what the message was then, itself and all types that it
	// reaches: 16 hexadecimal digits. Comments, the order of declarations, options of
	// generators and other types of the same files change nothing about it.
	Version string
	// Files declare the message and the types that it reaches, and no others, each
	// file after those that it imports. Of their options they have those that say how
	// messages are encoded.
	Files *descriptorpb.FileDescriptorSet
	// Assumed reports that some of its events were stored before logs kept schemas. For those
	// it is a guess: what the message was in the first program that opened the log afterwards.
	Assumed bool
}

// SchemaLog is a [Log] that keeps the schemas of its events: each version is durable before
// the first event that has it, or with it. What Read, Tail, Dead and [Hold].Retries yield has
// a version that [FindSchema] finds, or none.
type SchemaLog interface {
	Log
	// Schemas returns the versions that events have which are still kept, and dead
	// letters, by their names, and those of one name in the order in which they were
	// first stored. There may be some whose last events were deleted already.
	Schemas(ctx context.Context) ([]Schema, error)
}

// Schemas returns what [SchemaLog].Schemas of a log does, and nothing if the log keeps none.
func Schemas(ctx context.Context, log Log) ([]Schema, error) {
	if observed, ok := log.(*observedLog); ok {
		log = observed.Log
	}
	if keeps, ok := log.(SchemaLog); ok {
		return keeps.Schemas(ctx)
	}
	return nil, nil
}

// NamesOfSchemas returns the names of the schemas that the events of a log have. Of a large
// log these are not all, so the names of all messages that this program reads as events are
// among them. It is for engines whose logs are older than versions.
func NamesOfSchemas(ctx context.Context, log Log) ([]string, error) {
	counts, err := countSchemas(ctx, log)
	if err != nil {
		return nil, err
	}
	names := slices.Collect(maps.Keys(counts.events))
	if !counts.exact {
		registry.RLock()
		defer registry.RUnlock()
		names = slices.AppendSeq(names, maps.Keys(registry.types))
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// knownSchemas has the schemas that this process knows. Each event that is appended asks for
// one, so both maps are replaced and never changed.
var knownSchemas struct {
	mu        sync.Mutex // while one is replaced
	byVersion atomic.Pointer[map[string]Schema]
	own       atomic.Pointer[map[protoreflect.FullName]ownVersion] // by the names of messages
}

// ownVersion is the version of a message type of this program.
type ownVersion struct {
	message protoreflect.MessageDescriptor
	version string
}

// lookUp returns what a map has that is replaced when it changes.
func lookUp[K comparable, V any](in *atomic.Pointer[map[K]V], key K) (value V, found bool) {
	if known := in.Load(); known != nil {
		value, found = (*known)[key]
	}
	return value, found
}

// replace replaces a map by one that has a value, too.
func replace[K comparable, V any](in *atomic.Pointer[map[K]V], key K, value V) {
	more := map[K]V{key: value}
	if known := in.Load(); known != nil {
		more = maps.Clone(*known)
		more[key] = value
	}
	in.Store(&more)
}

// RegisterSchema makes a version known to this process, so that events which have it can be
// appended. [AppendMessages] does so with those of its messages, and engines with those of
// what they read.
func RegisterSchema(schema Schema) {
	knownSchemas.mu.Lock()
	defer knownSchemas.mu.Unlock()
	if _, found := FindSchema(schema.Version); !found {
		replace(&knownSchemas.byVersion, schema.Version, schema)
	}
}

// FindSchema returns a version that this process knows.
func FindSchema(version string) (schema Schema, found bool) {
	return lookUp(&knownSchemas.byVersion, version)
}

// SchemaOf returns the schema of messages that a descriptor describes, as NewSchema does, and
// makes it known to this process. Of one descriptor it is made once.
func SchemaOf(message protoreflect.MessageDescriptor) Schema {
	schema, _ := FindSchema(versionOf(message))
	return schema
}

// versionOf returns the version of messages that a descriptor describes.
func versionOf(message protoreflect.MessageDescriptor) string {
	if known, ok := lookUp(&knownSchemas.own, message.FullName()); ok && known.message == message {
		return known.version
	}
	schema := NewSchema(message)
	RegisterSchema(schema)
	knownSchemas.mu.Lock()
	defer knownSchemas.mu.Unlock()
	replace(&knownSchemas.own, message.FullName(), ownVersion{message, schema.Version})
	return schema.Version
}

// NewSchema returns the schema of messages that a descriptor describes.
func NewSchema(message protoreflect.MessageDescriptor) Schema {
	schema := Schema{Name: string(message.FullName()), Files: compat.Files(message)}
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(schema.Files)
	if err != nil {
		panic(err) // descriptors that are in use are valid
	}
	sum := sha256.Sum256(append([]byte(schema.Name+"\n"), encoded...))
	schema.Version = hex.EncodeToString(sum[:8])
	return schema
}

// Descriptor returns the descriptor of the schema's message.
func (s Schema) Descriptor() (protoreflect.MessageDescriptor, error) {
	message, err := compat.Message(s.Files, s.Name)
	if err != nil {
		return nil, fmt.Errorf("version %s of the schema of %s can't be read: %w", s.Version, s.Name, err)
	}
	return message, nil
}

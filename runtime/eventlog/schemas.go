package eventlog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
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
	// Assumed reports that some of its events were stored before logs kept schemas: that
	// they have this one is what the first program that opened the log since knew of them.
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
	s := schemaFiles{needed: map[protoreflect.FullName]bool{}, files: map[string]protoreflect.FileDescriptor{}}
	s.reach(message)
	schema := Schema{Name: string(message.FullName()), Files: &descriptorpb.FileDescriptorSet{}}
	done := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(s.files)) {
		s.add(schema.Files, s.files[path], done)
	}
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
	files, err := protodesc.NewFiles(s.Files)
	if err != nil {
		return nil, fmt.Errorf("version %s of the schema of %s can't be read: %w", s.Version, s.Name, err)
	}
	found, err := files.FindDescriptorByName(protoreflect.FullName(s.Name))
	if err != nil {
		return nil, fmt.Errorf("version %s of the schema of %s does not have that message: %w", s.Version, s.Name, err)
	}
	message, ok := found.(protoreflect.MessageDescriptor)
	if !ok {
		return nil, fmt.Errorf("version %s of the schema of %s has something else of that name", s.Version, s.Name)
	}
	return message, nil
}

// schemaFiles are the types that a message reaches, and the files that have them.
type schemaFiles struct {
	needed map[protoreflect.FullName]bool
	files  map[string]protoreflect.FileDescriptor
}

func (s *schemaFiles) reach(d protoreflect.Descriptor) {
	if s.needed[d.FullName()] {
		return
	}
	s.needed[d.FullName()] = true
	s.files[d.ParentFile().Path()] = d.ParentFile()
	message, ok := d.(protoreflect.MessageDescriptor)
	if !ok {
		return
	}
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		if field.Message() != nil {
			s.reach(field.Message())
		}
		if field.Enum() != nil {
			s.reach(field.Enum())
		}
	}
}

// add appends what is needed of a file, after what it needs of the files that it imports.
func (s *schemaFiles) add(set *descriptorpb.FileDescriptorSet, file protoreflect.FileDescriptor, done map[string]bool) {
	if done[file.Path()] {
		return
	}
	done[file.Path()] = true
	full := protodesc.ToFileDescriptorProto(file)
	kept := &descriptorpb.FileDescriptorProto{Name: full.Name, Package: full.Package, Syntax: full.Syntax, Edition: full.Edition}
	for _, path := range s.uses(file) {
		s.add(set, s.files[path], done)
		kept.Dependency = append(kept.Dependency, path)
	}
	if features := full.GetOptions().GetFeatures(); features != nil {
		kept.Options = &descriptorpb.FileOptions{Features: features}
	}
	for _, message := range full.MessageType {
		if part := s.message(string(file.Package()), message); part != nil {
			kept.MessageType = append(kept.MessageType, part)
		}
	}
	slices.SortFunc(kept.MessageType, byName)
	kept.EnumType = s.enums(string(file.Package()), full.EnumType)
	set.File = append(set.File, kept)
}

// uses returns the paths of the other files that have types of fields of the needed
// messages of a file: also where they come by a public import of another one.
func (s *schemaFiles) uses(file protoreflect.FileDescriptor) []string {
	paths := map[string]bool{}
	var walk func(protoreflect.MessageDescriptors)
	walk = func(messages protoreflect.MessageDescriptors) {
		for i := range messages.Len() {
			message := messages.Get(i)
			walk(message.Messages())
			if !s.needed[message.FullName()] {
				continue
			}
			for j := range message.Fields().Len() {
				field := message.Fields().Get(j)
				if field.Message() != nil {
					paths[field.Message().ParentFile().Path()] = true
				}
				if field.Enum() != nil {
					paths[field.Enum().ParentFile().Path()] = true
				}
			}
		}
	}
	walk(file.Messages())
	delete(paths, file.Path())
	return slices.Sorted(maps.Keys(paths))
}

// message returns what is needed of a message, or nil. One that only has needed types in
// it has no fields.
func (s *schemaFiles) message(scope string, message *descriptorpb.DescriptorProto) *descriptorpb.DescriptorProto {
	name := join(scope, message.GetName())
	kept := &descriptorpb.DescriptorProto{Name: message.Name, EnumType: s.enums(name, message.EnumType)}
	for _, nested := range message.NestedType {
		if part := s.message(name, nested); part != nil {
			kept.NestedType = append(kept.NestedType, part)
		}
	}
	slices.SortFunc(kept.NestedType, byName)
	needed := s.needed[protoreflect.FullName(name)]
	if !needed && len(kept.NestedType)+len(kept.EnumType) == 0 {
		return nil
	}
	if options := message.GetOptions(); options != nil {
		kept.Options = &descriptorpb.MessageOptions{MapEntry: options.MapEntry, Features: options.Features}
		if needed {
			kept.Options.MessageSetWireFormat = options.MessageSetWireFormat
		}
		if proto.Size(kept.Options) == 0 {
			kept.Options = nil
		}
	}
	if !needed {
		return kept
	}
	kept.OneofDecl, kept.ReservedRange, kept.ReservedName = message.OneofDecl, message.ReservedRange, message.ReservedName
	for _, oneof := range kept.OneofDecl {
		oneof.Options = nil
	}
	for _, extensions := range message.ExtensionRange {
		kept.ExtensionRange = append(kept.ExtensionRange, &descriptorpb.DescriptorProto_ExtensionRange{Start: extensions.Start, End: extensions.End})
	}
	for _, field := range message.Field {
		if options := field.GetOptions(); options != nil {
			field.Options = &descriptorpb.FieldOptions{Packed: options.Packed, Features: options.Features}
			if proto.Size(field.Options) == 0 {
				field.Options = nil
			}
		}
		kept.Field = append(kept.Field, field)
	}
	slices.SortFunc(kept.Field, func(a, b *descriptorpb.FieldDescriptorProto) int {
		return cmp.Compare(a.GetNumber(), b.GetNumber())
	})
	return kept
}

func (s *schemaFiles) enums(scope string, enums []*descriptorpb.EnumDescriptorProto) (kept []*descriptorpb.EnumDescriptorProto) {
	for _, enum := range enums {
		if !s.needed[protoreflect.FullName(join(scope, enum.GetName()))] {
			continue
		}
		if options := enum.GetOptions(); options != nil {
			enum.Options = &descriptorpb.EnumOptions{AllowAlias: options.AllowAlias, Features: options.Features}
			if proto.Size(enum.Options) == 0 {
				enum.Options = nil
			}
		}
		for _, value := range enum.Value {
			value.Options = nil
		}
		enum.Visibility = nil
		kept = append(kept, enum)
	}
	slices.SortFunc(kept, byName)
	return kept
}

func byName[D interface{ GetName() string }](a, b D) int {
	return strings.Compare(a.GetName(), b.GetName())
}

func join(scope, name string) string { return strings.TrimPrefix(scope+"."+name, ".") }

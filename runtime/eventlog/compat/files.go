package compat

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Files returns the files that declare a message and the types that it reaches, and no
// others, each file after those that it imports. Of their options they have those that say
// how messages are encoded. Comments, and the order of declarations, change nothing in them.
func Files(message protoreflect.MessageDescriptor) *descriptorpb.FileDescriptorSet {
	s := schemaFiles{needed: map[protoreflect.FullName]bool{}, files: map[string]protoreflect.FileDescriptor{}}
	s.reach(message)
	set, done := &descriptorpb.FileDescriptorSet{}, map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(s.files)) {
		s.add(set, s.files[path], done)
	}
	return set
}

// Message returns the descriptor of a message that files declare.
func Message(files *descriptorpb.FileDescriptorSet, name string) (protoreflect.MessageDescriptor, error) {
	declared, err := protodesc.NewFiles(files)
	if err != nil {
		return nil, err
	}
	found, err := declared.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil, fmt.Errorf("it does not declare %s", name)
	}
	message, ok := found.(protoreflect.MessageDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is not a message", name)
	}
	return message, nil
}

// Parse returns the message type that Text returned a text of.
func Parse(text string) (protoreflect.MessageDescriptor, error) {
	name, files, _ := strings.Cut(text, "{")
	set := &descriptorpb.FileDescriptorSet{}
	if err := protojson.Unmarshal([]byte("{"+files), set); err != nil {
		return nil, fmt.Errorf("the files of %s can't be read: %w", strings.TrimSpace(name), err)
	}
	return Message(set, strings.TrimSpace(name))
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
	if features := ofEncoding(full.GetOptions().GetFeatures()); features != nil {
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
		kept.Options = &descriptorpb.MessageOptions{MapEntry: options.MapEntry, Features: ofEncoding(options.Features)}
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
			field.Options = &descriptorpb.FieldOptions{Packed: options.Packed, Features: ofEncoding(options.Features)}
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
			enum.Options = &descriptorpb.EnumOptions{AllowAlias: options.AllowAlias, Features: ofEncoding(options.Features)}
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

// ofEncoding returns features without those of languages, which are extensions; nil if
// there are no others.
func ofEncoding(features *descriptorpb.FeatureSet) *descriptorpb.FeatureSet {
	if features == nil {
		return nil
	}
	kept := proto.CloneOf(features)
	proto.RangeExtensions(kept, func(extension protoreflect.ExtensionType, _ any) bool {
		proto.ClearExtension(kept, extension)
		return true
	})
	kept.ProtoReflect().SetUnknown(nil)
	if proto.Size(kept) == 0 {
		return nil
	}
	return kept
}

func byName[D interface{ GetName() string }](a, b D) int {
	return strings.Compare(a.GetName(), b.GetName())
}

func join(scope, name string) string { return strings.TrimPrefix(scope+"."+name, ".") }

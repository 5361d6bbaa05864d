package model

import (
	"fmt"
	"path"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// claim takes a name for what becomes of a descriptor. If it is taken for
// another, the complaint has both places: no spelling could serve both.
func (b *builder) claim(name string, d protoreflect.Descriptor, format string, args ...any) {
	other, taken := b.claims[name]
	if !taken {
		b.claims[name] = d
		return
	}
	if pair := [2]protoreflect.Descriptor{d, other}; other != d && !b.clashing[pair] {
		b.clashing[pair] = true
		if goPackage := b.shared(d, other); goPackage != "" {
			one, two := string(other.ParentFile().Package()), string(d.ParentFile().Package())
			b.complaints.addFor("go_package "+goPackage, d, "the proto packages %q and %q have one go_package, in which %s and %s (%s) both become %s: give one of the packages another",
				one, two, named(d), named(other), b.at(other), fmt.Sprintf(format, args...))
			return
		}
		b.complaints.add(d, "%s and %s (%s) both become %s: rename one of them", named(d), named(other), b.at(other), fmt.Sprintf(format, args...))
	}
}

// shared returns the Go package that the proto packages of two descriptors have in
// common; "" if they have none, or are one proto package.
func (b *builder) shared(d, other protoreflect.Descriptor) string {
	one, two := b.plugin.FilesByPath[d.ParentFile().Path()], b.plugin.FilesByPath[other.ParentFile().Path()]
	if one.Desc.Package() == two.Desc.Package() || one.GoImportPath != two.GoImportPath {
		return ""
	}
	return string(one.GoImportPath)
}

// identifiers claims what protoc-gen-go makes of messages and enums in the Go
// package of each file with services, and then what protoc-gen-go-grpc makes of
// those. Neither looks for clashes, and the compiler would find them in code
// that nobody wrote.
func (b *builder) identifiers(files []*protogen.File) {
	served := map[protogen.GoImportPath]bool{}
	for _, file := range files {
		served[file.GoImportPath] = served[file.GoImportPath] || file.Generate && len(file.Services) > 0
	}
	for _, file := range files {
		if !served[file.GoImportPath] {
			continue
		}
		b.ident(file.GoDescriptorIdent, file.Desc)
		b.extensions(file.Extensions)
		for _, enum := range file.Enums {
			b.enum(enum)
		}
		for _, message := range file.Messages {
			b.nested(message)
		}
	}
	for _, file := range files {
		if served[file.GoImportPath] {
			for _, service := range file.Services {
				b.stubs(file, service)
			}
		}
	}
}

// ignored refuses protos of whose names protoc-gen-go makes names of files that the
// Go command passes over, on all systems or on all but one. A file for linux, say,
// would be noticed elsewhere only.
func (b *builder) ignored(files []*protogen.File) {
	for _, file := range files {
		if _, ours := b.module.dir(string(file.GoImportPath)); !ours {
			continue
		}
		name := path.Base(file.Desc.Path())
		made := strings.TrimSuffix(name, ".proto") + ".pb.go"
		switch only := onlyFor(made); {
		case strings.HasPrefix(name, "_") || strings.HasPrefix(name, "."):
			b.complaints.add(file.Desc, "Go ignores files whose names begin as %s does, and with them what protoc-gen-go makes of the proto: rename it", name)
		case only != "":
			b.complaints.add(file.Desc, "Go builds %s, which protoc-gen-go makes of the proto, for %s alone: rename the proto, say to %s",
				made, only, strings.TrimSuffix(name, ".proto")+"_types.proto")
		}
	}
}

func (b *builder) ident(ident protogen.GoIdent, d protoreflect.Descriptor) {
	b.claim(string(ident.GoImportPath)+"."+ident.GoName, d, "%s in package %s", ident.GoName, string(ident.GoImportPath))
}

func (b *builder) extensions(extensions []*protogen.Extension) {
	for _, extension := range extensions {
		ident := extension.GoIdent
		ident.GoName = "E_" + ident.GoName
		b.ident(ident, extension.Desc)
	}
}

func (b *builder) enum(enum *protogen.Enum) {
	b.ident(enum.GoIdent, enum.Desc)
	for _, value := range enum.Values {
		b.ident(value.GoIdent, value.Desc)
	}
}

func (b *builder) nested(message *protogen.Message) {
	if message.Desc.IsMapEntry() {
		return
	}
	b.ident(message.GoIdent, message.Desc)
	b.extensions(message.Extensions)
	for _, field := range message.Fields {
		if field.GoName == "ProtoReflect" {
			b.complaints.add(field.Desc, "%s becomes the Go field ProtoReflect, and every message has a method of that name: rename it", named(field.Desc))
		}
		if field.Oneof != nil && !field.Oneof.Desc.IsSynthetic() {
			b.ident(field.GoIdent, field.Desc)
		}
	}
	for _, enum := range message.Enums {
		b.enum(enum)
	}
	for _, inner := range message.Messages {
		b.nested(inner)
	}
}

// stubs claims the identifiers of protoc-gen-go-grpc 1.6 for a service.
func (b *builder) stubs(file *protogen.File, service *protogen.Service) {
	name := service.GoName
	for _, ident := range []string{
		name + "Client", "New" + name + "Client", name + "Server", "Unimplemented" + name + "Server",
		"Unsafe" + name + "Server", "Register" + name + "Server", name + "_ServiceDesc",
	} {
		b.ident(protogen.GoIdent{GoName: ident, GoImportPath: file.GoImportPath}, service.Desc)
	}
	for _, method := range service.Methods {
		b.claim(string(service.Desc.FullName())+"."+method.GoName+"()", method.Desc, "Go method %s", method.GoName)
		idents := []string{name + "_" + method.GoName + "_FullMethodName"}
		if method.Desc.IsStreamingClient() || method.Desc.IsStreamingServer() {
			idents = append(idents, name+"_"+method.GoName+"Client", name+"_"+method.GoName+"Server")
		}
		for _, ident := range idents {
			b.ident(protogen.GoIdent{GoName: ident, GoImportPath: file.GoImportPath}, method.Desc)
		}
	}
}

// named returns what a descriptor is, and its name.
func named(d protoreflect.Descriptor) string {
	switch d := d.(type) {
	case protoreflect.MethodDescriptor:
		return "rpc " + string(d.Name())
	case protoreflect.ServiceDescriptor:
		return "service " + string(d.Name())
	case protoreflect.MessageDescriptor:
		return "message " + strings.TrimPrefix(string(d.FullName()), string(d.ParentFile().Package())+".")
	case protoreflect.EnumDescriptor:
		return "enum " + string(d.Name())
	case protoreflect.EnumValueDescriptor:
		return "enum value " + string(d.Name())
	case protoreflect.FieldDescriptor:
		return "field " + string(d.Name())
	case protoreflect.OneofDescriptor:
		return "oneof " + string(d.Name())
	case protoreflect.FileDescriptor:
		return "file " + d.Path()
	}
	return string(d.FullName())
}

// at returns the place of a descriptor: file:line:column, or the file alone where
// the request has no positions.
func (b *builder) at(d protoreflect.Descriptor) string {
	return placeOf(d).place()
}

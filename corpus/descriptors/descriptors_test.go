package descriptors_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/channelz/grpc_channelz_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"
)

const channelz = "google.golang.org/grpc/channelz/grpc_channelz_v1"

// TestLinked requests a package that is linked into this program.
func TestLinked(t *testing.T) {
	request, err := descriptors.Request(protoregistry.GlobalFiles, protoregistry.GlobalTypes, []string{channelz})
	if err != nil {
		t.Fatal(err)
	}
	file := grpc_channelz_v1.File_grpc_channelz_v1_channelz_proto
	if got := request.GetFileToGenerate(); !slices.Equal(got, []string{file.Path()}) {
		t.Errorf("file_to_generate is %q, want only %q", got, file.Path())
	}
	if got, want := len(request.GetProtoFile()), file.Imports().Len()+1; got != want {
		t.Errorf("there are %d files, want %d", got, want)
	}
	inOrder(t, request)
	if request.GetParameter() != "" {
		t.Errorf("the parameter is %q, want none: go_package is right", request.GetParameter())
	}
}

// TestElsewhere requests a package whose files have another go_package.
func TestElsewhere(t *testing.T) {
	file := protodesc.ToFileDescriptorProto(grpc_channelz_v1.File_grpc_channelz_v1_channelz_proto)
	file.Options.GoPackage = proto.String("example.com/elsewhere")
	files := registry(t, append(imports(), file)...)
	request, err := descriptors.Request(files, protoregistry.GlobalTypes, []string{channelz})
	if err != nil {
		t.Fatal(err)
	}
	if want := "M" + file.GetName() + "=" + channelz + ";grpc_channelz_v1"; request.GetParameter() != want {
		t.Errorf("the parameter is %q, want %q", request.GetParameter(), want)
	}
}

// TestOrder has files with several paths of imports between them. One is imported by a
// longer name than the one it is registered with.
func TestOrder(t *testing.T) {
	files := registry(t,
		file("kv.proto", "example.com/kv"),
		file("middle.proto", "example.com/middle", "etcd/api/kv.proto"),
		file("a.proto", "example.com/service", "middle.proto", "etcd/api/kv.proto"),
		file("b.proto", "example.com/service", "a.proto"),
		file("other.proto", "example.com/other", "a.proto"),
	)
	request, err := descriptors.Request(files, new(protoregistry.Types), []string{"example.com/service"})
	if err != nil {
		t.Fatal(err)
	}
	inOrder(t, request)
	if got, want := request.GetFileToGenerate(), []string{"a.proto", "b.proto"}; !slices.Equal(got, want) {
		t.Errorf("file_to_generate is %q, want %q", got, want)
	}
	if len(request.GetProtoFile()) != 4 {
		t.Errorf("there are %d files, want the two and those that they import", len(request.GetProtoFile()))
	}
}

func TestErrors(t *testing.T) {
	files := registry(t, file("a.proto", "example.com/service", "gone.proto"))
	for name, of := range map[string]string{
		"gone.proto is imported, but not registered":               "example.com/service",
		"these packages register no services: example.com/without": "example.com/without",
	} {
		if _, err := descriptors.Request(files, new(protoregistry.Types), []string{of}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error is %v, want %q", err, name)
		}
	}
}

// inOrder checks that each file follows those that it imports.
func inOrder(t *testing.T, request *pluginpb.CodeGeneratorRequest) {
	t.Helper()
	seen := map[string]bool{}
	for _, file := range request.GetProtoFile() {
		for _, imported := range file.GetDependency() {
			if !seen[imported] {
				t.Errorf("%s comes before %s, which it imports", file.GetName(), imported)
			}
		}
		if seen[file.GetName()] {
			t.Errorf("%s comes twice", file.GetName())
		}
		seen[file.GetName()] = true
	}
}

// file returns a file with a service and a message for its RPC.
func file(name, goPackage string, imports ...string) *descriptorpb.FileDescriptorProto {
	pkg := strings.TrimSuffix(name, ".proto")
	return &descriptorpb.FileDescriptorProto{
		Name:        proto.String(name),
		Package:     proto.String(pkg),
		Dependency:  imports,
		Options:     &descriptorpb.FileOptions{GoPackage: proto.String(goPackage)},
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Request")}},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: proto.String("Service"),
			Method: []*descriptorpb.MethodDescriptorProto{{
				Name:       proto.String("Call"),
				InputType:  proto.String("." + pkg + ".Request"),
				OutputType: proto.String("." + pkg + ".Request"),
			}},
		}},
	}
}

// imports returns the files that channelz.proto imports.
func imports() (files []*descriptorpb.FileDescriptorProto) {
	all := grpc_channelz_v1.File_grpc_channelz_v1_channelz_proto.Imports()
	for i := range all.Len() {
		files = append(files, protodesc.ToFileDescriptorProto(all.Get(i).FileDescriptor))
	}
	return files
}

func registry(t *testing.T, protos ...*descriptorpb.FileDescriptorProto) *protoregistry.Files {
	t.Helper()
	files := new(protoregistry.Files)
	for _, from := range protos {
		made, err := protodesc.FileOptions{AllowUnresolvable: true}.New(from, files)
		if err == nil {
			err = files.RegisterFile(made)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

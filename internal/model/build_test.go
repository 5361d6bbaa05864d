package model

import (
	"testing"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// file is a proto of package shared with one service, whose messages another
// module has.
func file(name, service, goPackage string) *descriptorpb.FileDescriptorProto {
	return &descriptorpb.FileDescriptorProto{
		Name:        proto.String(name),
		Package:     proto.String("shared"),
		Syntax:      proto.String("proto3"),
		Options:     &descriptorpb.FileOptions{GoPackage: proto.String(goPackage)},
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String(service + "Request")}},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: proto.String(service),
			Method: []*descriptorpb.MethodDescriptorProto{{
				Name:       proto.String("Do"),
				InputType:  proto.String(".shared." + service + "Request"),
				OutputType: proto.String(".shared." + service + "Request"),
			}},
		}},
	}
}

func TestForeignPackagesThatShareAProtoPackageStandApart(t *testing.T) {
	plugin, err := protogen.Options{}.New(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{"a.proto", "b.proto", "c.proto"},
		ProtoFile: []*descriptorpb.FileDescriptorProto{
			file("a.proto", "A", "example.org/apis/one/v1"),
			file("b.proto", "B", "example.org/apis/two/v1"),
			file("c.proto", "C", "example.org/other/two/v1"),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	app, err := Build(Module{Path: "example.com/shop"}, plugin, EventsNames)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"gen/shared/v1client", "gen/shared/v1/v1client", "gen/shared/two/v1/v1client"}
	for i, pkg := range app.Packages {
		if pkg.Client.Dir != want[i] {
			t.Errorf("the client of %s is in %s, want %s", pkg.Messages.Path, pkg.Client.Dir, want[i])
		}
	}
}

func TestMessagesInTheRuntimesFolderAreRefused(t *testing.T) {
	for goPackage, refused := range map[string]bool{
		"example.com/shop/internal/receiver-runtime":        true,
		"example.com/shop/internal/receiver-runtime/server": true,
		"example.com/shop/internal/receiver-runtimes":       false,
	} {
		plugin, err := protogen.Options{}.New(&pluginpb.CodeGeneratorRequest{
			FileToGenerate: []string{"a.proto"},
			ProtoFile:      []*descriptorpb.FileDescriptorProto{file("a.proto", "A", goPackage)},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Build(Module{Path: "example.com/shop"}, plugin, EventsNames); (err != nil) != refused {
			t.Errorf("with go_package %s the error is %v", goPackage, err)
		}
	}
}

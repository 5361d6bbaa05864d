package fuzz

import (
	"bytes"
	"fmt"
	"os/exec"
	"path"
	"strings"
	"sync"

	"google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

// stubs returns the path of the program protoc-gen-go-grpc.
var stubs = sync.OnceValues(func() (string, error) {
	path, err := exec.Command("go", "tool", "-n", "google.golang.org/grpc/cmd/protoc-gen-go-grpc").Output()
	return strings.TrimSpace(string(path)), err
})

// addTheirs adds to a module what protoc-gen-go and protoc-gen-go-grpc generate for all
// files of a request, except those of protobuf itself.
func addTheirs(m *goModule, request *pluginpb.CodeGeneratorRequest) error {
	request = proto.CloneOf(request)
	request.Parameter = nil
	request.FileToGenerate = nil
	for _, file := range request.ProtoFile {
		if !strings.HasPrefix(file.GetName(), "google/protobuf/") {
			request.FileToGenerate = append(request.FileToGenerate, file.GetName())
		}
	}
	gen, err := protogen.Options{}.New(request)
	if err != nil {
		return fmt.Errorf("protoc-gen-go: %w", err)
	}
	services := false
	for _, file := range gen.Files {
		if file.Generate {
			internal_gengo.GenerateFile(gen, file)
			services = services || len(file.Services) > 0
		}
	}
	if err := addResponse(m, "protoc-gen-go", gen.Response()); err != nil || !services {
		return err
	}
	response, err := runStubs(request)
	if err != nil {
		return err
	}
	return addResponse(m, "protoc-gen-go-grpc", response)
}

func runStubs(request *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	program, err := stubs()
	if err != nil {
		return nil, err
	}
	input, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	command := exec.Command(program)
	command.Stdin = bytes.NewReader(input)
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("protoc-gen-go-grpc: %w", err)
	}
	response := &pluginpb.CodeGeneratorResponse{}
	return response, proto.Unmarshal(output, response)
}

func addResponse(m *goModule, by string, response *pluginpb.CodeGeneratorResponse) error {
	if response.GetError() != "" {
		return fmt.Errorf("%s: %s", by, response.GetError())
	}
	for _, file := range response.File {
		if !kept(path.Base(file.GetName()), file.GetContent()) {
			if strings.Contains(file.GetContent(), "//go:build protoopaque") {
				continue
			}
			m.ignored = append(m.ignored, fmt.Sprintf("%s: a build ignores %s", by, file.GetName()))
		}
		if err := m.add(path.Dir(file.GetName()), path.Base(file.GetName()), file.GetContent()); err != nil {
			return fmt.Errorf("%s: %w", by, err)
		}
	}
	return nil
}

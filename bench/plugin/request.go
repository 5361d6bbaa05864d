package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/pluginpb"
)

// newRequest returns the request of protoc for protos with a total number of services.
func newRequest(services int) (*pluginpb.CodeGeneratorRequest, error) {
	texts, err := protos(services)
	if err != nil {
		return nil, err
	}
	return compile(texts)
}

// compile compiles protos, given by name, into a request with their comments.
func compile(texts map[string]string) (*pluginpb.CodeGeneratorRequest, error) {
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(texts)}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	names := slices.Sorted(maps.Keys(texts))
	files, err := compiler.Compile(context.Background(), names...)
	if err != nil {
		return nil, err
	}
	request := &pluginpb.CodeGeneratorRequest{FileToGenerate: names}
	added := map[string]bool{}
	for _, file := range files {
		add(request, file, added)
	}
	return request, nil
}

// add adds a file after those that it imports.
func add(request *pluginpb.CodeGeneratorRequest, file protoreflect.FileDescriptor, added map[string]bool) {
	if added[file.Path()] {
		return
	}
	added[file.Path()] = true
	imports := file.Imports()
	for i := range imports.Len() {
		add(request, imports.Get(i).FileDescriptor, added)
	}
	descriptor := protoutil.ProtoFromFileDescriptor(file)
	if result, ok := file.(linker.Result); ok {
		descriptor = result.FileDescriptorProto()
	}
	request.ProtoFile = append(request.ProtoFile, descriptor)
}

// writeRequests writes a request for each plugin, with its parameter, into a folder.
func writeRequests(services int, dir string) error {
	request, err := newRequest(services)
	if err != nil {
		return err
	}
	for _, p := range plugins {
		request.Parameter = proto.String(p.parameter)
		input, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, p.name), input, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// written is the size of what a plugin made.
type written struct{ files, bytes int }

// megabytes returns the size of the files' content.
func (w written) megabytes() float64 { return float64(w.bytes) / 1e6 }

// readResponse counts the files of a response, and writes them below the folders. If
// the response has an error, it returns that.
func readResponse(at string, dirs ...string) (w written, err error) {
	output, err := os.ReadFile(at)
	if err != nil {
		return w, err
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(output, &response); err != nil {
		return w, err
	}
	if response.Error != nil {
		return w, fmt.Errorf("the plugin answers: %s", response.GetError())
	}
	for _, file := range response.GetFile() {
		w.files++
		w.bytes += len(file.GetContent())
		for _, dir := range dirs {
			to := filepath.Join(dir, filepath.FromSlash(file.GetName()))
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return w, err
			}
			if err := os.WriteFile(to, []byte(file.GetContent()), 0o644); err != nil {
				return w, err
			}
		}
	}
	return w, nil
}

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

// newRequest is what protoc would ask a plugin for protos with so many services in all.
func newRequest(services int) (*pluginpb.CodeGeneratorRequest, error) {
	texts, err := protos(services)
	if err != nil {
		return nil, err
	}
	return compile(texts)
}

// compile compiles texts, by their names, into a request, the comments included.
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

// add puts a file behind those that it imports.
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

// written is what a plugin made.
type written struct{ files, bytes int }

// megabytes are those of the files' content.
func (w written) megabytes() float64 { return float64(w.bytes) / 1e6 }

// readResponse counts what a response has, and writes its files below the folders. The
// error that a response may say is one.
func readResponse(at string, into ...string) (w written, err error) {
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
		for _, dir := range into {
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

package acceptance

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// TestRulesAreReadOnEveryRoute generates from protos with rules of protovalidate with each
// tool: they pass the rules on in different ways. protoc and buf get validate.proto as
// descriptors, generate has it.
func TestRulesAreReadOnEveryRoute(t *testing.T) {
	t.Parallel()
	tool(t, "protoc", fromProtoc)
	tool(t, "buf", fromMake)
	const module = thisRepository + "/testdata/rules/golden"
	golden := tree(t, filepath.Join(repository(t), "testdata/rules/golden"))
	rules := filepath.Join(t.TempDir(), "validate.binpb")
	write(t, rules, string(descriptors(t, validate.File_buf_validate_validate_proto)))
	for name, generate := range map[string]func(dir string){
		"protoc": func(dir string) {
			run(t, dir, "protoc", "-I.", "--descriptor_set_in="+rules, "--go_out=.", "--go_opt=module="+module,
				"--go-grpc_out=.", "--go-grpc_opt=module="+module, "--receiver_out=.", "rules.proto", "parts.proto")
		},
		"buf": func(dir string) {
			run(t, dir, "protoc", "-I.", "--descriptor_set_in="+rules, "--include_imports", "--include_source_info",
				"-o", "image.binpb", "rules.proto", "parts.proto")
			write(t, filepath.Join(dir, "buf.gen.yaml"), strings.ReplaceAll(`version: v2
plugins:
  - local: protoc-gen-go
    out: .
    opt: module=MODULE
  - local: protoc-gen-go-grpc
    out: .
    opt: module=MODULE
  - local: protoc-gen-receiver
    out: .
`, "MODULE", module))
			run(t, dir, "buf", "generate", "image.binpb", "--path", "rules.proto", "--path", "parts.proto")
		},
		"protoc-gen-receiver": func(dir string) { run(t, dir, "protoc-gen-receiver", "generate") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			copyProtos(t, filepath.Join(repository(t), "testdata/rules"), dir)
			write(t, filepath.Join(dir, "go.mod"), "module "+module+"\n\ngo 1.26\n")
			generate(dir)
			made := tree(t, dir)
			if _, ok := made["internal/receiver-runtime/validate/validate.go"]; !ok {
				t.Error("the package that checks rules is not copied")
			}
			const server = "gen/rules/v1/rulesv1server/orders.go"
			_, got, _ := bytes.Cut(made[server], []byte("\n)\n")) // after the imports
			_, want, _ := bytes.Cut(golden[server], []byte("\n)\n"))
			if !bytes.Contains(want, []byte("validate.Rules(")) || !bytes.Equal(got, want) {
				t.Errorf("%s is\n%s\nwant\n%s", server, got, want)
			}
		})
	}
}

// descriptors returns a file and what it imports as an encoded FileDescriptorSet.
func descriptors(t *testing.T, file protoreflect.FileDescriptor) []byte {
	t.Helper()
	set, added := &descriptorpb.FileDescriptorSet{}, map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if added[file.Path()] {
			return
		}
		added[file.Path()] = true
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	add(file)
	encoded, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

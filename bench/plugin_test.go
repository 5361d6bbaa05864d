package bench

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/pluginpb"

	"example.com/receiver/gen/receiverpb"
)

// BenchmarkPlugin runs the plugin on receiver.proto as protoc does, from the
// start of the process to its end: into an empty module, and again over what it
// made. BenchmarkPlugin/nothing is what a process costs that has nothing to do.
func BenchmarkPlugin(b *testing.B) {
	plugin := filepath.Join(b.TempDir(), "protoc-gen-receiver")
	build := exec.Command("go", "build", "-o", plugin, "./cmd/protoc-gen-receiver")
	build.Dir = ".."
	if output, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, output)
	}
	file := protodesc.ToFileDescriptorProto(receiverpb.File_receiver_proto)
	request := &pluginpb.CodeGeneratorRequest{FileToGenerate: []string{file.GetName()}}
	request.ProtoFile = append(request.ProtoFile, protodesc.ToFileDescriptorProto(structpb.File_google_protobuf_struct_proto), file)
	input, err := proto.Marshal(request)
	if err != nil {
		b.Fatal(err)
	}
	root := b.TempDir()
	gomod, err := os.ReadFile("../examples/receiver/go.mod")
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "go.mod"), gomod, 0o644); err != nil {
		b.Fatal(err)
	}
	var response pluginpb.CodeGeneratorResponse
	b.Run("empty module", func(b *testing.B) {
		for b.Loop() {
			output := answer(b, plugin, root, input)
			if err := proto.Unmarshal(output, &response); err != nil || response.GetError() != "" {
				b.Fatal(err, response.GetError())
			}
		}
		b.ReportMetric(float64(len(response.GetFile())), "files")
	})
	for _, file := range response.GetFile() {
		at := filepath.Join(root, file.GetName())
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(file.GetContent()), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("over what is there", func(b *testing.B) {
		for b.Loop() {
			answer(b, plugin, root, input)
		}
	})
	b.Run("nothing", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command(plugin, "version").Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func answer(b *testing.B, plugin, root string, input []byte) []byte {
	command := exec.Command(plugin)
	command.Dir = root
	command.Stdin = bytes.NewReader(input)
	output, err := command.Output()
	if err != nil {
		b.Fatal(err)
	}
	return output
}

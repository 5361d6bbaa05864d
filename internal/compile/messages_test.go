package compile_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
)

// TestMessagesThatDoNotFitAreReported has messages of a proto that was not named, and
// messages of a proto that no longer exists. Both keep the module from building.
func TestMessagesThatDoNotFitAreReported(t *testing.T) {
	root, _ := demo(t)
	proto, err := os.ReadFile(filepath.Join(root, "receiver.proto"))
	if err != nil {
		t.Fatal(err)
	}
	service, event, _ := strings.Cut(string(proto), "// What happened in an application.")
	event, reply, _ := strings.Cut(event, "// What came of it.")
	head := "syntax = \"proto3\";\nimport \"google/protobuf/struct.proto\";\noption go_package = \"example.com/receiver/gen/receiverpb\";\n"
	writeFile(t, filepath.Join(root, "types.proto"), head+event)
	writeFile(t, filepath.Join(root, "receiver.proto"), strings.Replace(service, `"google/protobuf/struct.proto"`, `"types.proto"`, 1)+reply)
	prints := func(want string, args ...string) {
		t.Helper()
		var out, stderr bytes.Buffer
		if err := compile.Generate(context.Background(), append([]string{"--receiver_opt=root=" + root, "-I", root}, args...), &out, &stderr); err != nil {
			t.Fatal(err)
		}
		if got := stderr.String(); strings.ReplaceAll(got, root, "ROOT") != want {
			t.Errorf("it prints %q, want %q", got, want)
		}
	}
	prints("protoc-gen-receiver: types.proto: it is imported, but its messages are not in gen/receiverpb: name it, too\n", "receiver.proto")
	prints("")
	prints("", "receiver.proto")
	if err := os.Rename(filepath.Join(root, "types.proto"), filepath.Join(root, "events.proto")); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(root, "receiver.proto"), strings.Replace(service, `"google/protobuf/struct.proto"`, `"events.proto"`, 1)+reply)
	stale := "protoc-gen-receiver: gen/receiverpb/types.pb.go: it was made from types.proto, which is not below ROOT: if that proto no longer exists, delete this file\n"
	prints(stale)
	prints(stale)
	if err := os.Remove(filepath.Join(root, "gen", "receiverpb", "types.pb.go")); err != nil {
		t.Fatal(err)
	}
	prints("")
	if err := os.Rename(filepath.Join(root, "receiver.proto"), filepath.Join(root, "intake.proto")); err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, at := range []string{"receiver.pb.go", "receiver_grpc.pb.go"} {
		lines.WriteString("protoc-gen-receiver: gen/receiverpb/" + at + ": it was made from receiver.proto, which is not below ROOT: if that proto no longer exists, delete this file\n")
	}
	prints(lines.String())
}

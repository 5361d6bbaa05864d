package compile_test

import (
	"bytes"
	"context"
	"fmt"
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
		if err := compile.Generate(context.Background(), asked(append([]string{"--receiver_opt=root=" + root, "-I", root}, args...)), &out, &stderr); err != nil {
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
	lines.WriteString("protoc-gen-receiver: for the build, files of protoc-gen-go and protoc-gen-go-grpc:\n")
	for _, at := range []string{"receiver.pb.go", "receiver_grpc.pb.go"} {
		lines.WriteString("protoc-gen-receiver:   gen/receiverpb/" + at + ": it was made from receiver.proto, which is not below ROOT: if that proto no longer exists, delete this file\n")
	}
	prints(lines.String())
	for _, at := range []string{"receiver.pb.go", "receiver_grpc.pb.go"} {
		if err := os.Remove(filepath.Join(root, "gen", "receiverpb", at)); err != nil {
			t.Fatal(err)
		}
	}
	for _, program := range []string{"intake", "receiver"} { // without a proto package they are called as the file
		for _, main := range []string{"server", "client"} {
			if err := os.RemoveAll(filepath.Join(root, "cmd", program+"-"+main)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The service moves to the other proto, which does not change its name.
	writeFile(t, filepath.Join(root, "events.proto"), service+event+reply)
	writeFile(t, filepath.Join(root, "intake.proto"), "syntax = \"proto3\";\noption go_package = \"example.com/receiver/gen/receiverpb\";\n")
	stale = "protoc-gen-receiver: gen/receiverpb/intake_grpc.pb.go: it was made from intake.proto, which declares no service any longer: delete this file\n"
	const records = "protoc-gen-receiver: done:\n" +
		"protoc-gen-receiver:   internal/zz-receiver-scaffold/program-intake.txt: deleted, because it is no longer generated\n" +
		"protoc-gen-receiver:   internal/zz-receiver-scaffold/program-receiver.txt: deleted, because it is no longer generated\n"
	prints(records + stale) // what has to be done comes last
	prints(stale)
	if err := os.Remove(filepath.Join(root, "gen", "receiverpb", "intake_grpc.pb.go")); err != nil {
		t.Fatal(err)
	}
	prints("")
}

// TestImportsThatAreNotNamedAreOneLine imports five protos, and names none of them.
func TestImportsThatAreNotNamedAreOneLine(t *testing.T) {
	toolsOnPath(t)
	root := t.TempDir()
	copyFile(t, "../../examples/receiver/go.mod", filepath.Join(root, "go.mod"))
	imports, fields := "", ""
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		writeFile(t, filepath.Join(root, name+".proto"), fmt.Sprintf("syntax = \"proto3\";\npackage %[1]s;\noption go_package = \"example.com/receiver/gen/%[1]spb\";\nmessage M {}\n", name))
		imports += fmt.Sprintf("import \"%s.proto\";\n", name)
		fields += fmt.Sprintf("  %s.M %[1]s = %d;\n", name, i+1)
	}
	writeFile(t, filepath.Join(root, "all.proto"), "syntax = \"proto3\";\npackage all;\n"+imports+
		"option go_package = \"example.com/receiver/gen/allpb\";\nservice All { rpc Put(Request) returns (Request); }\nmessage Request {\n"+fields+"}\n")
	var out, stderr bytes.Buffer
	if err := compile.Generate(context.Background(), asked([]string{"--receiver_opt=root=" + root, "-I", root, "all.proto"}), &out, &stderr); err != nil {
		t.Fatal(err)
	}
	const want = "protoc-gen-receiver: a.proto: it is imported, but its messages are not in gen/apb: name it, too (and 4 more: b.proto, c.proto, d.proto, …)\n"
	if got := stderr.String(); got != want {
		t.Errorf("it prints %q, want %q", got, want)
	}
}

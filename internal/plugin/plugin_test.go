package plugin_test

import (
	"context"
	"fmt"
	"go/build"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
)

// TestSameBytesWhateverTheOrder: the order of the files in a request, and how
// many processors there are, make no difference.
func TestSameBytesWhateverTheOrder(t *testing.T) {
	const dir = "../../testdata/foreign"
	files := []string{"grpc/health/v1/health.proto", "house/common/v1/common.proto", "house/shop/v1/shop.proto", "house/shop/v2/shop.proto"}
	root := t.TempDir()
	gomod := "module github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden\n"
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte(gomod), 0o644); err != nil {
		t.Fatal(err)
	}
	respond := func(files []string) []byte {
		request, err := compile.Request(context.Background(), []string{dir}, files)
		if err != nil {
			t.Fatal(err)
		}
		request.Parameter = proto.String("root=" + root)
		var lines []string
		response := plugin.Respond(request, func(line string) { lines = append(lines, line) })
		if len(lines) != 1 || !strings.HasPrefix(lines[0], "go.mod does not require all modules that the code imports; for the versions that it was tested with: go get connectrpc.com/connect/v2@v") {
			t.Errorf("it prints %q, want what go.mod lacks alone", lines)
		}
		if response.GetError() != "" || len(response.GetFile()) < 40 {
			t.Fatal(response.GetError(), len(response.GetFile()))
		}
		bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(response)
		if err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	want := respond(files)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for n := range 6 {
		runtime.GOMAXPROCS(1 + n%3)
		slices.Reverse(files[:2+n%3])
		if !slices.Equal(respond(files), want) {
			t.Errorf("in the order %q the response is another", files)
		}
	}
}

// TestTheResponseEndsWithWhatShowsTheNextRun that all of it was written.
func TestTheResponseEndsWithWhatShowsTheNextRun(t *testing.T) {
	request, root := demoRequest(t)
	request.Parameter = proto.String("root=" + root)
	var turns []string
	for _, file := range plugin.Respond(request, func(string) {}).GetFile() {
		turn := "ours"
		switch name := file.GetName(); {
		case strings.HasPrefix(name, "internal/zz-receiver-scaffold/"):
			turn = "record"
		case strings.HasPrefix(name, "internal/receiver/") && strings.HasSuffix(name, "_test.go") || name == "cmd/receiver-server/main_test.go":
			turn = "your test"
		case strings.HasPrefix(name, "internal/receiver/") || strings.HasSuffix(name, "/main.go") || strings.HasPrefix(name, "deploy/"):
			turn = "yours"
		case slices.Contains([]string{"cmd/receiver-client/commands.go", "gen/receiverpb/receiverclient/client.go", "gen/receiverpb/receiverclient/receiver.go", "gen/receiverpb/receiverevents/event.go",
			"gen/receiverpb/receiverserver/receiver.go", "gen/receiverpb/receivertest/receiver_receive.go", "cmd/receiver-server/prove_test.go"}, name):
			turn = "trace"
		}
		turns = append(turns, turn)
	}
	if want := []string{"your test", "yours", "ours", "trace", "record"}; !slices.Equal(slices.Compact(turns), want) {
		t.Errorf("it writes %q, want %q", slices.Compact(turns), want)
	}
}

// TestARuntimeThatCannotBeImportedIsRefused, because it is internal to another module.
func TestARuntimeThatCannotBeImportedIsRefused(t *testing.T) {
	request, root := demoRequest(t)
	for path, refused := range map[string]bool{
		"example.com/receiver/internal/r": false, "example.com/internal/r": false, "example.com/r": false, "internal/r": true,
		"example.com/other/internal": true, "example.com/other/internal/r": true, "example.com/receiver2/internal/r": true,
	} {
		request.Parameter = proto.String("root=" + root + ",runtime=" + path)
		response := plugin.Respond(proto.CloneOf(request), func(string) {})
		if got := strings.HasPrefix(response.GetError(), `option "runtime=`+path+`": packages of example.com/receiver can't import what is internal to `); got != refused || !refused && response.GetError() != "" {
			t.Errorf("the error of runtime=%s is %q", path, response.GetError())
		}
	}
}

// demoRequest returns a request for the demo, and an empty module for it.
func demoRequest(t *testing.T) (request *pluginpb.CodeGeneratorRequest, root string) {
	t.Helper()
	root = t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module example.com/receiver\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	request, err := compile.Request(context.Background(), []string{"../../examples/receiver"}, []string{"receiver.proto"})
	if err != nil {
		t.Fatal(err)
	}
	return request, root
}

func TestARequestWithoutCommentsIsRefused(t *testing.T) {
	request, root := demoRequest(t)
	for _, file := range request.GetProtoFile() {
		file.SourceCodeInfo = nil
	}
	for events, refused := range map[string]bool{"auto": true, "names": false, "off": false} {
		request.Parameter = proto.String("root=" + root + ",events=" + events)
		response := plugin.Respond(proto.CloneOf(request), func(string) {})
		if (response.GetError() != "") != refused || (len(response.GetFile()) > 0) == refused {
			t.Errorf("with events=%s the error is %q, and there are %d files", events, response.GetError(), len(response.GetFile()))
		}
	}
}

// TestCommentsOfWellKnownTypesAreNotUsed: protoc, buf and generate have different
// releases of google/protobuf, with other comments. A test of the routes would need
// all of them.
func TestCommentsOfWellKnownTypesAreNotUsed(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/well\n",
		"well.proto": `syntax = "proto3";
package well;
option go_package = "example.com/well/gen/wellpb";
import "google/protobuf/api.proto";
import "google/protobuf/duration.proto";
service Well {
  // receiver:event
  rpc Put(google.protobuf.Api) returns (google.protobuf.Duration);
  rpc Get(google.protobuf.Duration) returns (google.protobuf.Api);
  rpc Hold(Held) returns (Held);
}
message Held {
  // Ours.
  google.protobuf.Api api = 1;
}
`,
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	request, err := compile.Request(context.Background(), []string{root}, []string{"well.proto"})
	if err != nil {
		t.Fatal(err)
	}
	request.Parameter = proto.String("root=" + root)
	ours := plugin.Respond(request, func(string) {})
	used := false
	for _, file := range ours.GetFile() {
		used = used || strings.Contains(file.GetContent(), "Ours.")
	}
	if ours.GetError() != "" || !used {
		t.Fatalf("the error is %q, and our own comment is used: %t", ours.GetError(), used)
	}
	for _, file := range request.GetProtoFile() {
		if !strings.HasPrefix(file.GetName(), "google/protobuf/") {
			continue
		}
		file.SourceCodeInfo = &descriptorpb.SourceCodeInfo{} // which is all that the built-in ones have
		comment := func(path ...int32) {
			file.SourceCodeInfo.Location = append(file.SourceCodeInfo.Location, &descriptorpb.SourceCodeInfo_Location{
				Path: path, Span: []int32{1, 2, 3}, LeadingComments: proto.String(" Another release."),
			})
		}
		for i, message := range file.GetMessageType() {
			comment(4, int32(i))
			for j := range message.GetField() {
				comment(4, int32(i), 2, int32(j))
			}
		}
	}
	if theirs := plugin.Respond(request, func(string) {}); !proto.Equal(ours, theirs) {
		t.Error("with other comments in google/protobuf, other files are made")
	}
}

// TestForeignMessagesAreOneLine: a plugin can only warn of messages in other modules,
// and of many of them once.
func TestForeignMessagesAreOneLine(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module example.com/other\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	request, err := compile.Request(context.Background(), []string{"../../testdata/many-foreign"}, []string{"a.proto", "b.proto", "c.proto", "d.proto", "e.proto", "f.proto"})
	if err != nil {
		t.Fatal(err)
	}
	request.Parameter = proto.String("root=" + root)
	var got []string
	response := plugin.Respond(request, func(line string) {
		if strings.Contains(line, "get no Go code") {
			got = append(got, strings.TrimSpace(line)) // it is below a heading
		}
	})
	const want = "a.proto: its messages get no Go code, because their go_package example.org/apis/a/v1 is neither in the module example.com/other nor in one that go.mod requires: " +
		"change go_package, or run go get for that module (and 5 more: b.proto, c.proto, d.proto, …)"
	if response.GetError() != "" || len(got) != 1 || got[0] != want {
		t.Errorf("it prints %q (error %q), want %q", got, response.GetError(), want)
	}
}

// TestGoBuildsEveryFileEverywhere: whatever names a proto has, the Go command passes
// over none of the files, on no system, and takes none for a test that is not one.
func TestGoBuildsEveryFileEverywhere(t *testing.T) {
	root := t.TempDir()
	names := []string{"DevWindows", "dev_windows", "A_linux_amd64", "PutTest", "put_test", "Windows", "Test", "Js_wasm_test", "_Hidden", "_windows"}
	var proto3 strings.Builder
	proto3.WriteString("syntax = \"proto3\";\npackage some_linux.x_test;\noption go_package = \"example.com/odd/gen/all_windows;all_windows\";\nmessage Reply {}\n")
	for i, name := range names {
		fmt.Fprintf(&proto3, "message E%d_%s { string event_type = 1; string source = 2; }\nservice S%[1]d_%[2]s {\n", i, name)
		for j, rpc := range names {
			if rpc != "dev_windows" && rpc != "put_test" { // one Go method with DevWindows
				fmt.Fprintf(&proto3, "  // receiver:event\n  rpc %s(E%d_%s) returns (Reply);\n", rpc, j, names[j])
			}
		}
		proto3.WriteString("}\n")
	}
	proto3.WriteString("service linux { rpc test(Reply) returns (Reply); }\nservice _arm64 { rpc _386(Reply) returns (Reply); }\n")
	for name, text := range map[string]string{"go.mod": "module example.com/odd\n", "x_test.proto": proto3.String()} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	request, err := compile.Request(context.Background(), []string{root}, []string{"x_test.proto"})
	if err != nil {
		t.Fatal(err)
	}
	request.Parameter = proto.String("root=" + root)
	response := plugin.Respond(request, func(string) {})
	if response.GetError() != "" || len(response.GetFile()) < 200 {
		t.Fatal(response.GetError(), len(response.GetFile()))
	}
	elsewhere := build.Default
	elsewhere.GOOS, elsewhere.GOARCH, elsewhere.BuildTags = "elsewhere", "elsewhere", []string{"prove"}
	for _, file := range response.GetFile() {
		if filepath.Ext(file.GetName()) != ".go" || strings.HasPrefix(file.GetName(), "internal/receiver-runtime/") {
			continue
		}
		elsewhere.OpenFile = func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(file.GetContent())), nil }
		if matches, err := elsewhere.MatchFile(".", filepath.Base(file.GetName())); err != nil || !matches {
			t.Errorf("Go does not build %s everywhere (%v)", file.GetName(), err)
		}
		if strings.HasSuffix(file.GetName(), "_test.go") && !strings.Contains(file.GetContent(), "(t *testing.T)") && !strings.Contains(file.GetContent(), "(t testing.TB") {
			t.Errorf("Go takes %s for a test", file.GetName())
		}
	}
}

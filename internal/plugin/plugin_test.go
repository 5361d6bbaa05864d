package plugin_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
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
		if len(lines) != 1 || !strings.HasPrefix(lines[0], "go.mod does not require all modules that the code imports; for the versions that it was tested with: go get github.com/google/uuid@v") {
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
		case strings.HasPrefix(name, "internal/receiver/") && strings.HasSuffix(name, "_test.go"):
			turn = "your test"
		case strings.HasPrefix(name, "internal/receiver/") || strings.HasSuffix(name, "/main.go"):
			turn = "yours"
		case slices.Contains([]string{"cmd/receiver-client/commands.go", "gen/receiverpb/receiverclient/client.go", "gen/receiverpb/receiverclient/receiver.go", "gen/receiverpb/receiverevents/event.go",
			"gen/receiverpb/receiverserver/receiver.go", "gen/receiverpb/receivertest/receiver_receive.go"}, name):
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

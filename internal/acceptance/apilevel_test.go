package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const veiledProto = `syntax = "proto3";
package veil.v1;
option go_package = "example.com/veil/gen/veilpb";
import "google/protobuf/timestamp.proto";
service Veil {
  rpc Put(PutEvent) returns (Reply);
  rpc Batch(Puts) returns (Counted);
  rpc Flow(stream PutEvent) returns (stream Reply);
  rpc Load(stream PutEvent) returns (Counted);
  // receiver:tail
  rpc Follow(From) returns (stream PutEvent);
}
message PutEvent {
  string event_id = 4;
  string event_type = 1;
  string source = 2;
  google.protobuf.Timestamp time = 3;
  optional int32 n = 5;
  oneof k { string a = 6; bytes b = 7; }
  map<string, int64> m = 8;
  repeated string r = 9;
}
message Puts { repeated PutEvent puts = 1; }
message From { int64 after = 1; google.protobuf.Timestamp since = 2; }
message Reply { int32 status = 1; string message = 2; }
message Counted { int64 received = 1; string message = 2; }
`

// veil returns a module with messages that may have any API.
func veil(t *testing.T) (dir string) {
	dir = t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module example.com/veil\n\ngo 1.26\n")
	write(t, filepath.Join(dir, "veil.proto"), veiledProto)
	return dir
}

// What is generated builds and passes its tests whichever API the option of
// protoc-gen-go gives the messages, also if that changes between the two with builders.
func TestAnyAPIOfMessages(t *testing.T) {
	t.Parallel()
	dir := veil(t)
	for _, level := range []string{"API_HYBRID", "API_OPAQUE", "API_HYBRID"} {
		run(t, dir, "protoc-gen-receiver", "generate", lean, "--go_opt=default_api_level="+level)
		run(t, dir, "go", "mod", "tidy")
		run(t, dir, "go", "vet", "./...")
	}
	run(t, dir, "go", "vet", "-tags=protoopaque", "./...")
	run(t, dir, "go", "test", "./...")
	for _, name := range []string{"put.go", "batch.go", "flow.go", "load.go"} {
		text, err := os.ReadFile(filepath.Join(dir, "internal/veil/v1/veil", name))
		if err != nil || !strings.Contains(string(text), "Message: ") {
			t.Errorf("%s does not fill in the message of its reply (%v):\n%s", name, err, text)
		}
	}
	if output := run(t, dir, "protoc-gen-receiver", "generate", "--receiver_opt=default_api_level=API_HYBRID", "--check"); output != "" {
		t.Errorf("with the same option for protoc-gen-receiver it prints\n%s", output)
	}
	// What is on disk says nothing of what generate is about to write.
	if output := run(t, dir, "protoc-gen-receiver", "generate"); output != "" {
		t.Errorf("without the option it prints\n%s", output)
	}
}

// A plugin does not see the options of another: it says which one it lacks, as soon as
// the messages are on disk.
func TestAPluginSaysWhichAPIItWasNotToldOf(t *testing.T) {
	t.Parallel()
	tool(t, "protoc", fromProtoc)
	for level, api := range map[string]string{"API_OPAQUE": "opaque", "API_HYBRID": "hybrid"} {
		dir := veil(t)
		generate := func(options ...string) string {
			return run(t, dir, "protoc", append([]string{"--go_out=.", "--go_opt=module=example.com/veil,default_api_level=" + level,
				"--receiver_out=.", "veil.proto"}, options...)...)
		}
		generate()
		want := "gen/veilpb: protoc-gen-go made its messages with the " + api + " API: pass its option default_api_level=" + level + " to protoc-gen-receiver, too; "
		if output := generate(); !strings.Contains(output, want) {
			t.Errorf("it prints\n%s\nwant %s", output, want)
		}
		if output := generate("--receiver_opt=default_api_level=" + level); strings.Contains(output, "API") {
			t.Errorf("with the option it prints\n%s", output)
		}
	}
}

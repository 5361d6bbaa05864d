package compile_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
)

// demo returns a module in which the demo was generated, and a function that runs
// generate in it.
func demo(t *testing.T) (root string, generate func(args ...string) (shown string, err error)) {
	t.Helper()
	toolsOnPath(t)
	root = t.TempDir()
	for _, name := range []string{"receiver.proto", "go.mod", "go.sum"} {
		copyFile(t, filepath.Join("../../examples/receiver", name), filepath.Join(root, name))
	}
	generate = func(args ...string) (string, error) {
		var out bytes.Buffer
		err := compile.Generate(context.Background(), asked(append([]string{"--receiver_opt=root=" + root, "-I", root}, args...)), &out, os.Stderr)
		return out.String(), err
	}
	if _, err := generate(); err != nil {
		t.Fatal(err)
	}
	return root, generate
}

func TestCheckWritesNothingAndShowsWhatWouldChange(t *testing.T) {
	root, generate := demo(t)
	for _, flag := range []string{"--check", "--diff", "--receiver_opt=check=true"} {
		if shown, err := generate(flag); err != nil || shown != "" {
			t.Errorf("right after generate, %s shows %q (%v)", flag, shown, err)
		}
	}
	gone := filepath.Join("internal", "receiver-runtime", "eventlog", "old.go")
	writeFile(t, filepath.Join(root, gone), "// "+keep.Marker+"\n\npackage eventlog\n")
	client := filepath.Join("gen", "receiverpb", "receiverclient", "receiver.go")
	changed, err := os.ReadFile(filepath.Join(root, client))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(root, client), string(changed)+"// more\n")
	text, err := os.ReadFile(filepath.Join(root, "receiver.proto"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(root, "receiver.proto"), strings.Replace(string(text), "rpc receive", "rpc send (Event) returns (Reply) {}\n  rpc receive", 1))
	before := contents(t, root)
	for flag, wants := range map[string][]string{
		"--check": {
			"add internal/receiver/send.go\n", "add internal/receiver/send_test.go\n", "add internal/receiver/testdata/send.json\n", "change gen/receiverpb/receiverclient/receiver.go\n",
			"change gen/receiverpb/receiver_grpc.pb.go\n", "delete internal/receiver-runtime/eventlog/old.go\n",
		},
		"--diff": {
			"add internal/receiver/send.go\n--- /dev/null\n+++ b/internal/receiver/send.go\n@@ -0,0 +1,", "\n-// more\n",
			"delete internal/receiver-runtime/eventlog/old.go\n--- a/internal/receiver-runtime/eventlog/old.go\n+++ /dev/null\n@@ -1,3 +0,0 @@\n",
		},
	} {
		shown, err := generate(flag)
		if err == nil || !strings.Contains(err.Error(), "not up to date with the protos") {
			t.Errorf("the error of %s is %v", flag, err)
		}
		for _, want := range wants {
			if !strings.Contains(shown, want) {
				t.Errorf("%s shows\n%s\nwant in it %q", flag, shown, want)
			}
		}
	}
	for name, text := range contents(t, root) {
		if before[name] != text {
			t.Errorf("%s was written", name)
		}
	}
	if _, err := generate(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, gone)); err == nil {
		t.Errorf("generate left %s, which is no longer made", gone)
	}
	if shown, err := generate("--check"); err != nil || shown != "" {
		t.Errorf("after generate, --check shows %q (%v)", shown, err)
	}
}

// TestNothingIsWrittenIfNotEverythingCanBe has a file that can't be written, the last
// of many.
func TestNothingIsWrittenIfNotEverythingCanBe(t *testing.T) {
	root, generate := demo(t)
	for _, name := range []string{"gen", "cmd", "internal"} {
		if err := os.RemoveAll(filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	inTheWay := filepath.Join(root, "gen", "receiverpb", "receiver_grpc.pb.go", "x")
	if err := os.MkdirAll(filepath.Dir(inTheWay), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, inTheWay, "this folder is in the way of a file")
	before := contents(t, root)
	if _, err := generate(); err == nil || !strings.Contains(err.Error(), "Nothing was written") {
		t.Errorf("the error is %v", err)
	}
	after := contents(t, root)
	if len(after) != len(before) {
		t.Errorf("there are %d files, but there were %d", len(after), len(before))
	}
	for _, name := range []string{"cmd", "internal"} {
		if _, err := os.Stat(filepath.Join(root, name)); err == nil {
			t.Errorf("the folder %s was left", name)
		}
	}
}

// contents returns the files below a folder with their contents.
func contents(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range files(t, root) {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(text)
	}
	return all
}

func writeFile(t *testing.T, at, text string) {
	t.Helper()
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestAFileOfARemovedTemplate is deleted, whatever its ending, unless it is yours
// by now. A plugin can't delete it, and asks for that.
func TestAFileOfARemovedTemplate(t *testing.T) {
	root, _ := demo(t)
	house := t.TempDir()
	run := func() (printed string) {
		t.Helper()
		var notes bytes.Buffer
		err := compile.Generate(context.Background(), asked([]string{"--receiver_opt=root=" + root, "--receiver_opt=templates=" + house, "-I", root}), &notes, &notes)
		if err != nil {
			t.Fatal(err)
		}
		return notes.String()
	}
	if err := os.Mkdir(filepath.Join(house, "module"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Dockerfile", "compose.yaml", "fly.toml"} {
		writeFile(t, filepath.Join(house, "module", name+".tmpl"), "# "+keep.Marker+"\n# of {{.Path}}\n")
	}
	if printed := run(); printed != "" {
		t.Fatal(printed)
	}
	writeFile(t, filepath.Join(root, "compose.yaml"), "# of mine\n")
	for _, name := range []string{"Dockerfile", "compose.yaml"} {
		if err := os.Remove(filepath.Join(house, "module", name+".tmpl")); err != nil {
			t.Fatal(err)
		}
	}
	request, err := compile.Request(context.Background(), []string{root}, []string{"receiver.proto"})
	if err != nil {
		t.Fatal(err)
	}
	request.Parameter = proto.String("root=" + root + ",templates=" + house)
	var lines []string
	for _, file := range plugin.Respond(request, func(line string) { lines = append(lines, line) }).GetFile() {
		if file.GetName() == "Dockerfile" {
			t.Errorf("the plugin writes Dockerfile as %q", file.GetContent())
		}
	}
	if want := []string{"Dockerfile: no longer generated: delete it"}; !slices.Equal(lines, want) {
		t.Errorf("the plugin prints %q, want %q", lines, want)
	}
	if printed, want := run(), "protoc-gen-receiver: Dockerfile: deleted, because it is no longer generated\n"; printed != want {
		t.Errorf("generate prints %q, want %q", printed, want)
	}
	for name, want := range map[string]bool{"Dockerfile": false, "compose.yaml": true, "fly.toml": true} {
		if _, err := os.Stat(filepath.Join(root, name)); (err == nil) != want {
			t.Errorf("%s is there: %t, want %t", name, err == nil, want)
		}
	}
}

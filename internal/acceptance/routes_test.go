package acceptance

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// routes are the tools that run the plugins.
var routes = []struct {
	name     string
	howToGet string
	run      func(t *testing.T, dir string) string
}{
	{"protoc", fromProtoc, func(t *testing.T, dir string) string {
		return run(t, dir, "protoc", "--go_out=.", "--go_opt=module=example.com/receiver",
			"--go-grpc_out=.", "--go-grpc_opt=module=example.com/receiver", "--receiver_out=.", "receiver.proto")
	}},
	{"buf", fromMake, func(t *testing.T, dir string) string {
		write(t, filepath.Join(dir, "buf.yaml"), "version: v2\n")
		write(t, filepath.Join(dir, "buf.gen.yaml"), `version: v2
plugins:
  - local: protoc-gen-go
    out: .
    opt: module=example.com/receiver
  - local: protoc-gen-go-grpc
    out: .
    opt: module=example.com/receiver
  - local: protoc-gen-receiver
    out: .
`)
		return run(t, dir, "buf", "generate")
	}},
	{"protoc-gen-receiver", fromMake, func(t *testing.T, dir string) string {
		return run(t, dir, "protoc-gen-receiver", "generate", "receiver.proto")
	}},
}

// TestEveryRouteGivesTheSameBytes generates the demo twice with each tool, in an empty
// module, and compares it with what is checked in.
func TestEveryRouteGivesTheSameBytes(t *testing.T) {
	want := tree(t, filepath.Join(repository(t), "examples/receiver"))
	for _, route := range routes {
		t.Run(route.name, func(t *testing.T) {
			if route.name != "protoc-gen-receiver" {
				tool(t, route.name, route.howToGet)
			}
			dir := newModule(t)
			route.run(t, dir)
			first := tree(t, dir)
			if len(first) < 30 {
				t.Fatalf("only %d files were generated", len(first))
			}
			for name, text := range first {
				if !bytes.Equal(text, want[name]) {
					t.Errorf("%s is not as checked in:\n%s", name, text)
				}
			}
			for name := range want {
				if _, ok := first[name]; !ok {
					t.Errorf("%s was not generated", name)
				}
			}
			begin := time.Now()
			route.run(t, dir)
			for name, text := range tree(t, dir) {
				if !bytes.Equal(text, first[name]) {
					t.Errorf("%s was generated differently the second time", name)
				}
				info, err := os.Stat(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if route.name == "protoc-gen-receiver" && info.ModTime().After(begin) {
					t.Errorf("%s was written the second time, although nothing changed", name)
				}
			}
		})
	}
}

// newModule makes a module that has only receiver.proto, outside of this repository.
func newModule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	run(t, dir, "go", "mod", "init", "example.com/receiver")
	proto, err := os.ReadFile(filepath.Join(repository(t), "examples/receiver/receiver.proto"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "receiver.proto"), string(proto))
	return dir
}

func write(t *testing.T, at, text string) {
	t.Helper()
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestBufGeneratesFromEdition2024 generates with buf from protos that the compiler of
// generate can't read yet, and tests what comes of them.
func TestBufGeneratesFromEdition2024(t *testing.T) {
	t.Parallel()
	tool(t, "buf", fromMake)
	dir := t.TempDir()
	copyProtos(t, filepath.Join(repository(t), "testdata/edition-2024"), dir)
	module := thisRepository + "/testdata/edition-2024/golden"
	write(t, filepath.Join(dir, "go.mod"), "module "+module+"\n\ngo 1.26\n")
	write(t, filepath.Join(dir, "buf.yaml"), "version: v2\n")
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
    opt: [parts=none, deploy=none]
`, "MODULE", module))
	_, args, _ := strings.Cut(run(t, dir, "buf", "generate"), "go get ")
	run(t, dir, "go", append([]string{"get"}, strings.Fields(args)...)...)
	run(t, dir, "go", "mod", "tidy")
	run(t, dir, "go", "test", "./...")
}

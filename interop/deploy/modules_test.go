// Package deploy tests what is generated to deploy servers, with the libraries of the
// tools that read it: BuildKit's, Compose's, Kubernetes's, Prometheus's, NATS's, and
// systemd-analyze.
package deploy

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
)

// kinds are modules of which each has other files to deploy its server: by the option of
// the generator, after the name of the message that its RPC takes.
var kinds = map[string]struct{ message, option string }{
	"events":     {"BankEvent", "events=auto"},
	"no events":  {"Deposit", "events=auto"},
	"one engine": {"BankEvent", "engines=sqlite"},
	"no parts":   {"BankEvent", "parts=none"},
}

// each runs a test in each of the modules, with the folder that deploys its server.
func each(t *testing.T, test func(t *testing.T, dir string)) {
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		t.Run(kind, func(t *testing.T) { test(t, module(t, kind)) })
	}
}

// module generates a module, and returns the folder that deploys its server.
func module(t *testing.T, kind string) (dir string) {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "go.mod"), "module example.com/bank\n\ngo 1.26.0\n")
	write(t, filepath.Join(root, "bank.proto"), strings.ReplaceAll(`syntax = "proto3";
package bank.v1;
option go_package = "example.com/bank/gen/bankv1";
service Bank {
  rpc Put(MESSAGE) returns (Reply);
  rpc Follow(Reply) returns (stream Reply);
}
message MESSAGE { string event_type = 1; string source = 2; }
message Reply { string message = 1; }
`, "MESSAGE", kinds[kind].message))
	generate(t, root, "bank.proto", kinds[kind].option)
	return filepath.Join(root, "deploy", "bank-server")
}

// generate writes the files that are generated for a proto of a module, except those of
// other plugins.
func generate(t *testing.T, root, file, option string) {
	t.Helper()
	request, err := compile.Request(context.Background(), []string{root}, []string{file})
	if err != nil {
		t.Fatal(err)
	}
	request.Parameter = proto.String("root=" + root + "," + option)
	response := plugin.Respond(request, func(string) {})
	if response.GetError() != "" {
		t.Fatal(response.GetError())
	}
	for _, file := range response.GetFile() {
		write(t, filepath.Join(root, filepath.FromSlash(file.GetName())), file.GetContent())
	}
}

func write(t *testing.T, at, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, at ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(at...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// exists reports whether there is a file. Some kinds of modules lack some.
func exists(at ...string) bool {
	_, err := os.Stat(filepath.Join(at...))
	return err == nil
}

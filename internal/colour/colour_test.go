package colour_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/colour"
)

func TestWhatIsColoured(t *testing.T) {
	for _, test := range []struct {
		change     func(string) string
		line, want string
	}{
		{colour.Error, "protoc-gen-receiver: a/b.proto:12:3: rpc Watch: a tail", "\x1b[31mprotoc-gen-receiver:\x1b[0m \x1b[1ma/b.proto:12:3\x1b[0m: rpc Watch: a tail"},
		{colour.Error, "a/b.proto:13:3: rpc Take", "\x1b[1ma/b.proto:13:3\x1b[0m: rpc Take"},
		{colour.Error, "protoc-gen-receiver: no go.mod in .: run go mod init", "\x1b[31mprotoc-gen-receiver:\x1b[0m no go.mod in .: run go mod init"},
		{colour.Error, "Nothing was written", "Nothing was written"},
		{colour.Warning, "protoc-gen-receiver:   internal/a.go:7-9: x", "\x1b[33mprotoc-gen-receiver:\x1b[0m   \x1b[1minternal/a.go:7-9\x1b[0m: x"},
		{colour.Warning, "protoc-gen-receiver: done:", "\x1b[33mprotoc-gen-receiver:\x1b[0m done:"},
		{colour.Diff, "+++ b/a.go", "\x1b[1m+++ b/a.go\x1b[0m"},
		{colour.Diff, "--- a/a.go", "\x1b[1m--- a/a.go\x1b[0m"},
		{colour.Diff, "@@ -1 +1 @@", "\x1b[36m@@ -1 +1 @@\x1b[0m"},
		{colour.Diff, "+x", "\x1b[32m+x\x1b[0m"},
		{colour.Diff, "-x", "\x1b[31m-x\x1b[0m"},
		{colour.Diff, " x", " x"},
		{colour.Diff, "write a.go", "write a.go"},
	} {
		var out bytes.Buffer
		fmt.Fprintf(colour.Lines(&out, test.change), "%s\n\n%[1]s\n", test.line)
		if want := test.want + "\n\n" + test.want + "\n"; out.String() != want {
			t.Errorf("it writes %q, want %q", out.String(), want)
		}
	}
}

func TestNoColourInAFile(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if colour.Wanted(file, func(name string) string { return map[string]string{"TERM": "xterm", "CLICOLOR_FORCE": "1"}[name] }) {
		t.Error("a file gets colour")
	}
}

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// TestColourIsOnlyForTerminals runs commands with a terminal, and with pipes.
func TestColourIsOnlyForTerminals(t *testing.T) {
	dir := demo(t)
	wrong := filepath.Join(dir, "wrong")
	if err := os.Mkdir(wrong, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(wrong, "wrong.proto"), []byte("syntax = \"proto3\";\nmessage A { B b = 1; }\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	const diff, refused = "generate --diff receiver.proto", "generate -I wrong"
	for _, test := range []struct {
		args     string
		terminal bool
		getenv   map[string]string
		want     string
	}{
		{diff, true, map[string]string{"TERM": "xterm"}, "\n\x1b[32m+package main\x1b[0m\n"},
		{diff, true, map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, "\n+package main\n"},
		{diff, false, map[string]string{"TERM": "xterm", "CLICOLOR_FORCE": "1"}, "\n+package main\n"},
		{refused, true, map[string]string{"TERM": "xterm"}, "\x1b[31mprotoc-gen-receiver:\x1b[0m \x1b[1mwrong.proto:2:13\x1b[0m: "},
		{refused, true, map[string]string{"TERM": "dumb"}, "protoc-gen-receiver: wrong.proto:2:13: "},
		{refused, true, map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, "protoc-gen-receiver: wrong.proto:2:13: "},
		{refused, true, map[string]string{"TERM": "xterm", "CI": "true"}, "protoc-gen-receiver: wrong.proto:2:13: "},
		{refused, false, map[string]string{"TERM": "xterm"}, "protoc-gen-receiver: wrong.proto:2:13: "},
		{"help", true, map[string]string{"TERM": "xterm"}, "\nCommands:\n"},
	} {
		printed := printed(t, test.terminal, strings.Fields(test.args), func(name string) string { return test.getenv[name] })
		if !strings.Contains(printed, test.want) || strings.Contains(printed, "\x1b") != strings.Contains(test.want, "\x1b") {
			t.Errorf("%s (terminal: %t) with %v prints\n%q\nwant %q in it", test.args, test.terminal, test.getenv, printed, test.want)
		}
	}
}

// printed returns what a command prints on a terminal or on a pipe.
func printed(t *testing.T, terminal bool, args []string, getenv func(string) string) string {
	t.Helper()
	reader, writer, err := os.Pipe()
	if terminal {
		reader, writer, err = pty.Open()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	var text bytes.Buffer
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(&text, reader) // of a terminal the end is an error
		close(done)
	}()
	exit(t.Context(), environment(args, writer, writer, writer, getenv))
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	<-done
	return strings.ReplaceAll(text.String(), "\r\n", "\n")
}

// demo returns a folder with the proto and the go.mod of the demo, and puts the other
// plugins on PATH.
func demo(t *testing.T) string {
	t.Helper()
	var path []string
	for _, tool := range []string{"google.golang.org/protobuf/cmd/protoc-gen-go", "google.golang.org/grpc/cmd/protoc-gen-go-grpc"} {
		program, err := exec.Command("go", "tool", "-n", tool).Output()
		if err != nil {
			t.Fatal(err)
		}
		path = append(path, filepath.Dir(strings.TrimSpace(string(program))))
	}
	t.Setenv("PATH", strings.Join(append(path, os.Getenv("PATH")), string(os.PathListSeparator)))
	dir := t.TempDir()
	for _, name := range []string{"receiver.proto", "go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("../../examples/receiver", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

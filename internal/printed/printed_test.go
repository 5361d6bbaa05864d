package printed

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSteps(t *testing.T) {
	dir := module(t, "main.go", "1\n2\n3\n4\n")
	text := `protoc-gen-receiver: your code was written before there were events
protoc-gen-receiver: main.go:4: a reason; delete this line
protoc-gen-receiver: main.go:2-3: a reason; replace these lines with:
	two
		three
protoc-gen-receiver: main.go:1: a reason; add above this line:
	zero
protoc-gen-receiver: main.go:2: a reason; add below this line:
	more
protoc-gen-receiver: main.go:2: a reason; replace this line with:
	one
protoc-gen-receiver: files are as generated; run:
	rm a
	rm b
`
	var ran []string
	steps, err := Steps(dir, text, func(command string) error { ran = append(ran, command); return nil })
	if err != nil || steps != 6 {
		t.Errorf("%d steps (%v), want 6", steps, err)
	}
	if want := []string{"rm a\nrm b"}; !slices.Equal(ran, want) {
		t.Errorf("it runs %q, want %q", ran, want)
	}
	if got, want := read(t, dir, "main.go"), "zero\none\nmore\ntwo\n\tthree\n"; got != want {
		t.Errorf("main.go is now\n%s\nwant\n%s", got, want)
	}
	for text, want := range map[string]string{
		"protoc-gen-receiver: main.go:9: a reason; delete this line":       "main.go has no line 9",
		"protoc-gen-receiver: nowhere.go:1: a reason; delete this line":    "nowhere.go",
		"protoc-gen-receiver: something that is not a step\n\tlog.Close()": "no step begins with",
	} {
		if _, err := Steps(dir, text, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("after %q the error is %v, want %q in it", text, err, want)
		}
	}
}

func TestComments(t *testing.T) {
	dir := module(t, "lab.proto", "message Reading {\n  string kind = 1;\n}\n")
	text := `lab.proto:9:1: If it is one, write // receiver:event above message Reading (lab.proto:1:1), and // receiver:type above field kind (lab.proto:2:3)
lab.proto:10:1: If it is one, write // receiver:event above message Reading (lab.proto:1:1)`
	got, err := Comments(dir, text)
	if err != nil {
		t.Fatal(err)
	}
	if want := []Comment{{"// receiver:event", "lab.proto", 1}, {"// receiver:type", "lab.proto", 2}}; !slices.Equal(got, want) {
		t.Errorf("it writes %v, want %v", got, want)
	}
	if got, want := read(t, dir, "lab.proto"), "// receiver:event\nmessage Reading {\n  // receiver:type\n  string kind = 1;\n}\n"; got != want {
		t.Errorf("lab.proto is now\n%s\nwant\n%s", got, want)
	}
}

func module(t *testing.T, name, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestNext(t *testing.T) {
	const text = "example.com/orders is ready:\n  proto/orders.proto  the RPCs\n\nNext:\n  go test ./...\n  send --event '#1'   # in another terminal\nmore\n"
	if got, want := Next(text), []string{"go test ./...", "send --event '#1'"}; !slices.Equal(got, want) {
		t.Errorf("the commands are %q, want %q", got, want)
	}
}

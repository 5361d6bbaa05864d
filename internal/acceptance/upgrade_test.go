package acceptance

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// before returns a module as the version before generated it, with code that its users
// have edited (see testdata/upgrade).
func before(t *testing.T, name, modulePath string) (dir string) {
	t.Helper()
	from, dir := filepath.Join(repository(t), "testdata/upgrade"), t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(from, name))); err != nil {
		t.Fatal(err)
	}
	runtime := filepath.Join(dir, "internal/receiver-runtime")
	if err := os.CopyFS(runtime, os.DirFS(filepath.Join(from, "runtime"))); err != nil {
		t.Fatal(err)
	}
	for at, text := range goFiles(t, runtime) {
		moved := bytes.ReplaceAll(text, []byte(`"example.com/receiver/internal/`), []byte(`"`+modulePath+`/internal/`))
		if err := os.WriteFile(filepath.Join(runtime, at), moved, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// yoursIn returns the Go files of a module that are the user's.
func yoursIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for at, text := range goFiles(t, dir) {
		if !bytes.Contains(text, []byte("DO NOT EDIT.")) {
			files[at] = string(text)
		}
	}
	return files
}

// A module of the version before is generated again without an edit of what is its
// user's: nothing of that changes, all of it builds, and its tests pass.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	for name, module := range map[string]struct {
		path string
		args []string
	}{
		"receiver": {"example.com/receiver", []string{"generate", "receiver.proto"}},
		"custom":   {"example.com/shop", []string{"generate", "--receiver_opt=templates=templates", "shop/v1/shop.proto"}},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "receiver" {
				t.Skip("one module of the version before is enough in short mode")
			}
			dir := before(t, name, module.path)
			run(t, dir, "go", "vet", "./...") // or the testdata is not what it says
			yours := yoursIn(t, dir)
			output := run(t, dir, "protoc-gen-receiver", module.args...)
			for line := range strings.Lines(output) {
				if !regexp.MustCompile(`: done:\n|: +internal/receiver-runtime: deleted \d+ files that nothing needs any longer\n$|: +go.mod: added the versions that the generated code was tested with \(go mod tidy then completes go.sum\): `).MatchString(line) {
					t.Errorf("it prints %q", line)
				}
			}
			run(t, dir, "go", "mod", "tidy") // as the run prints
			after := yoursIn(t, dir)
			for at, text := range yours {
				if after[at] != text {
					t.Errorf("%s was changed or deleted", at)
				}
			}
			if len(after) != len(yours) {
				t.Errorf("it has %d files of yours, want the same %d", len(after), len(yours))
			}
			run(t, dir, "go", "build", "./...")
			run(t, dir, "go", "vet", "./...")
			run(t, dir, "go", "test", "./...")
			if output := run(t, dir, "protoc-gen-receiver", module.args...); output != "" {
				t.Errorf("the second run prints\n%s", output)
			}
			if name == "receiver" {
				growsAfterUpgrade(t, dir, module.args)
			}
		})
	}
}

// growsAfterUpgrade adds RPCs: their tests, fuzz tests and benchmarks fit the older
// service_test.go, and those that were there send the samples that they did.
func growsAfterUpgrade(t *testing.T, dir string, args []string) {
	t.Helper()
	proto := filepath.Join(dir, "receiver.proto")
	text, err := os.ReadFile(proto)
	if err != nil {
		t.Fatal(err)
	}
	more := bytes.Replace(text, []byte("  rpc receive"), []byte("  rpc send (Event) returns (Reply) {}\n  rpc watch (Event) returns (stream Reply) {}\n  rpc receive"), 1)
	if err := os.WriteFile(proto, more, 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "protoc-gen-receiver", args...)
	run(t, dir, "go", "vet", "./...")
	run(t, dir, "go", "test", "-bench", "Send|Watch", "-benchtime", "1x", "./internal/receiver")
	for name, want := range map[string]bool{"send": true, "watch": true, "receive": false} {
		_, err := os.Stat(filepath.Join(dir, "internal/receiver/testdata", name+".json"))
		if has := err == nil; has != want {
			t.Errorf("there is a sample of %s: %t, want %t", name, has, want)
		}
	}
}

// What the user's code names and what has another name now is reported with its
// position and the new name, on every run, until that is written there.
func TestUpgradeReportsOtherNames(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds a module three times")
	}
	dir := before(t, "receiver", "example.com/receiver")
	moved, err := os.ReadFile(filepath.Join(repository(t), "testdata/upgrade/receiver/moved/lag.go"))
	if err != nil {
		t.Fatal(err)
	}
	const at = "cmd/receiver-server/lag.go"
	if err := os.WriteFile(filepath.Join(dir, at), moved, 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "go", "vet", "./...")
	run(t, dir, "protoc-gen-receiver", "generate", "receiver.proto")
	run(t, dir, "go", "mod", "tidy")
	if output, err := try(t, dir, "go", "vet", "./..."); err == nil {
		t.Fatalf("it builds, so that nothing is shown:\n%s", output)
	}
	output := run(t, dir, "protoc-gen-receiver", "generate", "receiver.proto")
	reports := regexp.MustCompile(`(?m)^protoc-gen-receiver:   (.*):(\d+):(\d+): eventlog\.\w+\.(\w+) has another name: write (\w+)$`).FindAllStringSubmatch(output, -1)
	if len(reports) != 8 || strings.Count(output, "\n") != 1+8 {
		t.Fatalf("it prints\n%s\nwant a heading and eight other names", output)
	}
	lines := strings.Split(string(moved), "\n")
	slices.Reverse(reports) // from the end, so that columns stay right
	for _, report := range reports {
		line, _ := strconv.Atoi(report[2])
		column, _ := strconv.Atoi(report[3])
		text := lines[line-1]
		if report[1] != at || !strings.HasPrefix(text[column-1:], report[4]) {
			t.Fatalf("%s: there is no %s at that position", report[0], report[4])
		}
		lines[line-1] = text[:column-1] + report[5] + strings.TrimPrefix(text[column-1:], report[4])
	}
	if err := os.WriteFile(filepath.Join(dir, at), []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	if output := run(t, dir, "protoc-gen-receiver", "generate", "receiver.proto"); output != "" {
		t.Errorf("with the new names it prints\n%s", output)
	}
	run(t, dir, "go", "vet", "./...")
}

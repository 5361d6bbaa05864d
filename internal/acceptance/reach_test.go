package acceptance

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const plainProto = `syntax = "proto3";
package notes.v1;
option go_package = "example.com/notes/gen/notes/v1;notesv1";

service Notes {
  rpc Get(GetRequest) returns (Note);
  rpc Watch(GetRequest) returns (stream Note);
}

message GetRequest { string name = 1; }
message Note { string name = 1; string text = 2; }
`

const eventProto = `
service Intake {
  rpc Take(NoteEvent) returns (Taken);
}

message NoteEvent { string event_type = 1; string user_id = 2; string text = 3; }
message Taken { string message = 1; }
`

// A module gets what its code reaches of the runtime, and in go.mod what that needs:
// without events no event log and no database. An event brings them; when the last
// one is removed, and what is yours of it, they go. What HTTP, metrics and traces bring is
// left out here: see TestAModuleHasOnlyThePartsOfItsServer.
func TestAModuleGetsWhatItUses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	generate := func() {
		t.Helper()
		run(t, dir, "protoc-gen-receiver", "generate", "--receiver_opt=parts=none", "notes.proto")
		run(t, dir, "go", "mod", "tidy")
		run(t, dir, "go", "vet", "./...")
	}
	// copied counts the lines that programs are made of, and those that only tests use.
	copied := func() (programs, tests int) {
		for name, text := range goFiles(t, filepath.Join(dir, "internal/receiver-runtime")) {
			if lines := bytes.Count(text, []byte("\n")); strings.Contains(name, "servertest/") {
				tests += lines
			} else {
				programs += lines
			}
		}
		return programs, tests
	}
	reached := func() string {
		t.Helper()
		return run(t, dir, "go", "list", "-deps", "-test", "./...")
	}
	write("go.mod", "module example.com/notes\n\ngo 1.26\n")
	write("notes.proto", plainProto)
	generate()
	checkPlain := func() {
		t.Helper()
		packages := reached()
		for _, word := range []string{"sqlite", "nats", "eventlog", "operate", "protovalidate", "cel-go"} {
			if strings.Contains(packages, word) {
				t.Errorf("without events it depends on %s", word)
			}
		}
		gomod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil || bytes.Contains(gomod, []byte("sqlite")) || bytes.Contains(gomod, []byte("nats")) {
			t.Errorf("without events go.mod is\n%s", gomod)
		}
		programs, tests := copied()
		t.Logf("without events %d lines of the runtime are copied for programs, and %d for tests", programs, tests)
		if programs > 9_500 || tests > 1_700 {
			t.Errorf("without events %d lines are copied for programs and %d for tests, want at most 9,500 and 1,700", programs, tests)
		}
	}
	checkPlain()
	run(t, dir, "go", "test", "./...")

	// What only code of yours uses comes with the use, and goes with it.
	checkUse := func(use string, brings ...string) {
		t.Helper()
		check := func(when string, want bool) {
			t.Helper()
			for _, file := range brings {
				if _, err := os.Stat(filepath.Join(dir, "internal/receiver-runtime", file)); (err == nil) != want {
					t.Errorf("%s: %s is copied: %v", when, file, err == nil)
				}
			}
		}
		pkg, value, named := strings.Cut(use, ".")
		code := fmt.Sprintf("package main\n\nimport _ %q\n", "example.com/notes/internal/receiver-runtime/"+pkg)
		if named {
			code = strings.Replace(code, "_", "used", 1) + "\nvar _ = used." + value + "\n"
		}
		check("nothing uses "+use, false)
		write("cmd/notes-server/mine.go", code)
		generate()
		check("code uses "+use, true)
		if err := os.Remove(filepath.Join(dir, "cmd/notes-server/mine.go")); err != nil {
			t.Fatal(err)
		}
	}
	checkUse("server.DrainStreams", "server/owndrain.go")
	checkUse("server.GuardOptions", "server/own.go")
	checkUse("server.GRPCOptions", "server/grpcoptions.go")
	checkUse("server.Observers", "server/observe.go")
	generate()
	checkPlain()

	write("notes.proto", plainProto+eventProto)
	for _, name := range []string{"main.go", "main_test.go"} { // so that they come again, with a log
		if err := os.Remove(filepath.Join(dir, "cmd/notes-server", name)); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, "protoc-gen-receiver", "generate", "--receiver_opt=scaffold=all,parts=none", "notes.proto")
	generate()
	packages := reached()
	for _, engine := range []string{"modernc.org/sqlite", "github.com/nats-io/nats.go", "eventlog/memory"} {
		if !strings.Contains(packages, engine) {
			t.Errorf("with an event it lacks %s", engine)
		}
	}
	checkEvents := func() {
		t.Helper()
		programs, tests := copied()
		t.Logf("with events %d lines are copied for programs, and %d for tests", programs, tests)
		if programs > 26_300 || tests > 6_200 {
			t.Errorf("with events %d lines are copied for programs and %d for tests, want at most 26,300 and 6,200", programs, tests)
		}
	}
	checkEvents()
	run(t, dir, "go", "test", "./...")
	checkUse("operate.SQL", "operate/sql.go", "operate/csv.go", "operate/query/query.go")
	checkUse("operate.Backup", "operate/task.go", "operate/copy.go", "eventlog/backup.go", "eventlog/sqlite/backup.go", "eventlog/nats/import.go", "eventlog/memory/moving.go")
	generate()
	checkUse("operate/parquet", "operate/parquet/parquet.go", "operate/query/query.go")
	checkUse("eventlog/into.Tables", "eventlog/into/target.go")
	checkUse("outbox.Tables", "outbox/relay.go")
	checkUse("eventlog.FileLog(nil)", "eventlog/sqlite/follow.go", "eventlog/erase.go", "eventlog/nats/erase.go")
	generate()
	checkEvents()

	write("notes.proto", plainProto)
	for _, name := range []string{"internal/notes/v1/intake", "cmd/notes-server/main.go", "cmd/notes-server/main_test.go"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, "protoc-gen-receiver", "generate", "--receiver_opt=scaffold=all,parts=none", "notes.proto")
	generate()
	checkPlain()
}

// A library in go.mod that is too old for the code to build is reported, with the
// command that mends it.
func TestAnOldLibraryIsReported(t *testing.T) {
	t.Parallel()
	dir := newModule(t)
	run(t, dir, "go", "mod", "edit", "-require=modernc.org/sqlite@v1.44.3", "-require=google.golang.org/grpc@v1.60.0")
	output := run(t, dir, "protoc-gen-receiver", "generate", "receiver.proto")
	want := "go.mod requires google.golang.org/grpc v1.60.0, modernc.org/sqlite v1.44.3, which is too old for the code to build: go get "
	_, args, ok := strings.Cut(output, want)
	if !ok {
		t.Fatalf("it prints\n%s\nwant %s", output, want)
	}
	args, _, _ = strings.Cut(args, "\n")
	run(t, dir, "go", append([]string{"get"}, strings.Fields(args)...)...)
	run(t, dir, "go", "mod", "tidy")
	run(t, dir, "go", "vet", "./...")
	if output := run(t, dir, "protoc-gen-receiver", "generate", "receiver.proto"); output != "" {
		t.Errorf("with newer ones it prints\n%s", output)
	}
}

package acceptance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The parts of a server that a module may leave out: what main has of it, its folder or file
// of the runtime, and a library that nothing else needs, as packages and in go.mod begin.
var optional = map[string]struct{ line, copied, library string }{
	"http":    {`receiver-runtime/web"`, "web", "connectrpc.com/connect"},
	"metrics": {`receiver-runtime/metrics"`, "metrics", "github.com/prometheus/client_golang"},
	"traces":  {`receiver-runtime/traces"`, "traces", "go.opentelemetry.io/otel/sdk"},
	"sql":     {"operate.SQL", "operate/query", "golang.org/x/term"},
	"backup":  {"operate.Backup", "eventlog/sqlite/backup.go", ""},
	"bulk":    {"server.Bulk", "server/lane.go", ""},
}

// What the main of a server leaves out, the module neither copies, compiles nor requires:
// not if it was left out from the beginning, and not after its lines were deleted from
// main. Here they are deleted as parts leaves them out.
func TestAModuleHasOnlyThePartsOfItsServer(t *testing.T) {
	t.Parallel()
	dir := newModule(t)
	main := filepath.Join(dir, "cmd/receiver-server/main.go")
	generate := func(dir string, options ...string) {
		t.Helper()
		run(t, dir, "protoc-gen-receiver", append(append([]string{"generate"}, options...), "receiver.proto")...)
	}
	check := func(when string, want ...string) {
		t.Helper()
		run(t, dir, "go", "mod", "tidy")
		compiled := run(t, dir, "go", "list", "-deps", "-test", "./...")
		gomod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(main)
		if err != nil {
			t.Fatal(err)
		}
		for part, brings := range optional {
			wanted := strings.Contains("+"+strings.Join(want, "+")+"+", "+"+part+"+")
			if got := strings.Contains(string(text), brings.line); got != wanted {
				t.Fatalf("%s: main has %s: %v", when, part, got)
			}
			_, err := os.Stat(filepath.Join(dir, "internal/receiver-runtime", brings.copied))
			for what, got := range map[string]bool{
				"the runtime is copied": err == nil,
				"it is compiled":        strings.Contains(compiled, brings.library),
				"it is required":        strings.Contains(string(gomod), brings.library),
			} {
				if got != wanted && (brings.library != "" || what == "the runtime is copied") {
					t.Errorf("%s, of %s: %s: %v, want %v", when, part, what, got, wanted)
				}
			}
		}
	}
	generate(dir, "--receiver_opt=parts=none")
	check("with parts=none")
	run(t, dir, "go", "vet", "./...")

	if err := os.Remove(main); err != nil {
		t.Fatal(err)
	}
	generate(dir, "--receiver_opt=scaffold=all")
	check("with everything", "http", "metrics", "traces", "sql", "backup", "bulk")
	everything, err := os.ReadFile(main)
	if err != nil {
		t.Fatal(err)
	}
	lefts := []string{"none", "http", "metrics", "traces", "sql", "backup", "bulk"}
	if testing.Short() {
		lefts = lefts[:1]
	}
	for _, left := range lefts {
		other := newModule(t)
		generate(other, "--receiver_opt=parts="+left)
		text, err := os.ReadFile(filepath.Join(other, "cmd/receiver-server/main.go"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, main, string(text))
		generate(dir)
		check("when main is left with "+left, left)
		run(t, dir, "go", "vet", "./...")
		write(t, main, string(everything))
		generate(dir)
	}
	check("with everything again", "http", "metrics", "traces", "sql", "backup", "bulk")
}

// The lines of a part in main are its own: whoever deletes them, as the docs of the part
// say, has the main that comes without the part, and no other part lost anything.
func TestLinesOfAPartAreItsOwn(t *testing.T) {
	t.Parallel()
	generated := func(service, parts string) string {
		t.Helper()
		dir := t.TempDir()
		write(t, filepath.Join(dir, "go.mod"), "module example.com/bank\n\ngo 1.27.3\n")
		write(t, filepath.Join(dir, "bank.proto"), `syntax = "proto3";
package bank.v1;
option go_package = "example.com/bank/gen/bankv1";
service Bank { rpc Put(`+service+`) returns (Reply); }
message BankEvent { string event_type = 1; string source = 2; }
message Query { string id = 1; }
message Reply { string message = 1; }
`)
		run(t, dir, "protoc-gen-receiver", "generate", "--receiver_opt=deploy=none,parts="+parts)
		text, err := os.ReadFile(filepath.Join(dir, "cmd/bank-server/main.go"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, request := range []string{"BankEvent", "Query"} {
		parts := []string{"http", "metrics", "traces", "sql", "backup", "bulk", "console"}
		all := generated(request, strings.Join(parts, "+"))
		for i, test := range []struct{ lines, words, block string }{
			{`httpPort web.Config|httpPort.Option()|/web"`, "httpPort.Flags, |, HTTP", ""},
			{`meter|/metrics"`, "", ""},
			{`spans|/traces"`, "", "traces.Start"},
			{"", ", operate.SQL", ""},
			{"", ", operate.Backup", ""},
			{"lanes server.Bulk|lanes.Option()", "lanes.Flags, ", ""},
			{`page := console.Config|page.Log|page.Option|/console"`, "page.Flags, | the console,", ""},
		} {
			var kept strings.Builder
			skip := 0
			for line := range strings.Lines(all) {
				if test.block != "" && strings.Contains(line, test.block) {
					skip = 4 // it, and what returns its error
				}
				mine := false
				for word := range strings.SplitSeq(test.lines, "|") {
					mine = mine || word != "" && strings.Contains(line, word)
				}
				if skip > 0 || mine {
					skip--
					continue
				}
				for word := range strings.SplitSeq(test.words, "|") {
					line = strings.Replace(line, word, "", 1)
				}
				kept.WriteString(line)
			}
			others := strings.Join(slices.Delete(slices.Clone(parts), i, i+1), "+")
			if want := generated(request, others); kept.String() != want {
				t.Errorf("of %s, without the lines of %s main is\n%s\nwant\n%s", request, parts[i], kept.String(), want)
			}
		}
	}
}

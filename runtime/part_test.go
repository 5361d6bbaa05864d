package runtime_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime"
)

// What code imports that is generated for services without events, and with.
var (
	plain  = []string{"client", "command", "eventid", "guard", "server", "servertest", "terminal", "version"}
	events = append([]string{"eventlog", "operate", "rejected"}, plain...)
)

func TestReachedWithoutEvents(t *testing.T) {
	part := reached(t, plain...)
	if got := part.Packages(); !slices.Equal(got, plain) {
		t.Errorf("services without events need %v, want %v", got, plain)
	}
	files, lines := copied(t, part)
	for _, name := range files {
		if strings.Contains(name, "event") && !strings.HasPrefix(name, "eventid/") {
			t.Errorf("services without events need %s", name)
		}
	}
	if lines > 10_000 {
		t.Errorf("services without events need %d lines, want 10,000 at most", lines)
	}
}

func TestReachedWithEvents(t *testing.T) {
	part := reached(t, events...)
	for _, pkg := range events {
		if !slices.Contains(part.Packages(), pkg) {
			t.Errorf("%s is not among the packages", pkg)
		}
	}
	files, _ := copied(t, part)
	for _, want := range []string{"servertest/intake.go", "servertest/log.go", "servertest/serve.go"} {
		if !slices.Contains(files, want) {
			t.Errorf("%s is not among the files, which are %v", want, files)
		}
	}
}

// TestReachedWithAllHasAll checks that no file is left out for ever, because of
// a directive that names a package which does not exist, or that nothing can use.
func TestReachedWithAllHasAll(t *testing.T) {
	all := runtime.All()
	for _, name := range runtime.Optional() {
		text, err := runtime.Source.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		directive, _, _ := strings.Cut(string(text), "\n")
		if directive == "//runtime:used" || slices.Contains(runtime.Used([]byte(directive)), name) { // by a word of code
			all = append(all, name)
		}
	}
	got, _ := copied(t, reached(t, all...))
	for _, pattern := range []string{"*/*.go", "*/*/*.go"} {
		names, err := fs.Glob(runtime.Source, pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if slices.Contains(got, name) == strings.HasSuffix(name, "_test.go") {
				t.Errorf("%s is copied: %t", name, slices.Contains(got, name))
			}
		}
	}
}

// The order in which packages are named does not matter, nor whether they are
// named more than once.
func TestReachedInAnyOrder(t *testing.T) {
	want, _ := copied(t, reached(t, "eventlog", "servertest"))
	got, _ := copied(t, reached(t, "servertest", "eventlog", "servertest"))
	if !slices.Equal(got, want) {
		t.Errorf("files are %v, want %v", got, want)
	}
}

// TestReachedHasWhatIsUsed checks that a file that no package needs comes with a use of
// its names, whatever the code calls the package, and what the file imports with it.
func TestReachedHasWhatIsUsed(t *testing.T) {
	for code, want := range map[string]string{
		"log := servertest.Log(t)": "servertest/log.go",
		"import rt \"my/server\"; var _ = rt.\n\tTakesEvents(events, source)": "server/events.go",
		"import server \"my/other\"; var _ = server.TakesEvent":               "",
		"spans.Log()":           "",
		"func init() { Log() }": "",
		"// nothing.Else":       "",
	} {
		used := runtime.Used([]byte(code))
		if got := strings.Join(used, " "); got != want {
			t.Errorf("%q uses %q, want %q", code, got, want)
		}
		part := reached(t, append(used, "server", "servertest")...)
		files, _ := copied(t, part)
		if want != "" && !slices.Contains(files, want) {
			t.Errorf("%q brings %v, want %s", code, files, want)
		}
		if got := slices.Contains(part.Packages(), "eventlog"); got != (want == "servertest/log.go") {
			t.Errorf("%q brings the event log: %t", code, got)
		}
	}
}

// A directive may have names of a package, which those of others don't match.
func TestUsedTellsPackagesApart(t *testing.T) {
	for code, want := range map[string][]string{
		"Call: command.ClientStream(dial)":          {"command/input.go", "command/progress.go", "command/reading.go"},
		"import cmd \"my/command\"; cmd.Bidi(dial)": {"command/input.go", "command/progress.go", "command/reading.go"},
		"func() (grpc.ClientStream, error)":         nil,
		"server.Needs(name, log.Check)":             {"server/alongside.go", "server/needs.go"},
		"server.Alongside(name, run)":               {"server/alongside.go", "server/needs.go"},
		"server.ReportHealth(ctx, health)":          {"server/alongside.go", "server/needs.go"},
	} {
		used := runtime.Used([]byte(code))
		for _, name := range []string{"command/input.go", "command/progress.go", "command/reading.go", "server/alongside.go", "server/needs.go"} {
			if slices.Contains(used, name) != slices.Contains(want, name) {
				t.Errorf("%q uses %q, want %q of what is optional there", code, used, want)
			}
		}
	}
}

// A file may be needed by any of several packages.
func TestReachedWithAnyOf(t *testing.T) {
	for _, pkg := range []string{"web", "ops", "metrics"} {
		files, _ := copied(t, reached(t, pkg))
		if !slices.Contains(files, "server/ports.go") {
			t.Errorf("%s brings no server/ports.go", pkg)
		}
	}
	files, _ := copied(t, reached(t, "server"))
	if slices.Contains(files, "server/ports.go") {
		t.Error("the server alone brings server/ports.go")
	}
}

func TestReachedFollowsImports(t *testing.T) {
	if got, want := reached(t, "command").Packages(), []string{"client", "command", "eventid", "terminal"}; !slices.Equal(got, want) {
		t.Errorf("command needs %v, want %v", got, want)
	}
	if got := reached(t).Packages(); len(got) > 0 {
		t.Errorf("nothing needs %v", got)
	}
}

func TestReachedRefusesWhatThereIsNot(t *testing.T) {
	for _, pkg := range []string{"events", "", ".", "server/", "copied"} {
		if runtime.Has(pkg) {
			t.Errorf("it has a package %q", pkg)
		}
		_, err := runtime.Reached("server", pkg)
		if err == nil || !strings.Contains(err.Error(), "client, cloudevents, command, console, dialect, eventid, ") {
			t.Errorf("error for %q is %v, want one that names the packages there are", pkg, err)
		}
	}
}

// TestAllPackagesCanBeCopied checks that the patterns of go:embed name every
// package that a module may need.
func TestAllPackagesCanBeCopied(t *testing.T) {
	err := filepath.WalkDir(".", func(at string, entry fs.DirEntry, err error) error {
		pkg := filepath.ToSlash(filepath.Dir(at))
		if err == nil && pkg != "." && path.Ext(at) == ".go" && !runtime.Has(pkg) {
			t.Errorf("%s can't be copied", pkg)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCopy(t *testing.T) {
	const marker = "Code generated by a test. DO NOT EDIT."
	files, err := reached(t, events...).Copy("example.com/orders/internal/receiver-runtime", marker)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text := string(file.Content)
		first, rest, _ := strings.Cut(text, "\n")
		switch {
		case strings.HasSuffix(file.Path, "_test.go"):
			t.Errorf("%s is copied", file.Path)
		case path.Ext(file.Path) == ".md" && first != "<!-- "+marker+" -->":
			t.Errorf("%s begins with %q", file.Path, first)
		case path.Ext(file.Path) == ".go" && (first != "// "+marker || !strings.HasPrefix(rest, "// It comes from the runtime of protoc-gen-receiver v")):
			t.Errorf("%s begins with\n%s", file.Path, text[:200])
		case path.Ext(file.Path) == ".go" && strings.Contains(text, `"`+runtime.Path):
			t.Errorf("%s imports this repository", file.Path)
		case path.Ext(file.Path) == ".go" && strings.Contains(text, "//runtime:"):
			t.Errorf("%s has a line that is only for this repository", file.Path)
		case file.Path == "operate/events.go" && !strings.Contains(text, `"example.com/orders/internal/receiver-runtime/eventlog"`):
			t.Errorf("%s does not import the copy", file.Path)
		}
	}
}

func TestCopyHasReadme(t *testing.T) {
	readme := content(t, reached(t, "client"), "README.md")
	for _, want := range []string{
		"`runtime=IMPORT/PATH`",
		"Delete its line with `marker`",
	} {
		if !strings.Contains(readme, want) {
			t.Errorf("README.md lacks %q:\n%s", want, readme)
		}
	}
	if other := content(t, reached(t, "eventlog/nats"), "README.md"); other != readme {
		t.Errorf("README.md of another part differs:\n%s", other)
	}
}

// TestCopyHasLicense checks that what is embedded is the licence of this
// repository, which go:embed can't reach.
func TestCopyHasLicense(t *testing.T) {
	license, err := os.ReadFile("../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := content(t, reached(t, "client"), "LICENSE.md"), "<!-- marker -->\n\n"+string(license); got != want {
		t.Errorf("LICENSE.md is not that of this repository: cp LICENSE runtime/copied/LICENSE")
	}
}

func BenchmarkCopy(b *testing.B) {
	for b.Loop() {
		part, err := runtime.Reached(events...)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := part.Copy("example.com/orders/internal/receiver-runtime", "marker"); err != nil {
			b.Fatal(err)
		}
	}
}

func reached(t testing.TB, imports ...string) runtime.Part {
	t.Helper()
	part, err := runtime.Reached(imports...)
	if err != nil {
		t.Fatal(err)
	}
	return part
}

// copied returns the names of a part's Go files, and how many lines they have.
func copied(t testing.TB, part runtime.Part) (names []string, lines int) {
	t.Helper()
	files, err := part.Copy("example.com/orders/internal/receiver-runtime", "marker")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if path.Ext(file.Path) == ".go" {
			names = append(names, file.Path)
			lines += strings.Count(string(file.Content), "\n")
		}
	}
	return names, lines
}

func content(t testing.TB, part runtime.Part, name string) string {
	t.Helper()
	files, err := part.Copy("example.com/orders/internal/receiver-runtime", "marker")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if file.Path == name {
			return string(file.Content)
		}
	}
	t.Fatalf("there is no %s", name)
	return ""
}

// What a Go file embeds is copied with it, with the marker in a comment of its language.
func TestCopyHasWhatIsEmbedded(t *testing.T) {
	const marker = "Code generated by a test. DO NOT EDIT."
	files, err := reached(t, "console").Copy("example.com/orders/internal/receiver-runtime", marker)
	if err != nil {
		t.Fatal(err)
	}
	begins := map[string]string{".js": "// " + marker, ".css": "/* " + marker + " */", ".html": "<!-- " + marker + " -->", ".svg": "<!-- " + marker + " -->"}
	found := map[string]bool{}
	for _, file := range files {
		if begin, ok := begins[path.Ext(file.Path)]; ok {
			found[path.Base(file.Path)] = true
			if !strings.HasPrefix(string(file.Content), begin+"\n") {
				t.Errorf("%s begins with %.60q", file.Path, file.Content)
			}
		}
	}
	for _, pattern := range []string{"console/*.js", "console/*.css", "console/*.html", "console/*.svg"} {
		names, err := fs.Glob(runtime.Source, pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v, %v", pattern, names, err)
		}
		for _, name := range names {
			if !found[path.Base(name)] {
				t.Errorf("%s is not copied", name)
			}
		}
	}
}

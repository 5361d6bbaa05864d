package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const thisRepository = "github.com/protoc-gen-receiver/protoc-gen-receiver"

// TestNewModuleStandsAlone generates into an empty module: go mod tidy gives it
// the versions that the example is tested with, it builds, vets and passes its
// own tests under the race detector, and imports nothing of this repository.
func TestNewModuleStandsAlone(t *testing.T) {
	dir := newModule(t)
	run(t, dir, "protoc-gen-receiver", "generate", "receiver.proto")
	run(t, dir, "go", "mod", "tidy")
	if got, want := requirements(t, dir), requirements(t, filepath.Join(repository(t), "examples/receiver")); got != want {
		t.Errorf("go.mod requires\n%s\nwant what examples/receiver was tested with:\n%s", got, want)
	}
	run(t, dir, "go", "build", "./...")
	run(t, dir, "go", "vet", "./...")
	if output := run(t, dir, "go", "test", "-race", "./..."); !strings.Contains(output, "ok  \texample.com/receiver/internal/receiver") {
		t.Errorf("the tests of the service did not run:\n%s", output)
	}
	for imported := range strings.Lines(run(t, dir, "go", "list", "-deps", "-test", "./...")) {
		if strings.HasPrefix(imported, thisRepository) {
			t.Errorf("it depends on %s", imported)
		}
	}
}

// TestPluginSaysWhichVersionsWereTested follows the advice that the plugin gives
// where it can't write go.mod itself.
func TestPluginSaysWhichVersionsWereTested(t *testing.T) {
	tool(t, "protoc", fromProtoc)
	dir := newModule(t)
	said := routes[0].run(t, dir)
	_, advice, found := strings.Cut(said, "go get ")
	if !found {
		t.Fatalf("it said\n%s\nwant a go get", said)
	}
	run(t, dir, "go", append([]string{"get"}, strings.Fields(advice)...)...)
	run(t, dir, "go", "mod", "tidy")
	if got, want := requirements(t, dir), requirements(t, filepath.Join(repository(t), "examples/receiver")); got != want {
		t.Errorf("go.mod requires\n%s\nwant\n%s", got, want)
	}
	if said := routes[0].run(t, dir); said != "" {
		t.Errorf("once go.mod has the versions it still says\n%s", said)
	}
}

// requirements are the lines of a go.mod that say which versions it wants.
func requirements(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "require (")
	return strings.TrimSpace(after)
}

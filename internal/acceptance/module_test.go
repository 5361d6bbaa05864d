package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const thisRepository = "github.com/protoc-gen-receiver/protoc-gen-receiver"

// TestNewModuleIsIndependent generates into an empty module. After go mod tidy the
// module has the versions that the example is tested with. go vet has nothing
// to report, its own tests pass with the race detector, and it imports nothing of this
// repository.
func TestNewModuleIsIndependent(t *testing.T) {
	t.Parallel()
	dir := newModule(t)
	run(t, dir, "protoc-gen-receiver", "generate", "receiver.proto")
	run(t, dir, "go", "mod", "tidy")
	if got, want := requirements(t, dir), requirements(t, filepath.Join(repository(t), "examples/receiver")); got != want {
		t.Errorf("go.mod requires\n%s\nwant what examples/receiver was tested with:\n%s", got, want)
	}
	run(t, dir, "go", "vet", "./...")
	race := "-race"
	if testing.Short() {
		race = "-race=false"
	}
	if output := run(t, dir, "go", "test", race, "./..."); !strings.Contains(output, "ok  \texample.com/receiver/internal/receiver") {
		t.Errorf("the tests of the service did not run:\n%s", output)
	}
	for imported := range strings.Lines(run(t, dir, "go", "list", "-deps", "-test", "./...")) {
		if strings.HasPrefix(imported, thisRepository) {
			t.Errorf("it depends on %s", imported)
		}
	}
}

// TestPluginReportsTheTestedVersions runs the command that the plugin prints because it
// can't write go.mod itself.
func TestPluginReportsTheTestedVersions(t *testing.T) {
	t.Parallel()
	tool(t, "protoc", fromProtoc)
	dir := newModule(t)
	output := routes[0].run(t, dir)
	_, args, ok := strings.Cut(output, "go get ")
	if !ok {
		t.Fatalf("it prints\n%s\nwant a go get", output)
	}
	run(t, dir, "go", append([]string{"get"}, strings.Fields(args)...)...)
	run(t, dir, "go", "mod", "tidy")
	if got, want := requirements(t, dir), requirements(t, filepath.Join(repository(t), "examples/receiver")); got != want {
		t.Errorf("go.mod requires\n%s\nwant\n%s", got, want)
	}
	if output := routes[0].run(t, dir); output != "" {
		t.Errorf("with the versions in go.mod it still prints\n%s", output)
	}
}

// requirements returns the requirements in a go.mod.
func requirements(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "require (")
	return strings.TrimSpace(after)
}

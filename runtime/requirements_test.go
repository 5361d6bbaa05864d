package runtime_test

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime"
)

func TestRequirements(t *testing.T) {
	for _, test := range []struct {
		imports []string
		want    []string
	}{
		{nil, []string{"google.golang.org/grpc", "google.golang.org/protobuf"}},
		{plain, []string{"github.com/google/uuid", "go.yaml.in/yaml/v4", "golang.org/x/time", "google.golang.org/genproto/googleapis/rpc", "google.golang.org/grpc", "google.golang.org/protobuf"}},
		{append(runtime.All(), runtime.Optional()...), paths(runtime.Requirements())},
	} {
		if got := paths(reached(t, test.imports...).Requirements()); !slices.Equal(got, test.want) {
			t.Errorf("with %v it requires %v, want %v", test.imports, got, test.want)
		}
	}
}

// TestRequirementsAreOfGoMod checks that the versions are those with which this
// repository is tested.
func TestRequirementsAreOfGoMod(t *testing.T) {
	text, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	gomod, err := modfile.Parse("../go.mod", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := gomod.Go.Version; got != runtime.Go.Version {
		t.Errorf("go.mod requires go %s, but the runtime asks for %s", got, runtime.Go.Version)
	}
	for _, need := range runtime.Requirements() {
		i := slices.IndexFunc(gomod.Require, func(r *modfile.Require) bool { return r.Mod.Path == need.Path })
		if i < 0 || gomod.Require[i].Mod.Version != need.Version {
			t.Errorf("%s is not required by go.mod at %s", need.Path, need.Version)
		}
		if semver.Compare(need.Least, need.Version) > 0 {
			t.Errorf("of %s at least %s is needed, newer than %s", need.Path, need.Least, need.Version)
		}
	}
}

// TestRequirementsAreImported checks that each import of the runtime is of the
// standard library, of the runtime, or of a module that is required.
func TestRequirementsAreImported(t *testing.T) {
	part := reached(t, runtime.All()...)
	files, err := part.Copy("example.com/orders/runtime", "marker")
	if err != nil {
		t.Fatal(err)
	}
	needs := append(paths(part.Requirements()), "example.com/orders/runtime")
	for _, file := range files {
		if filepath.Ext(file.Path) != ".go" {
			continue
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), file.Path, file.Content, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range syntax.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			host, _, _ := strings.Cut(imported, "/")
			if strings.Contains(host, ".") && !slices.ContainsFunc(needs, func(path string) bool { return strings.HasPrefix(imported, path+"/") || imported == path }) {
				t.Errorf("%s imports %s, of a module that is not in the table", file.Path, imported)
			}
		}
	}
}

// TestPlainBuilds builds what services without events get, in a module that
// has nothing else, and checks that no event log is among what it links.
func TestPlainBuilds(t *testing.T) {
	root := module(t, reached(t, plain...), func(r runtime.Requirement) string { return r.Version })
	for dependency := range strings.Lines(run(t, root, "go", "list", "-deps", "./...")) {
		for _, word := range []string{"eventlog", "sqlite", "nats", "operate"} {
			if strings.Contains(dependency, word) {
				t.Errorf("it needs %s", strings.TrimSpace(dependency))
			}
		}
	}
	run(t, root, "go", "vet", "./...")
}

// TestLeastVersionsBuild builds parts of the runtime, and stubs of
// protoc-gen-go-grpc, with the least version of each module, and checks that
// Go chooses each of these versions for one of the parts at least: nats.go
// requires newer ones of others.
func TestLeastVersionsBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("it may load modules, and takes a minute")
	}
	unchosen := map[string]string{}
	for _, need := range runtime.Requirements() {
		unchosen[need.Path] = need.Least
	}
	for name, imports := range map[string][]string{"without events": plain, "all": append(runtime.All(), runtime.Optional()...)} {
		t.Run(name, func(t *testing.T) {
			part := reached(t, imports...)
			root := module(t, part, func(r runtime.Requirement) string { return r.Least })
			addStubs(t, root)
			run(t, root, "go", "mod", "tidy")
			run(t, root, "go", "vet", "./...")
			for _, need := range part.Requirements() {
				if chosen(t, root, need.Path) == need.Least {
					delete(unchosen, need.Path)
				}
			}
		})
	}
	for path, least := range unchosen {
		t.Errorf("%s can't be chosen as %s: others require a newer one", path, least)
	}
}

// addStubs adds messages and stubs to a module, as protoc-gen-go and
// protoc-gen-go-grpc generate them.
func addStubs(t *testing.T, root string) {
	t.Helper()
	for _, name := range []string{"receiver.pb.go", "receiver_grpc.pb.go"} {
		text, err := os.ReadFile(filepath.Join("../examples/receiver/gen/receiverpb", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(root, "receiverpb", name), text)
	}
}

// chosen returns the version of a module that Go chooses.
func chosen(t *testing.T, root, path string) string {
	t.Helper()
	return strings.TrimSpace(run(t, root, "go", "list", "-m", "-f", "{{.Version}}", path))
}

// module makes a module of a part, with a version of each module it requires.
func module(t *testing.T, part runtime.Part, version func(runtime.Requirement) string) (root string) {
	t.Helper()
	root = t.TempDir()
	files, err := part.Copy("example.com/orders/runtime", "Code generated by a test. DO NOT EDIT.")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		write(t, filepath.Join(root, "runtime", file.Path), file.Content)
	}
	gomod := "module example.com/orders\n\ngo " + runtime.Go.Least + "\n" // go vet reports what is newer
	for _, need := range part.Requirements() {
		gomod += "\nrequire " + need.Path + " " + version(need) + "\n"
	}
	write(t, filepath.Join(root, "go.mod"), []byte(gomod))
	sums, err := os.ReadFile("../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "go.sum"), sums)
	return root
}

func write(t *testing.T, at string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// run runs a command in a folder, and returns what it prints.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	command := exec.Command(name, args...)
	command.Dir = dir
	command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	var wrong bytes.Buffer
	command.Stderr = &wrong
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, wrong.String())
	}
	return string(output)
}

func paths(needs []runtime.Requirement) (paths []string) {
	for _, need := range needs {
		paths = append(paths, need.Path)
	}
	return paths
}

package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// repository is the root of this repository.
func repository(t testing.TB) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// tool finds a program in the project's .tools/bin or on PATH. Without it the
// test fails in CI, and is skipped elsewhere, saying how to get it.
func tool(t testing.TB, name, howToGet string) string {
	t.Helper()
	if local := filepath.Join(repository(t), ".tools", "bin", name); isFile(local) {
		return local
	}
	if found, err := exec.LookPath(name); err == nil {
		return found
	}
	missing(t, name, howToGet)
	return ""
}

// missing fails the test in CI, and skips it elsewhere.
func missing(t testing.TB, what, howToGet string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: %s", what, howToGet)
	}
	t.Skipf("%s is missing: %s", what, howToGet)
}

func isFile(at string) bool {
	info, err := os.Stat(at)
	return err == nil && info.Mode().IsRegular()
}

// The ways to get what a machine lacks.
const (
	fromMake   = "make tools"
	fromProtoc = "apt-get install protobuf-compiler libprotobuf-dev"
)

// plugin builds protoc-gen-receiver and the plugins it runs beside, once, and
// returns the folder they are in.
var plugin = sync.OnceValues(func() (string, error) {
	return build("../..", "./cmd/protoc-gen-receiver",
		"google.golang.org/protobuf/cmd/protoc-gen-go", "google.golang.org/grpc/cmd/protoc-gen-go-grpc")
})

// demo builds the server and the client of examples/receiver, once, and returns
// the folder they are in.
var demo = sync.OnceValues(func() (string, error) {
	return build("../../examples/receiver", "./cmd/...")
})

// built are the folders to remove in the end.
var built []string

// build builds programs of the module in a folder into a new folder.
func build(module string, packages ...string) (string, error) {
	dir, err := os.MkdirTemp("", "protoc-gen-receiver-*")
	if err != nil {
		return "", err
	}
	built = append(built, dir)
	if err := os.Chmod(dir, 0o755); err != nil { // some tests run them by another user
		return "", err
	}
	command := exec.Command("go", append([]string{"build", "-o", dir}, packages...)...)
	command.Dir = module
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, output)
	}
	return dir, nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range built {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// path is a PATH with our plugin and the project's tools before all others.
func path(t testing.TB) string {
	t.Helper()
	dir, err := plugin()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join([]string{dir, filepath.Join(repository(t), ".tools", "bin"), os.Getenv("PATH")}, string(os.PathListSeparator))
}

// run runs a program to its end and returns what it printed; an exit code other
// than 0 fails the test.
func run(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	output, err := try(t, dir, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, output)
	}
	return output
}

// try is run for a program that may fail.
func try(t testing.TB, dir, name string, args ...string) (string, error) {
	t.Helper()
	output, err := call(t, dir, name, args...).CombinedOutput()
	return string(output), err
}

// call is a program that is yet to be run in a folder.
func call(t testing.TB, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	path := path(t)
	command := exec.Command(name, args...)
	for _, folder := range filepath.SplitList(path) {
		if !strings.ContainsRune(name, filepath.Separator) && isFile(filepath.Join(folder, name)) {
			command = exec.Command(filepath.Join(folder, name), args...)
			break
		}
	}
	command.Dir = dir
	command.Env = append(os.Environ(), "PATH="+path, "GOWORK=off")
	return command
}

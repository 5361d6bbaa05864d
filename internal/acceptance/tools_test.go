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

// repository returns the root of this repository.
func repository(t testing.TB) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// tool returns the path of a program in the project's .tools/bin or on PATH. Without
// the program the test fails in CI and is skipped elsewhere, and prints how to get it.
func tool(t testing.TB, name, howToGet string) string {
	t.Helper()
	if local := filepath.Join(repository(t), ".tools", "bin", name); isFile(local) {
		return local
	}
	if path, err := exec.LookPath(name); err == nil {
		return path
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

// How to get missing programs.
const (
	fromMake   = "make tools"
	fromProtoc = "apt-get install protobuf-compiler libprotobuf-dev"
)

// plugin builds protoc-gen-receiver, protoc-gen-go and protoc-gen-go-grpc once, and
// returns their folder.
var plugin = sync.OnceValues(func() (string, error) {
	return build("../..", "./cmd/protoc-gen-receiver",
		"google.golang.org/protobuf/cmd/protoc-gen-go", "google.golang.org/grpc/cmd/protoc-gen-go-grpc")
})

// demo builds the server and the client of examples/receiver once, and returns their
// folder.
var demo = sync.OnceValues(func() (string, error) {
	return build("../../examples/receiver", "./cmd/...")
})

// built are the folders to remove at the end. Tests may build at once.
var built struct {
	sync.Mutex
	folders []string
}

// removeAtEnd has a folder removed after all tests.
func removeAtEnd(dir string) {
	built.Lock()
	defer built.Unlock()
	built.folders = append(built.folders, dir)
}

// build builds programs of the module in a folder into a new folder.
func build(module string, packages ...string) (string, error) {
	dir, err := os.MkdirTemp("", "protoc-gen-receiver-*")
	if err != nil {
		return "", err
	}
	removeAtEnd(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // some tests run them as another user
		return "", err
	}
	args := []string{"build", "-o", dir}
	if os.Getenv("GOCOVERDIR") != "" && module == "../.." { // make cover counts what the programs run, too
		args = append(args, "-cover", "-coverpkg=./cmd/...,./internal/...,./runtime/...")
	}
	command := exec.Command("go", append(args, packages...)...)
	command.Dir = module
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, output)
	}
	return dir, nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range built.folders {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// lean are options of generate for modules of tests that are about neither the parts of a
// server nor what deploys it: without them the Go command has half as much to do.
const lean = "--receiver_opt=parts=none,deploy=none"

// path returns a PATH that begins with our plugin and the project's tools.
func path(t testing.TB) string {
	t.Helper()
	dir, err := plugin()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join([]string{dir, filepath.Join(repository(t), ".tools", "bin"), os.Getenv("PATH")}, string(os.PathListSeparator))
}

// run runs a program to its end and returns what it printed. The test fails if the exit
// code is not 0.
func run(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	output, err := try(t, dir, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, output)
	}
	return output
}

// try is like run, but the program may fail.
func try(t testing.TB, dir, name string, args ...string) (string, error) {
	t.Helper()
	output, err := call(t, dir, name, args...).CombinedOutput()
	return string(output), err
}

// call returns the command that runs a program in a folder.
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
	// With -trimpath, modules in different folders share what the Go command has built.
	command.Env = append(os.Environ(), "PATH="+path, "GOWORK=off", "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -trimpath"))
	return command
}

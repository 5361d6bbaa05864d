// Package orders makes a module of orders.proto with the generator of this repository,
// and runs its server as a process of its own, for tests with real clients.
package orders

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

//go:embed orders.proto
var protoFile []byte

// module is the generated module, in a folder that Run removes.
var module struct {
	sync.Mutex
	dir string
}

// Run runs the tests of a package, and then removes the module. It returns the exit code.
func Run(m *testing.M) int {
	code := m.Run()
	if err := os.RemoveAll(module.dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// Proto returns the path of orders.proto, which is alone in its folder.
func Proto(t testing.TB) string {
	return filepath.Join(Repository(t), "interop", "orders", "orders.proto")
}

// Program returns the path of the server of the module. The first call makes both.
func Program(t testing.TB) string {
	t.Helper()
	module.Lock()
	defer module.Unlock()
	if module.dir == "" {
		dir, err := os.MkdirTemp("", "orders-*")
		if err != nil {
			t.Fatal(err)
		}
		module.dir = dir
		build(t, dir)
	}
	return filepath.Join(module.dir, "orders-server")
}

// build makes the module in a folder, and builds its server.
func build(t testing.TB, dir string) {
	generator, in := filepath.Join(dir, "protoc-gen-receiver"), filepath.Join(dir, "orders")
	Output(t, Repository(t), "go", "build", "-o", generator, "./cmd/protoc-gen-receiver")
	if err := os.Mkdir(in, 0o755); err != nil {
		t.Fatal(err)
	}
	// new refuses a module within the folder of another one, so orders.proto is copied.
	if err := os.WriteFile(filepath.Join(dir, "orders.proto"), protoFile, 0o644); err != nil {
		t.Fatal(err)
	}
	Output(t, in, generator, "new", "example.com/orders", "--from", "../orders.proto")
	Output(t, in, "go", "build", "-o", dir, "./cmd/orders-server")
}

// Repository returns the root of this repository.
func Repository(t testing.TB) string {
	t.Helper()
	mod, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatalf("this runs within its repository: %v", err)
	}
	return filepath.Dir(strings.TrimSpace(string(mod)))
}

// Output runs a program in a folder, and returns what it prints on its standard output.
func Output(t testing.TB, dir, program string, args ...string) string {
	t.Helper()
	command := exec.Command(program, args...)
	command.Dir = dir
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", command, err, out, &stderr)
	}
	return string(out)
}

// Tool returns the path of a program on PATH. Without the program the test fails in CI
// and is skipped elsewhere, and prints how to get it.
func Tool(t testing.TB, name, howToGet string) string {
	t.Helper()
	found, err := exec.LookPath(name)
	if err != nil {
		Missing(t, name, howToGet)
	}
	return found
}

// Missing fails the test in CI, and skips it elsewhere.
func Missing(t testing.TB, what, howToGet string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: %s", what, howToGet)
	}
	t.Skipf("%s is missing: %s", what, howToGet)
}

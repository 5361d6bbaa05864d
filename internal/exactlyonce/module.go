package exactlyonce

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// programs are the paths of those that are tried: the server that was generated, a program
// with both ends, which uses the client and the log that were generated, and one that uses
// the publisher.
type programs struct{ server, shop, publish string }

//go:embed testdata/shop.go
var shop string

//go:embed testdata/publish.go
var publish string

// built are the programs without other drivers, which several trials use.
var built struct {
	sync.Mutex
	programs
	dir string
}

// Clean removes what trials have built. The tests of a package end with it.
func Clean() error { return os.RemoveAll(built.dir) }

// build returns the programs with some drivers.
func build(t *testing.T, drivers []string) programs {
	t.Helper()
	if len(drivers) > 0 {
		return makeModule(t, t.TempDir(), drivers)
	}
	built.Lock()
	defer built.Unlock()
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "exactlyonce-")
		if err != nil {
			t.Fatal(err)
		}
		built.dir, built.programs = dir, makeModule(t, dir, nil)
	}
	return built.programs
}

// makeModule makes a module as a user does, with the generator of this repository, and builds its
// programs.
func makeModule(t *testing.T, bin string, drivers []string) programs {
	t.Helper()
	module := t.TempDir()
	generator := filepath.Join(bin, "protoc-gen-receiver")
	run(t, ".", "go", "build", "-o", generator, "github.com/protoc-gen-receiver/protoc-gen-receiver/cmd/protoc-gen-receiver")
	run(t, module, generator, "new", "example.com/orders")
	imports := "package main\n\nimport _ \"modernc.org/sqlite\"\n"
	for _, driver := range drivers {
		imports += "import _ \"" + driver + "\"\n"
		version := run(t, ".", "go", "list", "-f", "{{with .Module}}{{.Path}}@{{.Version}}{{end}}", driver)
		run(t, module, "go", "get", strings.TrimSpace(version))
	}
	for name, text := range map[string]string{"shop/main.go": shop, "shop/drivers.go": imports, "publish/main.go": publish} {
		name = filepath.Join(module, "cmd", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	withLanes(t, filepath.Join(module, "cmd", "orders-server", "main.go"))
	run(t, module, generator, "generate", "-I", "proto") // copies what the code imports now
	run(t, module, "go", "mod", "tidy")
	run(t, module, "go", "build", "-trimpath", "-o", bin, "./cmd/orders-server", "./cmd/shop", "./cmd/publish")
	return programs{server: filepath.Join(bin, "orders-server"), shop: filepath.Join(bin, "shop"), publish: filepath.Join(bin, "publish")}
}

// withLanes has a server take the calls of lanes, unless it does already.
func withLanes(t *testing.T, main string) {
	t.Helper()
	text, err := os.ReadFile(main)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "server.Bulk") {
		return
	}
	changed := strings.Replace(string(text), "\t\taccess.Option(),\n", "\t\taccess.Option(),\n\t\t(&server.Bulk{On: true}).Option(),\n", 1)
	if err := os.WriteFile(main, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run runs a program in a folder, and returns what it prints.
func run(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, args...)
	command.Dir = dir
	var wrong strings.Builder
	command.Stderr = &wrong
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", command, err, out, &wrong)
	}
	return string(out)
}

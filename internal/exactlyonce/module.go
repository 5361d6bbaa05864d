package exactlyonce

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// programs are the paths of those that are tried: the server that was generated, and a
// program with both ends, which uses the client and the log that were generated.
type programs struct{ server, shop string }

//go:embed testdata/shop.go
var shop string

// build makes a module as a user does, with the generator of this repository, and builds its
// programs.
func build(t *testing.T, drivers []string) programs {
	t.Helper()
	bin, module := t.TempDir(), t.TempDir()
	generator := filepath.Join(bin, "protoc-gen-receiver")
	run(t, ".", "go", "build", "-o", generator, "github.com/protoc-gen-receiver/protoc-gen-receiver/cmd/protoc-gen-receiver")
	run(t, module, generator, "new", "example.com/orders")
	imports := "package main\n\nimport _ \"modernc.org/sqlite\"\n"
	for _, driver := range drivers {
		imports += "import _ \"" + driver + "\"\n"
		version := run(t, ".", "go", "list", "-f", "{{with .Module}}{{.Path}}@{{.Version}}{{end}}", driver)
		run(t, module, "go", "get", strings.TrimSpace(version))
	}
	main := filepath.Join(module, "cmd", "shop")
	if err := os.Mkdir(main, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"main.go": shop, "drivers.go": imports} {
		if err := os.WriteFile(filepath.Join(main, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(t, module, generator, "generate", "-I", "proto") // copies what the code imports now
	run(t, module, "go", "mod", "tidy")
	run(t, module, "go", "build", "-trimpath", "-o", bin, "./cmd/orders-server", "./cmd/shop")
	return programs{server: filepath.Join(bin, "orders-server"), shop: filepath.Join(bin, "shop")}
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

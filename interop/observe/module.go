package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed module/observe.proto
var protoFile []byte

//go:embed module/consume.go.txt
var consume []byte

//go:embed module/lookup.go.txt
var lookup []byte

// module is a generated module: its server program, and what was generated to run it.
type module struct{ dir string }

func (m module) server() string { return filepath.Join(m.dir, "bin/observe-server") }

// deployed returns the path of a file that was generated beside the server.
func (m module) deployed(file string) string {
	return filepath.Join(m.dir, "deploy/observe-server", file)
}

// buildModule generates a module in dir by the program of this repository, and builds
// its server.
func buildModule(ctx context.Context, dir string) (module, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return module{}, fmt.Errorf("this runs within its repository: %w", err)
	}
	run := func(in, name string, args ...string) error {
		command := exec.CommandContext(ctx, name, args...)
		command.Dir = in
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, out)
		}
		return nil
	}
	made, generator := module{filepath.Join(dir, "module")}, filepath.Join(dir, "protoc-gen-receiver")
	if err := run(filepath.Dir(strings.TrimSpace(string(root))), "go", "build", "-o", generator, "./cmd/protoc-gen-receiver"); err != nil {
		return module{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "observe.proto"), protoFile, 0o644); err != nil {
		return module{}, err
	}
	if err := os.Mkdir(made.dir, 0o755); err != nil {
		return module{}, err
	}
	if err := run(made.dir, generator, "new", "example.com/observe", "--from", "../observe.proto"); err != nil {
		return module{}, err
	}
	for name, text := range map[string][]byte{"consume.go": consume, "lookup.go": lookup} {
		if err := os.WriteFile(filepath.Join(made.dir, "internal/observe/v1/observeservice", name), text, 0o644); err != nil {
			return module{}, err
		}
	}
	return made, run(made.dir, "go", "build", "-o", "bin/", "./cmd/observe-server")
}

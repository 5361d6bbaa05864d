//go:build unix

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

//go:embed module/rotate.proto
var protoFile []byte

//go:embed module/caller/main.go.txt
var callerMain []byte

// programs are those of the generated module: its server, and a caller that uses the
// generated client.
type programs struct{ server, caller string }

// buildModule generates a module in dir by the program of this repository, and builds
// its programs.
func buildModule(ctx context.Context, dir string) (programs, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return programs{}, fmt.Errorf("this runs within its repository: %w", err)
	}
	run := func(in, name string, args ...string) error {
		command := exec.CommandContext(ctx, name, args...)
		command.Dir = in
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, out)
		}
		return nil
	}
	generator, module := filepath.Join(dir, "protoc-gen-receiver"), filepath.Join(dir, "module")
	if err := run(strings.TrimSpace(string(root)), "go", "build", "-o", generator, "./cmd/protoc-gen-receiver"); err != nil {
		return programs{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "rotate.proto"), protoFile, 0o644); err != nil {
		return programs{}, err
	}
	if err := os.MkdirAll(filepath.Join(module), 0o755); err != nil {
		return programs{}, err
	}
	if err := run(module, generator, "new", "example.com/orders", "--from", "../rotate.proto"); err != nil {
		return programs{}, err
	}
	caller := filepath.Join(module, "cmd/caller")
	if err := os.MkdirAll(caller, 0o755); err != nil {
		return programs{}, err
	}
	if err := os.WriteFile(filepath.Join(caller, "main.go"), callerMain, 0o644); err != nil {
		return programs{}, err
	}
	if err := run(module, "go", "build", "-trimpath", "-o", "bin/", "./cmd/rotate-server", "./cmd/caller"); err != nil {
		return programs{}, err
	}
	return programs{filepath.Join(module, "bin/rotate-server"), filepath.Join(module, "bin/caller")}, nil
}

//go:build linux

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

//go:embed module/abuse.proto
var protoFile []byte

//go:embed module/honest/main.go.txt
var honestMain []byte

//go:embed module/lookup.go.txt
var lookup []byte

// programs are what the generated module has: a server, and a caller that uses the
// generated client.
type programs struct{ server, honest string }

// buildModule generates a module in dir by the program of this repository, and builds
// its programs.
func buildModule(ctx context.Context, dir string) (programs, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return programs{}, fmt.Errorf("this runs within its repository: %w", err)
	}
	module := filepath.Join(dir, "module")
	if err := os.Mkdir(module, 0o755); err != nil {
		return programs{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "abuse.proto"), protoFile, 0o644); err != nil {
		return programs{}, err
	}
	run := func(in, name string, args ...string) error {
		command := exec.CommandContext(ctx, name, args...)
		command.Dir = in
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, out)
		}
		return nil
	}
	generator := filepath.Join(dir, "protoc-gen-receiver")
	if err := run(strings.TrimSpace(string(root)), "go", "build", "-o", generator, "./cmd/protoc-gen-receiver"); err != nil {
		return programs{}, err
	}
	if err := run(module, generator, "new", "example.com/orders", "--from", "../abuse.proto"); err != nil {
		return programs{}, err
	}
	for name, text := range map[string][]byte{"cmd/honest/main.go": honestMain, "internal/abuse/v1/abuseservice/lookup.go": lookup} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(module, name)), 0o755); err != nil {
			return programs{}, err
		}
		if err := os.WriteFile(filepath.Join(module, name), text, 0o644); err != nil {
			return programs{}, err
		}
	}
	if err := run(module, "go", "build", "-trimpath", "-o", "bin/", "./cmd/abuse-server", "./cmd/honest"); err != nil {
		return programs{}, err
	}
	return programs{server: filepath.Join(module, "bin/abuse-server"), honest: filepath.Join(module, "bin/honest")}, nil
}

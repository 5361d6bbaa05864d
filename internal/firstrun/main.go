//go:build unix

// Command firstrun plays somebody who uses protoc-gen-receiver for the first time, with a
// clock. It installs the program as README says, from this repository, makes a module,
// sends the first event, reads it back, and changes the proto and the code. Then it does
// the same with a proto that was written without knowing the program. It prints what each
// command took, and what the time was spent on.
//
// It fails if a step fails. The goals are only printed: times depend on the machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/moduleproxy"
)

func main() {
	if log := os.Getenv(toolLog); log != "" {
		os.Exit(runTool(log, os.Args[1:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "firstrun:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	cold := flag.Bool("cold", false, "begin with an empty module cache and an empty build cache for each of the two modules (250 MB of downloads)")
	keep := flag.Bool("keep", false, "keep the folders")
	flag.Parse()

	dir, err := os.MkdirTemp("", "firstrun-")
	if err != nil {
		return err
	}
	if *keep {
		fmt.Println("folders are kept in", dir)
	} else {
		defer func() { _ = moduleproxy.RemoveAll(dir) }()
	}
	root, err := repository()
	if err != nil {
		return err
	}
	proxy, err := moduleproxy.Write(filepath.Join(dir, "proxy"), root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, proxy.Forget()) }()

	limit, caches := 30*time.Second, "with the caches of this machine"
	if *cold {
		limit, caches = 150*time.Second, "with empty caches"
	}
	fmt.Printf("%s, %d cores, %s\n", runtime.Version(), runtime.NumCPU(), caches)
	for _, journey := range []struct {
		name, title string
		do          func(*newcomer) error
		goals       goals
	}{
		{"orders", "a new module", orders, goals{6, limit}},
		{"warehouse", "a module around a proto that was written without knowing the program", warehouse, goals{}},
	} {
		fmt.Printf("\n== %s\n", journey.title)
		n, err := newNewcomer(ctx, filepath.Join(dir, journey.name), root, proxy, *cold)
		if err != nil {
			return err
		}
		err = errors.Join(journey.do(n), n.leave())
		n.report(os.Stdout, journey.goals)
		if err != nil {
			return fmt.Errorf("%s: %w", journey.title, err)
		}
	}
	return nil
}

// repository returns the root of this repository, in which the command runs.
func repository() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(out)), nil
}

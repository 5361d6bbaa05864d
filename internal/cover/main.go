// Command cover measures which statements of cmd/, internal/ and runtime/ the tests of
// this repository run, also in the programs that the tests start:
//
//	go run ./internal/cover
//
// It prints a table of the packages, and the files of which less than 85 % is run, each
// with the reason that reasons.txt has for it. It fails if a test does, if a file has no
// reason, or if one has a reason that it does not need.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// measured are the packages whose statements are counted. A program counts nothing if its
// main is not among them.
const measured = "./cmd/...,./internal/...,./runtime/..."

// reasonsFile has the reasons, from the root of the repository.
const reasonsFile = "internal/cover/reasons.txt"

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "cover:", err)
		os.Exit(1)
	}
}

// run runs the tests, and prints which statements they run.
func run(out io.Writer) error {
	text, err := os.ReadFile(reasonsFile)
	if err != nil {
		return err
	}
	reasons, err := parseReasons(string(text))
	if err != nil {
		return err
	}
	module, err := exec.Command("go", "list", "-m").Output()
	if err != nil {
		return fmt.Errorf("go list -m: %w", err)
	}
	profile, failed, err := profile()
	if err != nil {
		return err
	}
	files, err := count(profile, strings.TrimSpace(string(module))+"/")
	if err != nil {
		return err
	}
	show(out, files, reasons)
	return errors.Join(failed, check(files, reasons))
}

// profile runs the tests, and returns how often they run each block, in the text format of
// go test -coverprofile. The error of tests that fail is failed.
func profile() (text []byte, failed, err error) {
	dir, err := os.MkdirTemp("", "cover-*")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	// Some tests run programs as another user, who writes there, too.
	counters := filepath.Join(dir, "counters")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(counters, 0o755), os.Chmod(counters, 0o777)); err != nil {
		return nil, nil, err
	}
	// go test has tests, and the programs that they start, count in a folder that it deletes.
	test := exec.Command("go", "test", "-count=1", "-timeout=30m", "-vet=off", "-cover", "-coverpkg="+measured, "-exec=env GOCOVERDIR="+counters,
		"./cmd/...", "./internal/...", "./runtime/...", "-args", "-test.gocoverdir="+counters)
	test.Stdout, test.Stderr = os.Stderr, os.Stderr
	if err := test.Run(); err != nil {
		failed = fmt.Errorf("go test: %w", err)
	}
	merged := filepath.Join(dir, "profile.txt")
	merge := exec.Command("go", "tool", "covdata", "textfmt", "-i="+counters, "-o="+merged)
	if output, err := merge.CombinedOutput(); err != nil {
		return nil, failed, fmt.Errorf("go tool covdata: %w\n%s", err, output)
	}
	text, err = os.ReadFile(merged)
	return text, failed, err
}

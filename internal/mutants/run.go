package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// runner runs the tests of modules.
type runner struct {
	root      string // the repository
	parallel  int
	timeout   time.Duration // of the tests of one package
	buildOnly bool
}

// result is what became of a mutant.
type result struct {
	by      string // the test that caught it; empty if none did
	message string // of that test
	hung    bool   // the tests ended only by the timeout of go test, which is not to catch it
	took    time.Duration
}

func (r result) caught() bool { return r.by != "" && !r.hung }

// rightOnes runs the tests of the modules of mutants without a mistake: they must pass.
func (r runner) rightOnes(ctx context.Context, picked []group) error {
	needed := map[*module]bool{} // whether with the race detector
	for _, g := range picked {
		for _, m := range g.mutants {
			needed[m.in] = needed[m.in] || m.race
		}
	}
	for m, race := range needed {
		packages, err := m.packages(r.root, "")
		if err != nil {
			return err
		}
		result, err := r.test(ctx, m, nil, race, packages)
		if err != nil {
			return err
		}
		if result.by != "" {
			return fmt.Errorf("%s fails without a mistake: %s: %s", m.dir, result.by, result.message)
		}
	}
	return nil
}

// runAll runs the mutants, some at once, and returns what became of each, by its id.
func (r runner) runAll(ctx context.Context, picked []group) (map[string]result, error) {
	results := map[string]result{}
	var broken []error // what is wrong with a mutant
	var mu sync.Mutex
	var all sync.WaitGroup
	next := make(chan mutant)
	for range r.parallel {
		all.Go(func() {
			for m := range next {
				result, err := r.run(ctx, m)
				mu.Lock()
				if err != nil {
					broken = append(broken, err)
				} else if results[m.id] = result; !r.buildOnly {
					fmt.Fprintf(os.Stderr, "%s %s (%s)\n", m.id, result.word(), result.took.Round(100*time.Millisecond))
				}
				mu.Unlock()
			}
		})
	}
	for _, g := range picked {
		for _, m := range g.mutants {
			select {
			case next <- m:
			case <-ctx.Done():
			}
		}
	}
	close(next)
	all.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return results, errors.Join(broken...)
}

// run runs the tests of a mutant's module, package after package until one fails.
func (r runner) run(ctx context.Context, m mutant) (result, error) {
	read, err := m.in.reader(r.root)
	if err != nil {
		return result{}, err
	}
	changed, err := m.mutate(read)
	if err != nil {
		return result{}, err
	}
	packages, err := m.in.packages(r.root, m.in.file(m.edits[0].file))
	if err != nil {
		return result{}, err
	}
	if r.buildOnly {
		return result{}, r.builds(ctx, m, changed)
	}
	begin := time.Now()
	var found result
	for _, dir := range packages {
		if found, err = r.test(ctx, m.in, changed, m.race, []string{dir}); err != nil {
			return result{}, fmt.Errorf("%s: %w", m.id, err)
		}
		if found.by != "" {
			break
		}
	}
	found.took = time.Since(begin)
	return found, nil
}

// builds builds the packages that a mutant changes.
func (r runner) builds(ctx context.Context, m mutant, changed map[string]string) error {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	overlay, err := r.overlay(dir, m.in, changed)
	if err != nil {
		return err
	}
	args := []string{"build", "-overlay", overlay, "-o", os.DevNull}
	for file := range changed {
		args = append(args, filepath.Join(r.root, filepath.Dir(file)))
	}
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = filepath.Join(r.root, m.in.dir)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s does not build:\n%s", m.id, out)
	}
	return nil
}

// test runs the tests of packages, with changed files by their paths below the
// repository. It returns an error if they do not build.
func (r runner) test(ctx context.Context, m *module, changed map[string]string, race bool, packages []string) (result, error) {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	overlay, err := r.overlay(dir, m, changed)
	if err != nil {
		return result{}, err
	}
	args := []string{"test", "-json", "-vet=off", "-count=1", "-failfast", "-timeout", r.timeout.String(), "-overlay", overlay}
	if race {
		args = append(args, "-race")
	}
	for _, p := range packages {
		args = append(args, "./"+p)
	}
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = filepath.Join(r.root, m.dir)
	out, err := command.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		return result{}, errors.Join(err, ctx.Err())
	}
	found, broken := read(out)
	switch {
	case broken != "":
		return result{}, fmt.Errorf("it does not build:\n%s", broken)
	case err != nil && found.by == "":
		return result{}, fmt.Errorf("go test fails, and no test did:\n%s", out)
	}
	return found, nil
}

// overlay writes the files that the Go command is to see in a module, and returns the
// file that lists them.
func (r runner) overlay(dir string, m *module, changed map[string]string) (string, error) {
	written, err := m.written(r.root)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for file, at := range written {
		replace[filepath.Join(r.root, file)] = at
	}
	for file, text := range changed {
		at := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(r.root, file)] = at
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	at := filepath.Join(dir, "overlay.json")
	return at, os.WriteFile(at, list, 0o600)
}

// messageLine is a line with which a test fails: "    one_test.go:12: error is nil".
var messageLine = regexp.MustCompile(`^\s+(\S+\.go:\d+: .*)`)

// read reads the output of go test -json. It returns the first test that failed, with
// its first message, or why a package does not build.
func read(out []byte) (found result, broken string) {
	said := map[string][]string{} // by package and test
	var fails []string
	var built strings.Builder
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var event struct{ Action, Package, Test, Output, FailedBuild string }
		if json.Unmarshal(lines.Bytes(), &event) != nil {
			continue
		}
		key := event.Package + " " + event.Test
		switch event.Action {
		case "build-output":
			built.WriteString(event.Output)
		case "output":
			said[key] = append(said[key], event.Output)
			found.hung = found.hung || strings.HasPrefix(event.Output, "panic: test timed out")
		case "fail":
			if event.FailedBuild != "" {
				broken = built.String()
			}
			fails = append(fails, key)
		}
	}
	if broken != "" || len(fails) == 0 {
		return result{}, broken
	}
	_, found.by, _ = strings.Cut(fails[0], " ")
	if found.by == "" {
		found.by = "the package " + filepath.Base(strings.TrimSpace(fails[0]))
		found.message = strings.TrimSpace(strings.Join(said[fails[0]], ""))
		return found, ""
	}
	found.message = message(said[fails[0]])
	return found, ""
}

// message returns the line of a test's output that says most.
func message(output []string) string {
	var text string
	for _, line := range output {
		switch found := messageLine.FindStringSubmatch(line); {
		case strings.HasPrefix(line, "panic: "), strings.HasPrefix(line, "WARNING: DATA RACE"):
			return strings.TrimSpace(line)
		case found != nil && text == "":
			text = found[1]
		}
	}
	return text
}

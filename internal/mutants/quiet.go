package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// quiet runs the tests of both modules many times, and fails if one of the runs does.
func quiet(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("quiet", flag.ContinueOnError)
	runs := flags.Int("runs", 500, "how often all tests are run")
	parallel := flags.Int("parallel", 2*runtime.NumCPU(), "how many runs there are at once: more than cores keep them busy")
	race := flags.Bool("race", true, "run them under the race detector")
	if err := flags.Parse(args); err != nil {
		return err
	}
	root, err := repository(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "quiet-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var tests []testBinary
	for i, m := range []*module{receiver, kinds} {
		within := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(within, 0o700); err != nil {
			return err
		}
		packages, err := m.packages(root, "")
		if err != nil {
			return err
		}
		built, err := (runner{root: root}).build(ctx, within, m, *race, packages)
		if err != nil {
			return err
		}
		tests = append(tests, built...)
	}
	begin := time.Now()
	failed := repeat(ctx, tests, *runs, *parallel)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	fmt.Printf("%d runs of the tests of %d packages, %d at once on %d cores, in %s: %d failed\n",
		*runs, len(tests), *parallel, runtime.NumCPU(), time.Since(begin).Round(time.Second), failed)
	if failed > 0 {
		return fmt.Errorf("%d of %d runs failed though nothing is wrong", failed, *runs)
	}
	return nil
}

// testBinary is the tests of a package, built.
type testBinary struct{ program, dir string }

// build builds the tests of packages. They are to run in the folders of those, or of what
// the user wrote if there is none in the module.
func (r runner) build(ctx context.Context, dir string, m *module, race bool, packages []string) (tests []testBinary, err error) {
	overlay, err := r.overlay(dir, m, nil)
	if err != nil {
		return nil, err
	}
	for i, p := range packages {
		test := testBinary{filepath.Join(dir, fmt.Sprintf("%d.test", i)), filepath.Join(r.root, m.dir, p)}
		if _, err := os.Stat(test.dir); err != nil {
			test.dir = filepath.Join(r.root, m.user, p)
		}
		command := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", overlay, fmt.Sprintf("-race=%t", race), "-o", test.program, "./"+p)
		command.Dir = filepath.Join(r.root, m.dir)
		if out, err := command.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("the tests of %s do not build: %w\n%s", test.dir, err, out)
		}
		tests = append(tests, test)
	}
	return tests, nil
}

// repeat runs tests a number of times, some at once, and returns how many runs failed. It
// prints what those print.
func repeat(ctx context.Context, tests []testBinary, runs, parallel int) (failed int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	next := make(chan int)
	for range parallel {
		all.Go(func() {
			for n := range next {
				var said strings.Builder
				for _, test := range tests {
					command := exec.CommandContext(ctx, test.program, "-test.timeout=5m")
					command.Dir = test.dir
					if out, err := command.CombinedOutput(); err != nil && ctx.Err() == nil {
						fmt.Fprintf(&said, "%s: %v\n%s", test.dir, err, out)
					}
				}
				if said.Len() > 0 {
					mu.Lock()
					failed++
					fmt.Fprintf(os.Stderr, "run %d fails:\n%s", n, said.String())
					mu.Unlock()
				}
			}
		})
	}
	for n := range runs {
		select {
		case next <- n + 1:
		case <-ctx.Done():
		}
	}
	close(next)
	all.Wait()
	return failed
}

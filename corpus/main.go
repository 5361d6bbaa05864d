// Command corpus runs the plugin on the services of well-known public Go modules,
// and builds, vets and tests the generated code:
//
//	go run . [-module SUBSTRING] [-sample] [-keep DIR] [-repository DIR]
//
// The folder modules has a program for each module, which imports the packages with
// services and writes their descriptors. There is one program for each because a
// process can't register two files with the same name. Its output becomes the
// request of a plugin run, whose output is a Go module with the requirements of
// corpus/go.mod, so that services and generated code use the same versions. The
// modules are always generated in the same folders, so that the go command can use
// its cache.
//
// It prints a table with a row for each module, each failure, each RPC that was
// recognised as taking events, and what is left out and why. The exit code is 1 if
// anything failed.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// sample are the modules of -sample: small ones that take a few seconds, with RPCs of
// every kind.
var sample = []string{"authzed", "csi", "etcd", "go-plugin", "grpc", "otlp"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	ok, err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// run runs the command with its arguments, and reports whether nothing failed.
func run(ctx context.Context, args []string, out io.Writer) (ok bool, err error) {
	flags := flag.NewFlagSet("corpus", flag.ContinueOnError)
	substring := flags.String("module", "", "run only the modules whose name or path contains this")
	few := flags.Bool("sample", false, "run only a few small modules: "+strings.Join(sample, ", "))
	keep := flags.String("keep", ".generated", "the folder to generate into; it is not deleted")
	repository := flags.String("repository", "..", "the folder of the plugin's repository, for another checkout")
	if err := flags.Parse(args); err != nil {
		return false, err
	}
	began := time.Now()
	modules, err := find(ctx)
	if err != nil {
		return false, err
	}
	modules = slices.DeleteFunc(modules, func(m Module) bool {
		return *few && !slices.Contains(sample, m.Name) || !strings.Contains(m.Name+" "+m.Path, *substring)
	})
	into, err := filepath.Abs(*keep)
	if err != nil {
		return false, err
	}
	g, err := newGenerator(ctx, *repository, into)
	if err != nil {
		return false, err
	}
	results := all(ctx, g, modules)
	print(out, results)
	fmt.Fprintf(out, "\n%s on %d cores\n", time.Since(began).Round(time.Second), runtime.NumCPU())
	failed := slices.ContainsFunc(results, func(r *Result) bool { return len(r.Failures) > 0 })
	return !failed && len(results) > 0, ctx.Err()
}

// all runs modules, two at a time: while one compiles the other links or tests.
// The results are in the order of the modules.
func all(ctx context.Context, g *generator, modules []Module) []*Result {
	results := make([]*Result, len(modules))
	slots := make(chan struct{}, 2)
	var wg sync.WaitGroup
	for i, module := range modules {
		slots <- struct{}{}
		wg.Go(func() {
			began := time.Now()
			results[i] = g.run(ctx, module)
			results[i].Took = time.Since(began)
			fmt.Fprintf(os.Stderr, "%s: %s\n", module.Name, results[i])
			<-slots
		})
	}
	wg.Wait()
	return results
}

// Command corpus generates the services of well-known public Go modules, and
// builds, vets and tests what comes out:
//
//	go run . [-module SUBSTRING] [-sample] [-keep DIR] [-repository DIR]
//
// Below modules is a program for each of them, which imports the packages that
// have services and writes their descriptors: a program each, because one
// process can't register two files under one name. What it writes becomes the
// request of a plugin run, whose output is a Go module with the requirements of
// corpus/go.mod: services and generated code share the very same versions. The
// modules are always made in the same place, so that the go command knows again
// what it has built and tested before.
//
// Printed are a table with a row for each module, each failure, each RPC that
// was taken for one that takes events, and what is left out, and why. The exit
// code is 1 if anything failed.
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

// sample are the modules of -sample: small ones, that take few seconds, with
// RPCs of every kind.
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

// run does what the arguments say, and reports whether nothing failed.
func run(ctx context.Context, args []string, out io.Writer) (ok bool, err error) {
	flags := flag.NewFlagSet("corpus", flag.ContinueOnError)
	substring := flags.String("module", "", "run only the modules with this in their name or path")
	few := flags.Bool("sample", false, "run only a few small modules: "+strings.Join(sample, ", "))
	keep := flags.String("keep", ".generated", "generate into this folder, and leave there what was generated")
	repository := flags.String("repository", "..", "the folder of the plugin's repository, to run another checkout of it")
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

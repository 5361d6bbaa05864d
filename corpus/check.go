package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"go/ast"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// locate finds the implementation of each service, and the packages that the
// implementation, its tests and its programs import.
func (r *Result) locate(ctx context.Context, dir string) error {
	packages, err := list(ctx, dir)
	if err != nil {
		return err
	}
	err = goFiles(filepath.Join(dir, "internal"), func(at string, file *ast.File) {
		for _, service := range r.Services {
			if implements(file, service) {
				service.impl = packages[filepath.Dir(at)].ImportPath
				service.Generated = true
			}
		}
	})
	if err != nil {
		return err
	}
	for _, service := range r.Services {
		if !service.Generated {
			r.fail("generate", "", "nothing implements "+service.Name)
			continue
		}
		service.packages = needed(packages, service.impl)
	}
	return nil
}

// goPackageInfo is what go list prints about a generated package.
type goPackageInfo struct {
	ImportPath, Dir string
	Deps            []string
	TestImports     []string
}

// list returns the packages below a folder, by their own folders.
func list(ctx context.Context, dir string) (map[string]goPackageInfo, error) {
	output, err := goOutput(ctx, dir, "list", "-e", "-json=ImportPath,Dir,Deps,TestImports", "./...")
	if err != nil {
		return nil, err
	}
	packages := map[string]goPackageInfo{}
	for decoder := json.NewDecoder(strings.NewReader(string(output))); decoder.More(); {
		var pkg goPackageInfo
		if err := decoder.Decode(&pkg); err != nil {
			return nil, err
		}
		packages[pkg.Dir] = pkg
	}
	return packages, nil
}

// needed returns the packages without which a service does not work: those that its
// implementation and the tests import, and the programs that contain it.
func needed(packages map[string]goPackageInfo, impl string) []string {
	need := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		for _, pkg := range packages {
			if pkg.ImportPath == name && !need[name] {
				need[name] = true
				for _, dep := range slices.Concat(pkg.Deps, pkg.TestImports) {
					add(dep)
				}
			}
		}
	}
	add(impl)
	for _, pkg := range packages {
		if server, ok := strings.CutSuffix(pkg.ImportPath, "-server"); ok && slices.Contains(pkg.Deps, impl) {
			add(pkg.ImportPath)
			add(server + "-client")
		}
	}
	return slices.Sorted(maps.Keys(need))
}

// check builds, vets and tests the generated module.
func (r *Result) check(ctx context.Context, dir string) {
	programs := filepath.Join(dir, "bin")
	// Linked without symbols, which saves half of the time.
	r.compile(ctx, dir, "build", "-ldflags=-s -w", "-o", programs+"/", "./...")
	r.start(ctx, programs)
	os.RemoveAll(programs) // they are many, and large
	r.compile(ctx, dir, "vet", "./...")
	r.test(ctx, dir)
	for _, service := range r.Services {
		service.Built = service.Generated && !r.failed(service, "build")
		service.Started = service.Built && !r.failed(service, "start")
		service.Vetted = service.Generated && !r.failed(service, "vet")
		service.TestsPassed = service.TestsCounted > 0 && !r.failed(service, "test")
	}
}

// start runs the built programs in a folder for their help, which needs no running
// server. It runs clients also for the help of each command.
func (r *Result) start(ctx context.Context, programs string) {
	entries, _ := os.ReadDir(programs) // empty if the build failed, which is recorded
	for _, entry := range entries {
		help, err := output(ctx, filepath.Join(programs, entry.Name()), "--help")
		for _, command := range commands(string(help)) {
			if err == nil {
				_, err = output(ctx, filepath.Join(programs, entry.Name()), command, "--help")
			}
		}
		if err != nil {
			r.fail("start", path.Join("example.com/corpus", r.Module.Name, "cmd", entry.Name()), err.Error())
		}
	}
}

// command is a line of the list in a client's help.
var command = regexp.MustCompile(`(?m)^  ([^-\s]\S*)`)

// commands returns the commands in a program's help, except help itself.
func commands(help string) (names []string) {
	_, list, _ := strings.Cut(help, "\nCommands:\n")
	for _, match := range command.FindAllStringSubmatch(list, -1) {
		if match[1] != "help" {
			names = append(names, match[1])
		}
	}
	return names
}

// failed reports whether a step failed for a service.
func (r *Result) failed(service *Service, step string) bool {
	return slices.ContainsFunc(r.Failures, func(f Failure) bool {
		return f.Step == step && (len(f.Services) == 0 || slices.Contains(f.Services, service.Name))
	})
}

// compile runs go build or go vet, and records its errors.
func (r *Result) compile(ctx context.Context, dir, step string, args ...string) {
	_, err := goOutput(ctx, dir, append([]string{step}, args...)...)
	if err == nil {
		return
	}
	errs := packageErrors(err.Error())
	for _, one := range errs {
		r.fail(step, one.pkg, one.text)
	}
	if len(errs) == 0 {
		r.fail(step, "", err.Error())
	}
}

// packageError is what the go command reports about a package.
type packageError struct{ pkg, text string }

// heading is the line that the go command prints above the errors of a package.
var heading = regexp.MustCompile(`(?m)^# \[?([^\s\]]+).*\n`)

// packageErrors parses the output of go build or go vet.
func packageErrors(text string) (all []packageError) {
	headings := heading.FindAllStringSubmatchIndex(text, -1)
	for i, at := range headings {
		end := len(text)
		if i+1 < len(headings) {
			end = headings[i+1][0]
		}
		if about := strings.TrimSpace(text[at[1]:end]); about != "" {
			all = append(all, packageError{text[at[2]:at[3]], about})
		}
	}
	return all
}

// testEvent is a line of go test -json.
type testEvent struct {
	Action, Package, ImportPath, Test, Output string
}

// test runs the tests, and records those that fail.
func (r *Result) test(ctx context.Context, dir string) {
	// go vet has run already.
	output, err := goOutput(ctx, dir, "test", "-vet=off", "-json", "./...")
	before := len(r.Failures)
	r.read(output)
	if err != nil && len(r.Failures) == before {
		r.fail("test", "", err.Error())
	}
}

// read parses the output of go test -json. It counts the tests that passed, and
// records the output of tests that failed, and of packages that failed without a
// failing test.
func (r *Result) read(output []byte) {
	printed := map[string]string{} // by package and test
	before := len(r.Failures)
	for decoder := json.NewDecoder(bytes.NewReader(output)); decoder.More(); {
		var event testEvent
		if decoder.Decode(&event) != nil {
			return
		}
		pkg, _, _ := strings.Cut(cmp.Or(event.Package, event.ImportPath), " ")
		key := pkg + " " + event.Test
		switch event.Action {
		case "output", "build-output":
			printed[key] += event.Output
		case "pass":
			for _, service := range r.Services {
				if service.impl == pkg && event.Test != "" {
					service.TestsCounted++
				}
			}
		case "fail", "build-fail":
			if event.Test != "" || !slices.ContainsFunc(r.Failures[before:], func(f Failure) bool { return f.Package == pkg }) {
				r.fail("test", pkg, strings.TrimSpace(event.Test+"\n"+printed[key]))
			}
		}
	}
}

package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// fill fills in every stub of the generated modules in testdata by a small right
// implementation, in several manners, and runs the tests beside it.
func fill(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("fill", flag.ContinueOnError)
	chosen := flags.String("run", "", "take the folders of testdata whose name matches this regular expression")
	settings := runner{}
	flags.DurationVar(&settings.timeout, "timeout", 2*time.Minute, "how long the tests of a module may take")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pattern, err := regexp.Compile(*chosen)
	if err != nil {
		return err
	}
	if settings.root, err = repository(ctx); err != nil {
		return err
	}
	goldens, err := filepath.Glob(filepath.Join(settings.root, "testdata", "*", "golden"))
	if err != nil {
		return err
	}
	var wrong []error
	total := 0
	for _, golden := range goldens {
		if !pattern.MatchString(filepath.Base(filepath.Dir(golden))) {
			continue
		}
		stubs, err := findStubs(settings.root, golden)
		if err != nil {
			return err
		}
		if len(stubs) == 0 {
			continue
		}
		total += len(stubs)
		for _, manner := range manners {
			result, err := settings.runFilled(ctx, stubs, manner)
			if err != nil {
				return err
			}
			fmt.Printf("%-60s %3d stubs, each %-28s %s\n", stubs[0].module, len(stubs), manner.about, result.verdict())
			if result.by != "" {
				wrong = append(wrong, fmt.Errorf("%s, each stub %s: %s: %s", stubs[0].module, manner.about, result.by, result.message))
			}
		}
	}
	fmt.Printf("%d stubs, filled in in %d manners\n", total, len(manners))
	if total == 0 {
		wrong = append(wrong, errors.New("there are no stubs"))
	}
	return errors.Join(wrong...)
}

// verdict says how tests ended that should pass.
func (r result) verdict() string {
	switch {
	case r.hung:
		return "hangs in " + r.by
	case r.by != "":
		return "fails in " + r.by
	}
	return "passes"
}

// manner is how stubs are filled in: by a file of functions that the RPCs call.
type manner struct {
	about string
	code  string
}

var (
	//go:embed testdata/fill/answers.go
	answers string
	//go:embed testdata/fill/refuses.go
	refuses string
	//go:embed testdata/fill/little.go
	little string
	//go:embed testdata/fill/waits.go
	waits   string
	manners = []manner{
		{"answers in full", answers},
		{"says as little as it may", little},
		{"refuses with NotFound", refuses},
		{"streams nothing until its end", waits},
	}
)

// stub is an RPC that answers Unimplemented.
type stub struct {
	module string // below the repository
	file   string // below the repository
	text   string // of the file that is filled in
	pkg    string // the name of its package
}

// unimplemented is what a stub returns.
var unimplemented = regexp.MustCompile(`(?m)^\treturn (nil, )?\w+\.Error\(\w+\.Unimplemented, "\w+ is not implemented yet"\)$`)

// findStubs returns the stubs of a module, filled in.
func findStubs(root, golden string) (stubs []stub, err error) {
	var generated strings.Builder // code of gRPC, which declares the streams
	var at []string
	err = filepath.WalkDir(golden, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		text, err := os.ReadFile(file)
		if strings.HasSuffix(file, "_grpc.pb.go") {
			generated.Write(text)
		} else if unimplemented.Match(text) {
			at = append(at, file)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, file := range at {
		filled, err := fillIn(file, generated.String())
		if err != nil {
			return nil, err
		}
		below, err := filepath.Rel(root, file)
		if err != nil {
			return nil, err
		}
		module, err := filepath.Rel(root, golden)
		if err != nil {
			return nil, err
		}
		filled.file, filled.module = filepath.ToSlash(below), filepath.ToSlash(module)
		stubs = append(stubs, filled)
	}
	return stubs, nil
}

// fillIn returns a stub that calls what implements its kind of RPC.
func fillIn(file, generated string) (stub, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return stub{}, err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, text, 0)
	if err != nil {
		return stub{}, err
	}
	for _, decl := range parsed.Decls {
		rpc, ok := decl.(*ast.FuncDecl)
		if !ok || rpc.Recv == nil {
			continue
		}
		filled, err := fixImports(unimplemented.ReplaceAllString(string(text), "\treturn "+call(rpc, generated)), nil)
		return stub{text: filled, pkg: parsed.Name.Name}, err
	}
	return stub{}, fmt.Errorf("%s has no RPC", file)
}

// call returns the call that implements an RPC.
func call(rpc *ast.FuncDecl, generated string) string {
	var params []string
	for _, field := range rpc.Type.Params.List {
		for _, name := range field.Names {
			params = append(params, name.Name)
		}
	}
	last := params[len(params)-1]
	switch {
	case len(rpc.Type.Results.List) == 2:
		return fmt.Sprintf("filledUnary(%s.%s)", rpc.Recv.List[0].Names[0].Name, rpc.Name.Name)
	case len(params) == 2:
		return fmt.Sprintf("filledServerStream(%s)", last)
	}
	stream := rpc.Type.Params.List[0].Type.(*ast.SelectorExpr).Sel.Name
	if strings.Contains(generated, "type "+stream+" = grpc.ClientStreamingServer[") {
		return fmt.Sprintf("filledClientStream(%s)", last)
	}
	return fmt.Sprintf("filledBidi(%s)", last)
}

// runFilled runs the tests beside stubs that are filled in.
func (r runner) runFilled(ctx context.Context, stubs []stub, manner manner) (result, error) {
	changed := map[string]string{}
	var packages []string
	m := &module{dir: stubs[0].module}
	for _, s := range stubs {
		changed[s.file] = s.text
		dir := path.Dir(s.file)
		changed[path.Join(dir, "zz_filled.go")] = strings.Replace(manner.code, "package filled\n", "package "+s.pkg+"\n", 1)
		if below := strings.TrimPrefix(dir, m.dir+"/"); !slices.Contains(packages, below) {
			packages = append(packages, below)
		}
	}
	return r.test(ctx, m, changed, false, packages)
}

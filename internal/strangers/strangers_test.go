package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// Each report has a test: `make strangers` runs them.
func TestEveryReportHasItsTest(t *testing.T) {
	declared := map[string]map[string]bool{} // functions, by package
	seen := map[string]bool{}
	for _, r := range reports {
		if r.what == "" || r.before == "" || r.now == "" {
			t.Errorf("%+v lacks a text", r)
		}
		if seen[r.what] {
			t.Errorf("%q is reported twice", r.what)
		}
		seen[r.what] = true
		if declared[r.pkg] == nil {
			declared[r.pkg] = testsOf(t, r.pkg)
		}
		if function, _, _ := strings.Cut(r.test, "/"); !declared[r.pkg][function] {
			t.Errorf("%s has no %s", r.pkg, function)
		}
	}
}

// testsOf returns the test functions of a package.
func testsOf(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", pkg, "*_test.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s has no tests (%v)", pkg, err)
	}
	tests := map[string]bool{}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if function, ok := decl.(*ast.FuncDecl); ok && function.Recv == nil && strings.HasPrefix(function.Name.Name, "Test") {
				tests[function.Name.Name] = true
			}
		}
	}
	return tests
}

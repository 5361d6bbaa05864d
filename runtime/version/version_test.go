package version_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/semver"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/version"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/templates"
)

func TestRelease(t *testing.T) {
	if !semver.IsValid(version.Release) || version.Release != semver.Canonical(version.Release) {
		t.Errorf("%q is not a version as Go writes them", version.Release)
	}
}

// TestGeneratedCodeFits compiles those lines of the templates that compare the
// levels: with the runtime as it is, with an older one and with newer ones.
func TestGeneratedCodeFits(t *testing.T) {
	checks := checks(t)
	for _, test := range []struct {
		runtime       string
		level, oldest int
		want          string // at the end of the error
	}{
		{"as it is", version.Level, version.Oldest, "<nil>"},
		{"newer, and it still fits", version.Level + 1, version.Level, "<nil>"},
		{"older", version.Level - 1, version.Oldest - 1, "constant -1 overflows version.RuntimeIsTooOldForThisCode"},
		{"newer, and it no longer fits", version.Level + 1, version.Level + 1, "constant -1 overflows version.ThisCodeIsTooOldForTheRuntime"},
	} {
		t.Run(test.runtime, func(t *testing.T) {
			runtime := runtime(t, test.level, test.oldest)
			for name, check := range checks {
				_, err := compile(check, runtime)
				if !strings.HasSuffix(fmt.Sprint(err), test.want) {
					t.Errorf("%s: error is %v, want %s", name, err, test.want)
				}
			}
		})
	}
}

// TestEachPackageCompares checks that the packages of generated code that are
// built on the runtime all compare the levels.
func TestEachPackageCompares(t *testing.T) {
	var got []string
	for name := range checks(t) {
		got = append(got, path.Base(path.Dir(name))+"/"+path.Base(name))
	}
	slices.Sort(got)
	want := []string{
		"{app}-client/commands.go.tmpl",
		"{base}client/client.go.tmpl",
		"{base}events/log.events.go.tmpl",
		"{base}publisher/publisher.events.go.tmpl",
		"{base}server/server.go.tmpl",
		"{base}test/server.go.tmpl",
	}
	if !slices.Equal(got, want) {
		t.Errorf("templates that compare the levels are %v, want %v", got, want)
	}
}

var declaration = regexp.MustCompile(`(?m)^const \(\n(\t_ = (\w*version)\..*\n)+\)\n`)

// checks returns a file for each template that compares the levels, with
// nothing but that.
func checks(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(templates.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(templates.Files, name)
		if found := declaration.FindSubmatch(text); found != nil {
			files[name] = fmt.Sprintf("package generated\n\nimport %s \"version\"\n\n%s", found[2], found[0])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// runtime returns the package version as it would be with other levels.
func runtime(t *testing.T, level, oldest int) *types.Package {
	t.Helper()
	text, err := os.ReadFile("version.go")
	if err != nil {
		t.Fatal(err)
	}
	source := string(text)
	for name, value := range map[string]int{"Level": level, "Oldest": oldest} {
		source = regexp.MustCompile(`const `+name+` = \d+`).ReplaceAllString(source, fmt.Sprintf("const %s = %d", name, value))
	}
	pkg, err := compile(source, nil)
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}

// compile type-checks a file that may import one package.
func compile(source string, imported *types.Package) (*types.Package, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "source.go", source, 0)
	if err != nil {
		return nil, err
	}
	config := types.Config{Importer: only{imported}}
	return config.Check(file.Name.Name, fset, []*ast.File{file}, nil)
}

// only imports one package, whatever it is asked for.
type only struct{ pkg *types.Package }

func (o only) Import(string) (*types.Package, error) { return o.pkg, nil }

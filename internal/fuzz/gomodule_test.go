package fuzz

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"
)

// goModule is Go code in memory: files by import path and name.
type goModule struct {
	path  string
	fset  *token.FileSet
	files map[string]map[string]*goFile
	order []string // the packages, in the order in which they were added

	ignored []string // files that a build would ignore

	checked map[string]*types.Package
	wrong   map[string][]error
	std     types.Importer
}

type goFile struct {
	text   string
	parsed *ast.File
}

// libraries are the packages of other modules that the code may import.
var libraries = sync.OnceValues(func() (map[string]string, error) {
	list := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export",
		"bufio", "bytes", "cmp", "context", "errors", "flag", "fmt", "io", "iter", "math", "os", "reflect", "slices", "strings", "sync", "testing", "time",
		"unsafe", "google.golang.org/grpc", "google.golang.org/grpc/codes", "google.golang.org/grpc/status", "google.golang.org/protobuf/proto", "google.golang.org/protobuf/runtime/protoimpl",
		"google.golang.org/protobuf/reflect/...", "google.golang.org/protobuf/types/...", "../../runtime/...")
	list.Stderr = os.Stderr
	output, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	exports := map[string]string{}
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var one struct{ ImportPath, Export string }
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			return exports, nil
		} else if err != nil {
			return nil, err
		}
		exports[one.ImportPath] = one.Export
	}
})

// library returns an importer that reads export data, and keeps what it has read.
var library = sync.OnceValues(func() (types.Importer, error) {
	exports, err := libraries()
	if err != nil {
		return nil, err
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no package %s", path)
		}
		return os.Open(exports[path])
	}), nil
})

// add parses a file and adds it to the module. It leaves out files that the go command
// would ignore on Linux, if they are not ours.
func (m *goModule) add(importPath, name, text string) error {
	parsed, err := parser.ParseFile(m.fset, path.Join(importPath, name), text, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		return err
	}
	if m.files[importPath] == nil {
		m.files[importPath] = map[string]*goFile{}
		m.order = append(m.order, importPath)
	}
	if m.files[importPath][name] != nil {
		return fmt.Errorf("%s/%s comes twice", importPath, name)
	}
	m.files[importPath][name] = &goFile{text, parsed}
	return nil
}

// kept reports whether a build for Linux uses a file.
func kept(name, text string) bool {
	linux := build.Default
	linux.GOOS, linux.GOARCH = "linux", "amd64"
	linux.OpenFile = func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
	match, err := linux.MatchFile("", name)
	return err == nil && match
}

// constrained reports whether a build for another system ignores a file.
func constrained(name, text string) bool {
	elsewhere := build.Default
	elsewhere.GOOS, elsewhere.GOARCH = "nowhere", "none"
	elsewhere.OpenFile = func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
	match, err := elsewhere.MatchFile("", name)
	return err != nil || !match
}

// Import imports a package of the module or a library.
func (m *goModule) Import(importPath string) (*types.Package, error) {
	if m.files[importPath] == nil {
		return m.std.Import(importPath)
	}
	pkg, ok := m.checked[importPath]
	if ok && pkg == nil {
		return nil, fmt.Errorf("import cycle through %s", importPath)
	}
	if !ok {
		m.checked[importPath] = nil
		pkg, m.wrong[importPath] = m.check(importPath, false)
		m.checked[importPath] = pkg
	}
	if pkg.Name() == "main" {
		return nil, fmt.Errorf("%s is a program, not an importable package", importPath)
	}
	return pkg, nil
}

// check type-checks a package, with or without its tests.
func (m *goModule) check(importPath string, tests bool) (*types.Package, []error) {
	var files []*ast.File
	hasTests := false
	for _, name := range sorted(m.files[importPath]) {
		if test := strings.HasSuffix(name, "_test.go"); !test || tests {
			files = append(files, m.files[importPath][name].parsed)
		} else {
			hasTests = true
		}
	}
	var wrong []error
	config := types.Config{
		Importer: m,
		// If there are tests, the bodies are checked with them.
		IgnoreFuncBodies: hasTests,
		Error: func(err error) {
			wrong = append(wrong, err)
		},
	}
	pkg, _ := config.Check(importPath, m.fset, files, nil)
	return pkg, wrong
}

// typeCheck checks packages and what they import, and returns the errors of each.
func (m *goModule) typeCheck(importPaths []string) map[string][]error {
	for _, importPath := range importPaths {
		if _, ok := m.checked[importPath]; !ok {
			m.checked[importPath] = nil
			m.checked[importPath], m.wrong[importPath] = m.check(importPath, false)
		}
		for name := range m.files[importPath] {
			if strings.HasSuffix(name, "_test.go") && len(m.wrong[importPath]) == 0 {
				_, m.wrong[importPath] = m.check(importPath, true)
				break
			}
		}
	}
	return m.wrong
}

// hidden reports whether Go's rules for folders called internal and vendor forbid an
// import.
func hidden(from, imported string) bool {
	parts := strings.Split(imported, "/")
	if slices.Contains(parts, "vendor") {
		return true
	}
	for i := len(parts) - 1; i >= 0; i-- {
		if parts[i] == "internal" {
			parent := strings.Join(parts[:i], "/")
			return parent != "" && from != parent && !strings.HasPrefix(from, parent+"/")
		}
	}
	return false
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

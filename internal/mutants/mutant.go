package main

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// group is mistakes in one kind of code.
type group struct {
	name    string
	mutants []mutant
}

// mutant is a mistake that somebody could make.
type mutant struct {
	id    string
	about string
	in    *module
	edits []edit
	// race says that only the race detector can see it. Generated CI runs the tests with
	// it.
	race bool
	// survives is the reason why no generated test catches it; empty if one must.
	survives string
}

// edit replaces a text, which must occur once in the file. If the text is empty, it
// appends to the file. Imports follow.
type edit struct {
	file     string // below the module; what begins with runtime/ is in the module's runtime
	old, new string
}

// groups are all mutants.
var groups = []group{
	unary, holding, batch, clientStream, bidi, tail, consumer, plain, program, ours,
}

// mutate returns the changed files of a mutant, by their paths below the repository.
// read returns the text of a file.
func (m mutant) mutate(read func(file string) (string, error)) (map[string]string, error) {
	changed := map[string]string{}
	for _, e := range m.edits {
		file := m.in.file(e.file)
		text, ok := changed[file]
		if !ok {
			var err error
			if text, err = read(file); err != nil {
				return nil, fmt.Errorf("%s: %w", m.id, err)
			}
		}
		if n := strings.Count(text, e.old); e.old != "" && n != 1 {
			return nil, fmt.Errorf("%s: %s contains this text %d times, want once:\n%s", m.id, file, n, e.old)
		}
		if e.old == "" {
			text += "\n" + e.new + "\n"
		} else {
			text = strings.Replace(text, e.old, e.new, 1)
		}
		changed[file] = text
	}
	for file, text := range changed {
		fixed, err := fixImports(text, m.in.imports())
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", m.id, file, err)
		}
		changed[file] = fixed
	}
	return changed, nil
}

// standard are packages that mistakes use, beside those of the module.
var standard = []string{
	"cmp", "context", "crypto/sha256", "errors", "fmt", "hash/fnv", "io", "log/slog", "math/rand/v2", "slices",
	"strconv", "strings", "sync", "sync/atomic", "time",
	"google.golang.org/grpc", "google.golang.org/grpc/codes", "google.golang.org/grpc/metadata", "google.golang.org/grpc/status",
	"google.golang.org/protobuf/proto", "google.golang.org/protobuf/types/known/emptypb", "google.golang.org/protobuf/types/known/timestamppb",
}

// fixImports removes the imports that a file does not use, and adds those of the known
// packages that it uses.
func fixImports(text string, known []string) (string, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", text, parser.ParseComments)
	if err != nil {
		return "", err
	}
	used := packagesUsed(file)
	var wanted []string
	lines := strings.Split(text, "\n")
	for _, spec := range file.Imports {
		name := path.Base(importPath(spec))
		if spec.Name != nil {
			name = spec.Name.Name
		}
		switch line := fset.Position(spec.Pos()).Line - 1; {
		case used[name]:
			delete(used, name)
		case name != "_" && strings.HasPrefix(lines[line], "\t"):
			lines[line] = ""
		}
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		for _, candidate := range known {
			if packageName(candidate) == name {
				wanted = append(wanted, fmt.Sprintf("import %q", candidate))
			}
		}
	}
	clause := fset.Position(file.Name.Pos()).Line - 1
	lines[clause] += "\n\n" + strings.Join(wanted, "\n")
	out, err := format.Source([]byte(strings.Join(lines, "\n")))
	return string(out), err
}

// packagesUsed returns the names before a dot that nothing in the file declares.
func packagesUsed(file *ast.File) map[string]bool {
	unresolved := map[*ast.Ident]bool{}
	for _, name := range file.Unresolved {
		unresolved[name] = true
	}
	used := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if name, ok := selector.X.(*ast.Ident); ok && unresolved[name] {
				used[name.Name] = true
			}
		}
		return true
	})
	return used
}

func importPath(spec *ast.ImportSpec) string {
	unquoted, _ := strconv.Unquote(spec.Path.Value) // the parser has checked it
	return unquoted
}

// packageName returns the name of a package with a path, which may end in a version.
func packageName(of string) string {
	if name := path.Base(of); name != "v2" {
		return name
	}
	return path.Base(path.Dir(of))
}

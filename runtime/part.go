package runtime

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Part is the part of the runtime that a module needs. It is made by [Reached]
// and does not change.
type Part struct {
	packages []string // by their paths below the runtime
	files    []file
}

// file says what a file of the runtime needs.
type file struct {
	name     string   // its path below the runtime
	with     string   // without this package the file is left out; may be empty
	packages []string // that it imports, by their paths below the runtime
	others   []string // the import paths of all other packages that it imports
}

// Has reports whether the runtime has a package that can be copied. It is named
// by its path below the runtime, such as "server" or "eventlog/sqlite".
func Has(pkg string) bool { return slices.Contains(All(), pkg) }

// Reached returns the part of the runtime that code which imports the given
// packages needs: those, and all that they import, directly or not. A package is named
// by its path below the runtime, such as "server" or "eventlog/sqlite".
//
// A file that has the line "//runtime:with PACKAGE" above its package clause is
// left out unless something else needs PACKAGE. So the package servertest brings
// no event log to a module that has none.
func Reached(imports ...string) (Part, error) {
	var part Part
	var waiting []file
	for missing := slices.Clone(imports); len(missing) > 0; {
		pkg := missing[0]
		missing = missing[1:]
		if slices.Contains(part.packages, pkg) {
			continue
		}
		files, err := parse(pkg)
		if err != nil {
			return Part{}, err
		}
		part.packages = append(part.packages, pkg)
		candidates := append(waiting, files...)
		waiting = nil
		for _, f := range candidates {
			if f.with != "" && !slices.Contains(part.packages, f.with) {
				waiting = append(waiting, f)
				continue
			}
			part.files = append(part.files, f)
			missing = append(missing, f.packages...)
		}
	}
	slices.Sort(part.packages)
	slices.SortFunc(part.files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return part, nil
}

// Packages returns the packages of the part, by their paths below the runtime,
// sorted.
func (p Part) Packages() []string { return slices.Clone(p.packages) }

// parse reads what the files of a package need. Tests are left out.
func parse(pkg string) ([]file, error) {
	if !Has(pkg) {
		return nil, fmt.Errorf("the runtime has no package %q: it has %s", pkg, strings.Join(All(), ", "))
	}
	names, err := fs.Glob(Source, pkg+"/*.go")
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
	files := make([]file, len(names))
	for i, name := range names {
		text, err := Source.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if files[i], err = parseFile(name, text); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// directive begins the line that names the package with which a file is needed.
const directive = "//runtime:with "

// parseFile reads what a file needs.
func parseFile(name string, text []byte) (file, error) {
	syntax, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return file{}, err
	}
	f := file{name: name, with: with(syntax)}
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return file{}, fmt.Errorf("%s: %w", name, err)
		}
		if below, ok := strings.CutPrefix(imported, Path+"/"); ok {
			f.packages = append(f.packages, below)
		} else {
			f.others = append(f.others, imported)
		}
	}
	return f, nil
}

// with returns the package that the directive of a file names, if it has one.
func with(syntax *ast.File) string {
	for _, group := range syntax.Comments {
		for _, comment := range group.List {
			if pkg, ok := strings.CutPrefix(comment.Text, directive); ok && comment.Pos() < syntax.Package {
				return pkg
			}
		}
	}
	return ""
}

// Conditional returns the text by which code uses what only some packages bring, and
// those packages: of the files that have the directive "//runtime:with", what they
// declare, such as "servertest.Log(" with "eventlog".
func Conditional() map[string]string {
	uses := map[string]string{}
	names, _ := fs.Glob(Source, "*/*.go")
	for _, name := range names {
		text, err := Source.ReadFile(name)
		if err != nil || !strings.HasPrefix(string(text), directive) {
			continue
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		for _, decl := range syntax.Decls {
			for _, declared := range exported(decl) {
				uses[syntax.Name.Name+"."+declared] = with(syntax)
			}
		}
	}
	return uses
}

// exported returns the exported names that a declaration has at the top level.
func exported(decl ast.Decl) (names []string) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Recv == nil && decl.Name.IsExported() {
			names = append(names, decl.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			if spec, ok := spec.(*ast.TypeSpec); ok && spec.Name.IsExported() {
				names = append(names, spec.Name.Name)
			}
		}
	}
	return names
}

// All returns the packages that can be copied, by their paths below the
// runtime, sorted.
func All() (packages []string) {
	names, _ := fs.Glob(Source, "*/*.go")
	nested, _ := fs.Glob(Source, "*/*/*.go")
	for _, name := range append(names, nested...) {
		packages = append(packages, path.Dir(name))
	}
	slices.Sort(packages)
	return slices.Compact(packages)
}

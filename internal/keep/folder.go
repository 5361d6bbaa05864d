package keep

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// folder holds the Go files in a folder, whatever their build tags.
type folder struct {
	dir   string
	name  string    // of the package
	files []*goFile // of the package and of its tests
	// err is the first file that can't be read or parsed.
	err error
}

// goFile is a Go file.
type goFile struct {
	at      string
	fset    *token.FileSet
	syntax  *ast.File
	imports map[string]string // import paths by the names that the file has for them
	test    bool
	ours    bool // whether it has the marker
	tagged  bool // whether a build tag or its name says when it is built
}

// folder reads a folder once, even if several ask for it at the same time.
func (m *Module) folder(dir string) *folder {
	read, _ := m.folders.LoadOrStore(dir, sync.OnceValue(func() *folder { return m.scan(dir) }))
	return read.(func() *folder)()
}

func (m *Module) scan(dir string) *folder {
	there := &folder{dir: dir}
	entries, err := m.list(dir)
	there.err = err
	for _, entry := range entries {
		if path.Ext(entry.Name()) != ".go" || strings.HasPrefix(entry.Name(), ".") || strings.HasPrefix(entry.Name(), "_") {
			continue // as the Go command does: locks of editors are called so
		}
		at := path.Join(dir, entry.Name())
		text, err := m.read(at)
		if err == nil && text == nil {
			err = fmt.Errorf("%s: a broken link", at)
		}
		if err == nil && len(text) == 0 {
			continue // it counts as missing
		}
		var file *goFile
		if err == nil {
			file, err = parseGo(at, text)
		}
		if err != nil && Marked(at, text) {
			continue // it is made again, or no longer
		}
		if err != nil {
			if there.err == nil {
				there.err = err
			}
			continue
		}
		there.files = append(there.files, file)
	}
	there.settle()
	return there
}

// settle finds the package of the folder, and drops the files of others: tests
// from outside, and programs under a build tag.
func (f *folder) settle() {
	count := map[string]int{}
	for _, file := range f.files {
		name := file.syntax.Name.Name
		if file.test {
			count[strings.TrimSuffix(name, "_test")]++
		} else {
			count[name] += 1 << 10
		}
	}
	for name, n := range count {
		if n > count[f.name] || n == count[f.name] && name < f.name {
			f.name = name
		}
	}
	f.files = slices.DeleteFunc(f.files, func(file *goFile) bool { return file.syntax.Name.Name != f.name })
}

// with returns a copy of the folder with one more file, or another one in its place.
func (f *folder) with(file *goFile) *folder {
	others := slices.DeleteFunc(slices.Clone(f.files), func(other *goFile) bool { return other.at == file.at })
	more := &folder{dir: f.dir, files: append(others, file), err: f.err}
	more.settle()
	return more
}

// failure returns the error of a run that must know what a folder holds, and can't.
func (f *folder) failure() error {
	return fmt.Errorf("%w\nNothing was written, because it is not known what the package in %s declares: repair the file, or delete it if a run was cut off there, and run again", f.err, f.dir)
}

// names returns the names that the package declares. Those of methods begin with
// a dot; those in tests are left out, because methods of fakes implement nothing.
func (f *folder) names() names {
	all := names{}
	for _, file := range f.files {
		for name := range file.names() {
			if !file.test || !strings.HasPrefix(name, ".") {
				all[name] = true
			}
		}
	}
	return all
}

// identifiers returns all identifiers in the files of the package that are not tests.
func (f *folder) identifiers() names {
	all := names{}
	for _, file := range f.files {
		if file.test {
			continue
		}
		ast.Inspect(file.syntax, func(node ast.Node) bool {
			if identifier, ok := node.(*ast.Ident); ok {
				all[identifier.Name] = true
			}
			return true
		})
	}
	return all
}

func parseGo(at string, text []byte) (*goFile, error) {
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, at, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	file := &goFile{at: at, fset: fset, syntax: syntax, imports: map[string]string{}, test: strings.HasSuffix(at, "_test.go"), ours: Marked(at, text)}
	file.tagged = bytes.Contains(text[:fset.Position(syntax.Package).Offset], []byte("//go:build")) ||
		model.Constrained(strings.TrimSuffix(strings.TrimSuffix(path.Base(at), ".go"), "_test"))
	for _, spec := range syntax.Imports {
		importPath := importPathOf(spec)
		switch {
		case spec.Name == nil:
			// A version in the end may be the name, or not.
			file.imports[beforeVersion(importPath)] = importPath
			file.imports[path.Base(importPath)] = importPath
		case spec.Name.Name != "_" && spec.Name.Name != ".":
			file.imports[spec.Name.Name] = importPath
		}
	}
	return file, nil
}

// importPathOf returns the path that a file imports.
func importPathOf(spec *ast.ImportSpec) string {
	importPath, _ := strconv.Unquote(spec.Path.Value)
	return importPath
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// beforeVersion returns the last part of an import path that is not a version.
func beforeVersion(importPath string) string {
	name := path.Base(importPath)
	if majorVersion.MatchString(name) && path.Dir(importPath) != "." {
		name = path.Base(path.Dir(importPath))
	}
	return name
}

// place returns where a node is: file:line.
func (f *goFile) place(node ast.Node) string {
	return fmt.Sprintf("%s:%d", f.at, f.fset.Position(node.Pos()).Line)
}

// names are what a file declares; those of methods begin with a dot.
type names map[string]bool

func (f *goFile) names() names {
	all := names{}
	for _, decl := range f.syntax.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Recv != nil {
				all["."+decl.Name.Name] = true
			} else {
				all[decl.Name.Name] = true
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					all[spec.Name.Name] = true
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						all[name.Name] = true
					}
				}
			}
		}
	}
	delete(all, "_")
	delete(all, "init")
	return all
}

// universal returns the names in a file that Go declares in every package, such as
// error and len.
func (f *goFile) universal() (all []string) {
	ast.Inspect(f.syntax, func(node ast.Node) bool {
		if name, ok := node.(*ast.Ident); ok && types.Universe.Lookup(name.Name) != nil {
			all = append(all, name.Name)
		}
		return true
	})
	slices.Sort(all)
	return slices.Compact(all)
}

// spell writes a type with the import path of each package: "*example.com/x.T".
// It is not certain of one that may be an alias, because the package declares it
// itself.
func (f *goFile) spell(expr ast.Expr) (text string, certain bool) {
	switch expr := expr.(type) {
	case *ast.ParenExpr:
		return f.spell(expr.X)
	case *ast.StarExpr:
		text, certain = f.spell(expr.X)
		return "*" + text, certain
	case *ast.Ident:
		return expr.Name, predeclared[expr.Name]
	case *ast.SelectorExpr:
		name, ok := expr.X.(*ast.Ident)
		if !ok {
			return "?", false
		}
		importPath, known := f.imports[name.Name]
		if !known {
			return name.Name + "." + expr.Sel.Name, false
		}
		return importPath + "." + expr.Sel.Name, true
	case *ast.IndexExpr:
		return f.spellGeneric(expr.X, expr.Index)
	case *ast.IndexListExpr:
		return f.spellGeneric(expr.X, expr.Indices...)
	}
	return "?", false
}

func (f *goFile) spellGeneric(generic ast.Expr, arguments ...ast.Expr) (text string, certain bool) {
	text, certain = f.spell(generic)
	words := make([]string, len(arguments))
	for i, argument := range arguments {
		word, sure := f.spell(argument)
		words[i], certain = word, certain && sure
	}
	return text + "[" + strings.Join(words, ", ") + "]", certain
}

// predeclared are the types that need no import; a package that declares one
// of these names for itself is not expected.
var predeclared = map[string]bool{"any": true, "bool": true, "byte": true, "error": true, "int": true, "int32": true, "int64": true, "string": true}

// signature writes what a function takes and returns: "(A, B) (C, error)".
func (f *goFile) signature(function *ast.FuncType) (text string, certain bool) {
	in, sureOfIn := f.spellList(function.Params)
	out, sureOfOut := f.spellList(function.Results)
	text = "(" + strings.Join(in, ", ") + ")"
	switch len(out) {
	case 0:
	case 1:
		text += " " + out[0]
	default:
		text += " (" + strings.Join(out, ", ") + ")"
	}
	return text, sureOfIn && sureOfOut
}

func (f *goFile) spellList(list *ast.FieldList) (words []string, certain bool) {
	certain = true
	if list == nil {
		return nil, true
	}
	for _, field := range list.List {
		word, sure := f.spell(field.Type)
		certain = certain && sure
		for range max(1, len(field.Names)) {
			words = append(words, word)
		}
	}
	return words, certain
}

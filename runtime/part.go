package runtime

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	optional bool     // whether it is left out unless something needs it
	with     []string // if it is optional, packages that need it, and words of code that does
	packages []string // that it imports, by their paths below the runtime
	others   []string // the import paths of all other packages that it imports
	embeds   []string // the files that it embeds, by their paths below the runtime
}

// Has reports whether the runtime has a package that can be copied. It is named
// by its path below the runtime, such as "server" or "eventlog/sqlite".
func Has(pkg string) bool { return slices.Contains(packages(), pkg) }

// Reached returns the part of the runtime that code which imports the given
// packages needs: those, and all that they import, directly or not. A package is named
// by its path below the runtime, such as "server" or "eventlog/sqlite".
//
// A file that has the line "//runtime:with PACKAGE..." above its package clause is
// left out unless something else needs one of the packages. So the package servertest
// brings no event log to a module that has none. The line "//runtime:used" leaves out a
// file that no package needs. Of both kinds, those that code uses (see [Used]) are
// given as well, by their paths, such as "server/observe.go".
func Reached(imports ...string) (Part, error) {
	var part Part
	var waiting []file
	isNeeded := func(f file) bool {
		return !f.optional || slices.Contains(imports, f.name) ||
			slices.ContainsFunc(f.with, func(pkg string) bool { return slices.Contains(part.packages, pkg) })
	}
	missing := slices.DeleteFunc(slices.Clone(imports), func(name string) bool { return path.Ext(name) == ".go" })
	for len(missing) > 0 {
		pkg := missing[0]
		missing = missing[1:]
		if slices.Contains(part.packages, pkg) {
			continue
		}
		parse, ok := parsed()[pkg]
		if !ok {
			return Part{}, fmt.Errorf("the runtime has no package %q: it has %s", pkg, strings.Join(All(), ", "))
		}
		files, err := parse()
		if err != nil {
			return Part{}, err
		}
		part.packages = append(part.packages, pkg)
		candidates := append(waiting, files...)
		waiting = nil
		for _, f := range candidates {
			if !isNeeded(f) {
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

// parsed returns for each package what reads its files, which it does once: a run asks
// several times.
var parsed = sync.OnceValue(func() map[string]func() ([]file, error) {
	all := map[string]func() ([]file, error){}
	for _, pkg := range packages() {
		all[pkg] = sync.OnceValues(func() ([]file, error) { return parse(pkg) })
	}
	return all
})

// parse reads what the files of a package need. Tests are left out.
func parse(pkg string) ([]file, error) {
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

// Directives above the package clause of a file that is optional.
const (
	directiveWith = "//runtime:with "
	directiveUsed = "//runtime:used"
)

// parseFile reads what a file needs.
func parseFile(name string, text []byte) (file, error) {
	syntax, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return file{}, err
	}
	f := file{name: name}
	f.with, f.optional = condition(syntax)
	f.embeds = embedded(name, text)
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

// embedded returns the files that a file embeds, by their paths below the runtime. It must
// name each of them, without patterns.
func embedded(name string, text []byte) (files []string) {
	for line := range strings.Lines(string(text)) {
		if named, ok := strings.CutPrefix(line, "//go:embed "); ok {
			for _, file := range strings.Fields(named) {
				files = append(files, path.Join(path.Dir(name), file))
			}
		}
	}
	return files
}

// condition returns the packages that the directive of a file names, if it has one.
func condition(syntax *ast.File) (with []string, optional bool) {
	for _, group := range syntax.Comments {
		for _, comment := range group.List {
			if comment.Pos() > syntax.Package {
				break
			}
			packages, ok := strings.CutPrefix(comment.Text, directiveWith)
			if ok || comment.Text == directiveUsed {
				return strings.Fields(packages), true
			}
		}
	}
	return nil, false
}

// Used returns the optional files of the runtime, by their paths below it, that the text
// of Go code uses: that has the name of a function, a type or a value which they export,
// or one that their directive has beside packages: a word with a capital letter, such as
// the name of a field, or a name with its package, such as "command.ClientStream".
func Used(text []byte) (files []string) {
	packages := map[string]string{} // by their names in the code, where it gives them other ones
	for _, match := range renamed.FindAllSubmatch(text, -1) {
		packages[string(match[1])] = string(match[2])
	}
	for _, match := range qualified.FindAllSubmatch(text, -1) {
		pkg := cmp.Or(packages[string(match[1])], string(match[1]))
		files = append(files, optionalNames()[pkg+"."+string(match[2])]...)
	}
	for _, word := range words.FindAll(text, -1) {
		files = append(files, optionalNames()[string(word)]...)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

var (
	// An import by another name, a name with the package that it is of, and any name.
	renamed   = regexp.MustCompile(`(\w+)\s+"[^"]*/(\w+)"`)
	qualified = regexp.MustCompile(`(\w+)\s*\.\s*([A-Z]\w*)`)
	words     = regexp.MustCompile(`\b[A-Z]\w*`)
)

// optionalNames returns the names that optional files export, such as "servertest.Log",
// and the words of their directives, with the files.
var optionalNames = sync.OnceValue(func() map[string][]string {
	names := map[string][]string{}
	for _, name := range Optional() {
		text, _ := Source.ReadFile(name)
		syntax, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			continue // a test parses all files
		}
		for _, decl := range syntax.Decls {
			for _, declared := range exported(decl) {
				names[syntax.Name.Name+"."+declared] = append(names[syntax.Name.Name+"."+declared], name)
			}
		}
		with, _ := condition(syntax)
		for _, word := range with {
			if ast.IsExported(word[strings.LastIndexByte(word, '.')+1:]) {
				names[word] = append(names[word], name)
			}
		}
	}
	return names
})

// Optional returns the files that are left out unless something needs them, by their
// paths below the runtime.
func Optional() []string { return slices.Clone(optional()) }

// optional finds them once, as packages does.
var optional = sync.OnceValue(func() (files []string) {
	for _, name := range sources() {
		text, err := Source.ReadFile(name)
		if err == nil && (strings.HasPrefix(string(text), directiveWith) || strings.HasPrefix(string(text), directiveUsed)) {
			files = append(files, name)
		}
	}
	return files
})

// exported returns the exported names that a declaration has at the top level.
func exported(decl ast.Decl) (names []string) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Recv == nil {
			names = append(names, decl.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, spec.Name.Name)
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					names = append(names, name.Name)
				}
			}
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return !ast.IsExported(name) })
}

// All returns the packages that can be copied, by their paths below the
// runtime, sorted.
func All() []string { return slices.Clone(packages()) }

// packages finds them once: the source does not change.
var packages = sync.OnceValue(func() (found []string) {
	for _, name := range sources() {
		found = append(found, path.Dir(name))
	}
	slices.Sort(found)
	return slices.Compact(found)
})

// sources returns the Go files of all packages, by their paths below the runtime.
func sources() []string {
	names, _ := fs.Glob(Source, "*/*.go")
	nested, _ := fs.Glob(Source, "*/*/*.go")
	return append(names, nested...)
}

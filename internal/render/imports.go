package render

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// imports are the packages that a file asks for while it is rendered, besides
// those of its literal import block.
type imports struct {
	module string // path of the module that the file is for
	asked  []model.GoPackage
}

// use asks for a package. What it returns stands for the package's name until
// the whole file is known, and with it which names are free.
func (im *imports) use(pkg model.GoPackage) string {
	i := slices.IndexFunc(im.asked, func(p model.GoPackage) bool { return p.Path == pkg.Path })
	if i < 0 {
		i = len(im.asked)
		im.asked = append(im.asked, pkg)
	}
	return standIn(i)
}

// standIn is an identifier that no template has.
func standIn(i int) string { return fmt.Sprintf("ĸ%dĸ", i) }

// spec is a line of the import block.
type spec struct {
	name string // as the file calls the package
	path string
}

// format gives the packages asked for their names, drops the imports that went
// unused, sorts the rest, the standard library first and the module's own
// packages last, and formats the file.
func (im *imports) format(source []byte) ([]byte, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", source, parser.ParseComments)
	if err != nil {
		return nil, explain(err, source)
	}
	specs, names := literal(file), identifiers(file)
	for i, pkg := range im.asked {
		at := slices.IndexFunc(specs, func(s spec) bool { return s.path == pkg.Path })
		name := ""
		if at >= 0 {
			name = specs[at].name
		} else {
			name = free(pkg.Name, names)
			specs = append(specs, spec{name: name, path: pkg.Path})
		}
		names[name] = true
		source = bytes.ReplaceAll(source, []byte(standIn(i)), []byte(name))
		names[standIn(i)] = false
	}
	return format.Source(im.splice(fset, file, source, im.used(specs, names, file)))
}

// used drops the imports that the file does not mention.
func (im *imports) used(specs []spec, names map[string]bool, file *ast.File) []spec {
	mentioned := map[string]bool{}
	for _, ident := range file.Unresolved {
		mentioned[ident.Name] = true
	}
	for i, pkg := range im.asked {
		if mentioned[standIn(i)] {
			at := slices.IndexFunc(specs, func(s spec) bool { return s.path == pkg.Path })
			mentioned[specs[at].name] = true
		}
	}
	return slices.DeleteFunc(specs, func(s spec) bool { return s.name != "_" && !mentioned[s.name] })
}

// splice puts an import block in place of the one that the file was parsed with.
func (im *imports) splice(fset *token.FileSet, file *ast.File, source []byte, specs []spec) []byte {
	slices.SortFunc(specs, func(a, b spec) int {
		return cmp.Or(cmp.Compare(im.group(a), im.group(b)), cmp.Compare(a.path, b.path))
	})
	var block bytes.Buffer
	for i, s := range specs {
		if i > 0 && im.group(specs[i-1]) != im.group(s) {
			block.WriteByte('\n')
		}
		if s.name != last(s.path) {
			block.WriteString(s.name + " ")
		}
		block.WriteString(strconv.Quote(s.path) + "\n")
	}
	text := ""
	switch len(specs) {
	case 0:
	case 1:
		text = "\n\nimport " + block.String()
	default:
		text = "\n\nimport (\n" + block.String() + ")\n"
	}
	// Names stand behind the import block, so it has not moved by being given them.
	begin := fset.Position(file.Name.End()).Offset
	end := begin
	for _, decl := range file.Decls {
		if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.IMPORT {
			end = fset.Position(d.End()).Offset
		}
	}
	return slices.Concat(source[:begin], []byte(text), source[end:])
}

func (im *imports) group(s spec) int {
	switch first, _, _ := strings.Cut(s.path, "/"); {
	case s.path == im.module || strings.HasPrefix(s.path, im.module+"/"):
		return 2
	case strings.Contains(first, "."):
		return 1
	default:
		return 0
	}
}

func literal(file *ast.File) (specs []spec) {
	for _, s := range file.Imports {
		importPath, _ := strconv.Unquote(s.Path.Value)
		name := last(importPath)
		if s.Name != nil {
			name = s.Name.Name
		}
		specs = append(specs, spec{name: name, path: importPath})
	}
	return specs
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// last is what a package is called for want of a better knowledge: the last
// part of its path that is no version.
func last(importPath string) string {
	name := path.Base(importPath)
	if majorVersion.MatchString(name) && path.Dir(importPath) != "." {
		name = path.Base(path.Dir(importPath))
	}
	return name
}

// identifiers are the names in a file that a package must not take from it:
// all but fields and methods.
func identifiers(file *ast.File) map[string]bool {
	names := map[string]bool{}
	for _, s := range literal(file) {
		names[s.name] = true
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.SelectorExpr:
			ast.Inspect(node.X, func(inner ast.Node) bool {
				if ident, ok := inner.(*ast.Ident); ok {
					names[ident.Name] = true
				}
				return true
			})
			return false
		case *ast.Ident:
			names[node.Name] = true
		}
		return true
	})
	return names
}

// free is a name for a package that nothing else in the file has.
func free(name string, taken map[string]bool) string {
	for i := 2; taken[name]; i++ {
		name = strings.TrimRight(name, "0123456789") + strconv.Itoa(i)
	}
	return name
}

// explain adds the line of the source that an error is about.
func explain(err error, source []byte) error {
	at := regexp.MustCompile(`^(\d+):`).FindStringSubmatch(err.Error())
	if at == nil {
		return err
	}
	n, _ := strconv.Atoi(at[1])
	lines := strings.Split(string(source), "\n")
	if n < 1 || n > len(lines) {
		return err
	}
	return fmt.Errorf("%w\n\t%s", err, strings.TrimSpace(lines[n-1]))
}

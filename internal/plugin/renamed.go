package plugin

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime"
)

// renamed are the fields and methods of package eventlog that have another name
// than in a released version, and that code of users may use.
var renamed = map[string]string{
	"ConsumerStats.Place": "Position",
	"DeadLetter.Buried":   "GaveUp",
	"Hold.Place":          "Position",
	"Hold.Move":           "Commit",
	"Hold.Bury":           "PutDead",
	"Hold.Revive":         "RemoveDead",
}

// oldNames matches text that may use one of the old names.
var oldNames = regexp.MustCompile(`\b(Place|Buried|Move|Bury|Revive)\b`)

// renames returns a line for each place where code of the user has a name of the
// runtime that is another now. The compiler reports it, too, but not the new name.
//
// Only its type shows whether a Place is one of package eventlog, so a folder with
// such a name is type-checked, as far as that is possible without its dependencies:
// of them it has package eventlog, and iter, for what that yields.
func renames(target *model.Module, disk *keep.Module) (lines []string) {
	folders := map[string][]keep.File{}
	for _, file := range disk.Yours("eventlog") {
		if oldNames.Match(file.Content) {
			folders[path.Dir(file.Path)] = append(folders[path.Dir(file.Path)], file)
		}
	}
	if len(folders) == 0 {
		return nil
	}
	check := newRenameCheck(target.Runtime)
	for _, files := range folders {
		lines = append(lines, check.folder(files)...)
	}
	slices.Sort(lines)
	return lines
}

// renameCheck type-checks code that imports package eventlog.
type renameCheck struct {
	fset     *token.FileSet
	path     string // by which code imports it
	eventlog *types.Package
	iter     *types.Package
}

func newRenameCheck(runtimePath string) *renameCheck {
	c := &renameCheck{fset: token.NewFileSet(), path: runtimePath + "/eventlog"}
	if file, err := parser.ParseFile(c.fset, "iter.go", iterSource, 0); err == nil {
		c.iter = c.check("iter", []*ast.File{file}, &types.Info{})
	}
	var files []*ast.File
	names, _ := fs.Glob(runtime.Source, "eventlog/*.go")
	for _, name := range names {
		text, err := fs.ReadFile(runtime.Source, name)
		if err != nil || strings.HasSuffix(name, "_test.go") {
			continue
		}
		if file, err := parser.ParseFile(c.fset, name, text, parser.SkipObjectResolution); err == nil {
			files = append(files, file)
		}
	}
	c.eventlog = c.check(c.path, files, &types.Info{})
	return c
}

// iterSource is what package eventlog uses of package iter.
const iterSource = `package iter

type Seq2[K, V any] func(yield func(K, V) bool)
`

// check type-checks files, and ignores what can't be resolved.
func (c *renameCheck) check(path string, files []*ast.File, info *types.Info) *types.Package {
	config := types.Config{Importer: c, Error: func(error) {}, FakeImportC: true}
	pkg, _ := config.Check(path, c.fset, files, info)
	return pkg
}

// Import implements [types.Importer].
func (c *renameCheck) Import(path string) (*types.Package, error) {
	switch {
	case path == c.path && c.eventlog != nil:
		return c.eventlog, nil
	case path == "iter" && c.iter != nil:
		return c.iter, nil
	}
	return nil, errors.New("it is not needed")
}

// folder returns the lines about some files of a package.
func (c *renameCheck) folder(files []keep.File) (lines []string) {
	var parsed []*ast.File
	for _, file := range files {
		if syntax, err := parser.ParseFile(c.fset, file.Path, file.Content, parser.SkipObjectResolution); err == nil {
			parsed = append(parsed, syntax)
		}
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	c.check("checked", parsed, info)
	for _, file := range parsed {
		ast.Inspect(file, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.SelectorExpr:
				lines = append(lines, c.line(info.Types[node.X].Type, node.Sel)...)
			case *ast.CompositeLit:
				for _, element := range node.Elts {
					if pair, ok := element.(*ast.KeyValueExpr); ok {
						if field, ok := pair.Key.(*ast.Ident); ok {
							lines = append(lines, c.line(info.Types[node].Type, field)...)
						}
					}
				}
			}
			return true
		})
	}
	return lines
}

// line returns a line about a field or method of a type, if it has another name now.
func (c *renameCheck) line(of types.Type, name *ast.Ident) []string {
	old := c.member(of, name.Name)
	if old == "" {
		return nil
	}
	return []string{fmt.Sprintf("%s: eventlog.%s has another name: write %s", c.fset.Position(name.Pos()), old, renamed[old])}
}

// member returns the full name of a renamed field or method of a type, if package
// eventlog declares the type or one that it embeds, and "" otherwise.
func (c *renameCheck) member(of types.Type, name string) string {
	of = types.Unalias(of)
	if pointer, ok := of.(*types.Pointer); ok {
		of = types.Unalias(pointer.Elem())
	}
	named, ok := of.(*types.Named)
	if !ok {
		return ""
	}
	if full := named.Obj().Name() + "." + name; named.Obj().Pkg() == c.eventlog && renamed[full] != "" {
		return full
	}
	if structure, ok := named.Underlying().(*types.Struct); ok {
		for field := range structure.Fields() {
			if full := c.member(field.Type(), name); field.Embedded() && full != "" {
				return full
			}
		}
	}
	return ""
}

package fuzz

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
)

// goSource is a Go file that is edited as a person would edit it: in some places, with
// the rest unchanged.
type goSource struct {
	text    string
	syntax  *ast.File
	changes []change
}

// change replaces a part of a text.
type change struct {
	from, to int
	by       string
}

// open parses a file. It returns nil if the file can't be parsed.
func (e *evolution) open(at string) *goSource {
	syntax, err := parser.ParseFile(token.NewFileSet(), "", e.tree[at], parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		return nil
	}
	return &goSource{text: e.tree[at], syntax: syntax}
}

// offset returns the offset of a position in the text. The file set has only this file.
func offset(pos token.Pos) int { return int(pos) - 1 }

func (s *goSource) of(node ast.Node) string { return s.text[offset(node.Pos()):offset(node.End())] }

func (s *goSource) replace(node ast.Node, by string) {
	s.changes = append(s.changes, change{offset(node.Pos()), offset(node.End()), by})
}

func (s *goSource) insert(pos token.Pos, text string) {
	s.changes = append(s.changes, change{offset(pos), offset(pos), text})
}

// String returns the text with the changes.
func (s *goSource) String() string {
	slices.SortStableFunc(s.changes, func(a, b change) int { return b.from - a.from })
	text := s.text
	for _, c := range s.changes {
		text = text[:c.from] + c.by + text[c.to:]
	}
	return text
}

// functions returns the declarations of functions and methods.
func (s *goSource) functions() (all []*ast.FuncDecl) {
	for _, decl := range s.syntax.Decls {
		if function, ok := decl.(*ast.FuncDecl); ok {
			all = append(all, function)
		}
	}
	return all
}

// receiver returns the receiver's name and the name of its type, or nil.
func receiver(function *ast.FuncDecl) (name *ast.Ident, of *ast.Ident) {
	if function.Recv == nil || len(function.Recv.List) != 1 {
		return nil, nil
	}
	field := function.Recv.List[0]
	if len(field.Names) == 1 {
		name = field.Names[0]
	}
	expr := field.Type
	for {
		switch inner := expr.(type) {
		case *ast.StarExpr:
			expr = inner.X
		case *ast.IndexExpr:
			expr = inner.X
		case *ast.Ident:
			return name, inner
		default:
			return name, nil
		}
	}
}

// idents returns the names below a node, except those that are selected from something
// and keys of a literal.
func idents(node ast.Node) (all []*ast.Ident) {
	ast.Inspect(node, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.Ident:
			all = append(all, node)
		case *ast.SelectorExpr:
			all = append(all, idents(node.X)...)
			return false
		case *ast.KeyValueExpr:
			if _, key := node.Key.(*ast.Ident); !key {
				all = append(all, idents(node.Key)...)
			}
			all = append(all, idents(node.Value)...)
			return false
		}
		return true
	})
	return all
}

// selected returns the names that are selected from something, and keys of literals.
func selected(node ast.Node) (all []*ast.Ident) {
	ast.Inspect(node, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.SelectorExpr:
			all = append(all, node.Sel)
		case *ast.KeyValueExpr:
			if key, ok := node.Key.(*ast.Ident); ok {
				all = append(all, key)
			}
		}
		return true
	})
	return all
}

func mentions(node ast.Node, name string) bool {
	return slices.ContainsFunc(idents(node), func(ident *ast.Ident) bool { return ident.Name == name })
}

// importLines returns the imports as they are written, by their names.
func (s *goSource) importLines() map[string]string {
	lines := map[string]string{}
	for _, spec := range s.syntax.Imports {
		importPath, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(importPath)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		lines[name] = s.of(spec)
	}
	return lines
}

// withImports returns a file with the imports that it uses, of its own and of more.
func withImports(text string, more map[string]string) string {
	syntax, err := parser.ParseFile(token.NewFileSet(), "", text, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		return text
	}
	s := &goSource{text: text, syntax: syntax}
	lines := s.importLines()
	for name, line := range more {
		if lines[name] == "" {
			lines[name] = line
		}
	}
	var used []string
	for _, name := range sorted(lines) {
		if slices.ContainsFunc(syntax.Decls, func(decl ast.Decl) bool {
			general, ok := decl.(*ast.GenDecl)
			return (!ok || general.Tok != token.IMPORT) && mentions(decl, name)
		}) {
			used = append(used, "\t"+lines[name]+"\n")
		}
	}
	for _, decl := range syntax.Decls {
		if general, ok := decl.(*ast.GenDecl); ok && general.Tok == token.IMPORT {
			s.replace(decl, "")
		}
	}
	if len(used) > 0 {
		s.insert(syntax.Name.End(), fmt.Sprintf("\n\nimport (\n%s)\n", strings.Join(used, "")))
	}
	return s.String()
}

// cut removes a declaration and its comment from a file, and returns it.
func (s *goSource) cut(function *ast.FuncDecl) (declaration string) {
	from, to := offset(function.Pos()), offset(function.End())
	if function.Doc != nil {
		from = offset(function.Doc.Pos())
	}
	s.changes = append(s.changes, change{from, to, ""})
	return s.text[from:to]
}

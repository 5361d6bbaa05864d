package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// edit does to a file below folder what a block says: writes it, inserts into it, or
// replaces functions in it. env is that of the Go command.
func (b *block) edit(folder string, env []string) error {
	switch b.kind() {
	case file:
		at := filepath.Join(folder, filepath.FromSlash(b.attributes["file"]))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return b.errorf("%w", err)
		}
		return b.wrap(os.WriteFile(at, []byte(b.text()), 0o644))
	case insertion:
		return b.change(folder, b.attributes["in"], b.insert)
	case functions:
		return b.change(folder, b.attributes["func"], func(at string, old []byte) ([]byte, error) { return b.replaceFunctions(at, old, env) })
	}
	return nil
}

func (b *block) wrap(err error) error {
	if err == nil {
		return nil
	}
	return b.errorf("%w", err)
}

func (b *block) change(folder, path string, how func(at string, old []byte) ([]byte, error)) error {
	at := filepath.Join(folder, filepath.FromSlash(path))
	old, err := os.ReadFile(at)
	if err != nil {
		return b.errorf("%w", err)
	}
	changed, err := how(at, old)
	if err != nil {
		return b.errorf("%s: %w", path, err)
	}
	return b.wrap(os.WriteFile(at, changed, 0o644))
}

// insert inserts the block after the one line that contains the text of after.
func (b *block) insert(_ string, old []byte) ([]byte, error) {
	after := b.attributes["after"]
	lines := strings.SplitAfter(string(old), "\n")
	found := -1
	for i, line := range lines {
		if !strings.Contains(line, after) {
			continue
		}
		if found >= 0 {
			return nil, fmt.Errorf("%q is in line %d and in line %d", after, found+1, i+1)
		}
		found = i
	}
	if found < 0 {
		return nil, fmt.Errorf("no line contains %q", after)
	}
	return []byte(strings.Join(slices.Insert(lines, found+1, b.text()), "")), nil
}

// fragment is the package clause that makes a file of declarations.
const fragment = "package p\n"

// replaceFunctions puts the declarations of the block into a Go file: each replaces
// the one of the same name there, or is added at the end. Imports that are missing are
// added.
func (b *block) replaceFunctions(at string, old []byte, env []string) ([]byte, error) {
	files := token.NewFileSet()
	fresh := []byte(fragment + b.text())
	tree, err := parser.ParseFile(files, "", fresh, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	text := old
	for _, declaration := range tree.Decls {
		begin, end := extent(files, declaration)
		if text, err = put(text, names(declaration), fresh[begin:end]); err != nil {
			return nil, err
		}
	}
	if text, err = mend(at, text, env); err != nil {
		return nil, err
	}
	return format.Source(text)
}

// extent returns the offsets at which a declaration begins, with its comment, and ends.
func extent(files *token.FileSet, declaration ast.Decl) (begin, end int) {
	first := declaration.Pos()
	var doc *ast.CommentGroup
	switch declaration := declaration.(type) {
	case *ast.FuncDecl:
		doc = declaration.Doc
	case *ast.GenDecl:
		doc = declaration.Doc
	}
	if doc != nil {
		first = doc.Pos()
	}
	return files.Position(first).Offset, files.Position(declaration.End()).Offset
}

// names returns what a declaration declares; a method as TYPE.NAME.
func names(declaration ast.Decl) (all []string) {
	switch declaration := declaration.(type) {
	case *ast.FuncDecl:
		name := declaration.Name.Name
		if declaration.Recv != nil && len(declaration.Recv.List) == 1 {
			kind := declaration.Recv.List[0].Type
			if star, ok := kind.(*ast.StarExpr); ok {
				kind = star.X
			}
			if kind, ok := kind.(*ast.Ident); ok {
				name = kind.Name + "." + name
			}
		}
		all = append(all, name)
	case *ast.GenDecl:
		for _, spec := range declaration.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				all = append(all, spec.Name.Name)
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					all = append(all, name.Name)
				}
			}
		}
	}
	return all
}

// put replaces the declaration in a Go file that declares one of some names, or adds
// one at the end; imports it adds after those that the file has.
func put(text []byte, wanted []string, declaration []byte) ([]byte, error) {
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, "", text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	if len(wanted) == 0 { // imports
		if len(tree.Imports) == 0 {
			return nil, errors.New("it has no imports to add to")
		}
		end := files.Position(tree.Imports[len(tree.Imports)-1].End()).Offset
		for _, declared := range tree.Decls {
			if declared, ok := declared.(*ast.GenDecl); ok && declared.Tok == token.IMPORT {
				end = max(end, files.Position(declared.End()).Offset)
			}
		}
		return slices.Concat(text[:end], []byte("\n\n"), declaration, []byte("\n"), text[end:]), nil
	}
	for _, declared := range tree.Decls {
		for _, name := range names(declared) {
			if !slices.Contains(wanted, name) {
				continue
			}
			begin, end := extent(files, declared)
			return slices.Concat(text[:begin], declaration, text[end:]), nil
		}
	}
	return slices.Concat(bytes.TrimRight(text, "\n"), []byte("\n\n"), declaration, []byte("\n")), nil
}

// formatted reports Go that is not as gofmt would have it.
func (b *block) formatted() error {
	text := b.text()
	canonical, err := format.Source([]byte(text))
	if err != nil {
		return b.errorf("%w", err)
	}
	if string(canonical) != text {
		return b.errorf("not as gofmt has it, which is:\n%s", indented(string(canonical)))
	}
	return nil
}

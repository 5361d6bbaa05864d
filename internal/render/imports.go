package render

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
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

// finish gives the packages asked for their names, drops the imports that went
// unused, and sorts the rest, the standard library first and the module's own
// packages last. Below the imports it reads tokens only: to parse a file and to
// print it takes several times as long as to make it.
func (im *imports) finish(source []byte) ([]byte, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", source, parser.ImportsOnly|parser.SkipObjectResolution)
	if err != nil {
		return source, err
	}
	begin := fset.Position(file.Name.End()).Offset
	end := begin
	if n := len(file.Decls); n > 0 {
		end = fset.Position(file.Decls[n-1].End()).Offset
	}
	body := source[end:]
	names := identifiers(body)
	names[file.Name.Name] |= taken
	specs, renames := im.named(literal(file), names)
	var out bytes.Buffer
	out.Grow(len(source) + len(source)/4)
	out.Write(source[:begin])
	out.WriteString(im.block(specs))
	_, err = strings.NewReplacer(renames...).WriteString(&out, strings.TrimRight(string(body), "\n")+"\n")
	return out.Bytes(), err
}

// named adds the packages asked for to the imports, and drops those that the
// file does not mention. It returns stand-ins and names in turn, too.
func (im *imports) named(specs []spec, names map[string]use) (used []spec, renames []string) {
	for _, s := range specs {
		names[s.name] |= taken
	}
	for i, pkg := range im.asked {
		at := slices.IndexFunc(specs, func(s spec) bool { return s.path == pkg.Path })
		if at < 0 {
			at = len(specs)
			specs = append(specs, spec{name: free(pkg.Name, names), path: pkg.Path})
		}
		name := specs[at].name
		names[name] |= taken | names[standIn(i)]
		renames = append(renames, standIn(i), name)
	}
	return slices.DeleteFunc(specs, func(s spec) bool { return s.named() && names[s.name]&qualifies == 0 }), renames
}

// block is an import declaration, as it stands behind the package clause.
func (im *imports) block(specs []spec) string {
	slices.SortFunc(specs, func(a, b spec) int {
		return cmp.Or(cmp.Compare(im.group(a), im.group(b)), cmp.Compare(a.path, b.path))
	})
	switch len(specs) {
	case 0:
		return ""
	case 1:
		return "\n\nimport " + specs[0].String()
	}
	var block strings.Builder
	block.WriteString("\n\nimport (\n")
	for i, s := range specs {
		if i > 0 && im.group(specs[i-1]) != im.group(s) {
			block.WriteByte('\n')
		}
		block.WriteString("\t" + s.String() + "\n")
	}
	block.WriteByte(')')
	return block.String()
}

// named reports whether the file uses the package by a name that is known. A
// path such as gopkg.in/yaml.v3 does not tell the name.
func (s spec) named() bool { return s.name != "_" && token.IsIdentifier(s.name) }

// String is the import as a line of the block.
func (s spec) String() string {
	if s.name == path.Base(s.path) || s.name != "." && !token.IsIdentifier(s.name) {
		return strconv.Quote(s.path)
	}
	return s.name + " " + strconv.Quote(s.path)
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

// use says how a file uses a name.
type use int

const (
	taken     use = 1 << iota // it has it
	qualifies                 // a dot follows, as behind the name of a package
)

// identifiers are the names in the body of a file that a package must not take
// from it: all but those behind a dot.
func identifiers(body []byte) map[string]use {
	names := map[string]use{}
	var s scanner.Scanner
	s.Init(token.NewFileSet().AddFile("", -1, len(body)), body, nil, 0)
	for before, name := token.ILLEGAL, ""; ; {
		_, tok, text := s.Scan()
		switch {
		case tok == token.EOF:
			return names
		case tok == token.IDENT && before != token.PERIOD:
			name = text
			names[name] |= taken
		case tok == token.PERIOD && before == token.IDENT && name != "":
			names[name] |= qualifies
			name = ""
		case tok == token.IDENT:
			name = ""
		}
		before = tok
	}
}

// free is a name for a package that nothing else in the file has.
func free(name string, names map[string]use) string {
	for i := 2; names[name]&taken != 0; i++ {
		name = strings.TrimRight(name, "0123456789") + strconv.Itoa(i)
	}
	return name
}

// plain is text that is no Go file, with the plain names of the packages asked
// for, whatever they are called elsewhere.
func (im *imports) plain(text []byte) []byte {
	for i, pkg := range im.asked {
		text = bytes.ReplaceAll(text, []byte(standIn(i)), []byte(pkg.Name))
	}
	return text
}

// explain is an error with the line of the source that it is about.
func explain(err error, source []byte) string {
	at := regexp.MustCompile(`^(\d+):(?:\d+): `).FindStringSubmatch(err.Error())
	if at == nil {
		return err.Error()
	}
	n, _ := strconv.Atoi(at[1])
	lines := strings.Split(string(source), "\n")
	if n < 1 || n > len(lines) {
		return err.Error()
	}
	return fmt.Sprintf("%s, in its line %d:\n\t%s", strings.TrimPrefix(err.Error(), at[0]), n, strings.TrimSpace(lines[n-1]))
}

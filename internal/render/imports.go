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

// imports are the packages that a template asks for while it is executed, in
// addition to the import block in its text.
type imports struct {
	module string // the path of the file's module
	asked  []model.GoPackage
}

// use asks for a package. It returns a stand-in for the package's name, which
// finish replaces once the whole file is known, and so which names are free.
func (im *imports) use(pkg model.GoPackage) string {
	i := slices.IndexFunc(im.asked, func(p model.GoPackage) bool { return p.Path == pkg.Path })
	if i < 0 {
		i = len(im.asked)
		im.asked = append(im.asked, pkg)
	}
	return standIn(i)
}

// standIn returns an identifier that does not occur in templates.
func standIn(i int) string { return fmt.Sprintf("ĸ%dĸ", i) }

// spec is a line of the import block.
type spec struct {
	name string // what the file calls the package
	path string
}

// finish replaces the stand-ins by names, drops unused imports, and sorts the
// others: first the standard library, last the module's own packages. After the
// imports it reads tokens only, because to parse and print a whole file takes
// several times as long as to make it.
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
	names[file.Name.Name] |= declared
	specs, renames := im.resolve(importsOf(file), names)
	var out bytes.Buffer
	out.Grow(len(source) + len(source)/4)
	out.Write(source[:begin])
	out.WriteString(im.block(specs))
	_, err = strings.NewReplacer(renames...).WriteString(&out, strings.TrimRight(string(body), "\n")+"\n")
	return out.Bytes(), err
}

// resolve adds the packages that were asked for to the imports, and drops those
// that the file does not use. It also returns each stand-in followed by its name.
func (im *imports) resolve(specs []spec, names map[string]use) (used []spec, renames []string) {
	for _, s := range specs {
		names[s.name] |= declared
	}
	for i, pkg := range im.asked {
		at := slices.IndexFunc(specs, func(s spec) bool { return s.path == pkg.Path })
		if at < 0 {
			at = len(specs)
			specs = append(specs, spec{name: unusedName(pkg.Name, names), path: pkg.Path})
		}
		name := specs[at].name
		names[name] |= declared | names[standIn(i)]
		renames = append(renames, standIn(i), name)
	}
	return slices.DeleteFunc(specs, func(s spec) bool { return s.nameKnown() && names[s.name]&qualifies == 0 }), renames
}

// block returns the import declaration, as it follows the package clause.
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

// nameKnown reports whether it is known by which name the file uses the package. A
// path such as gopkg.in/yaml.v3 does not contain the name.
func (s spec) nameKnown() bool { return s.name != "_" && token.IsIdentifier(s.name) }

// String returns the import as a line of the block.
func (s spec) String() string {
	if s.name == path.Base(s.path) || s.name != "." && !token.IsIdentifier(s.name) {
		return strconv.Quote(s.path)
	}
	return s.name + " " + strconv.Quote(s.path)
}

// group returns where an import is in the block: 0 for the standard library, 2 for
// the module's own packages, 1 for all others.
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

// importsOf returns the imports of a file.
func importsOf(file *ast.File) (specs []spec) {
	for _, s := range file.Imports {
		importPath, _ := strconv.Unquote(s.Path.Value)
		name := guessName(importPath)
		if s.Name != nil {
			name = s.Name.Name
		}
		specs = append(specs, spec{name: name, path: importPath})
	}
	return specs
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// guessName returns the likely name of a package: the last part of its path that is
// not a version.
func guessName(importPath string) string {
	name := path.Base(importPath)
	if majorVersion.MatchString(name) && path.Dir(importPath) != "." {
		name = path.Base(path.Dir(importPath))
	}
	return name
}

// use is how a file uses a name.
type use int

const (
	declared  use = 1 << iota // the name occurs, so a package can't have it
	qualifies                 // a dot follows it, as it follows a package's name
)

// identifiers returns the names in the body of a file that an import must not
// have: all except those that follow a dot.
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
			names[name] |= declared
		case tok == token.PERIOD && before == token.IDENT && name != "":
			names[name] |= qualifies
			name = ""
		case tok == token.IDENT:
			name = ""
		}
		before = tok
	}
}

// unusedName returns a name for a package that nothing else in the file has.
func unusedName(name string, names map[string]use) string {
	for i := 2; names[name]&declared != 0; i++ {
		name = strings.TrimRight(name, "0123456789") + strconv.Itoa(i)
	}
	return name
}

// withOwnNames replaces the stand-ins by the packages' own names. It is for text
// other than a complete Go file, which imports nothing.
func (im *imports) withOwnNames(text []byte) []byte {
	for i, pkg := range im.asked {
		text = bytes.ReplaceAll(text, []byte(standIn(i)), []byte(pkg.Name))
	}
	return text
}

// withLine returns an error of the Go parser with the line of the source that it is
// about.
func withLine(err error, source []byte) string {
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

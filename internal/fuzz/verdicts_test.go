package fuzz

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"go/types"
	"path"
	"slices"
	"strconv"
	"strings"
)

// tree is a module: texts by path below its root.
type tree map[string]string

// verdicts type-checks trees that differ little from one another. A package is not
// checked again if it and all that it imports are unchanged.
type verdicts struct {
	module  string
	library types.Importer
	fset    *token.FileSet
	parsed  map[string]parsedFile // by path and text
	checked map[string]*verdict   // by the hash of the package and its imports
}

type parsedFile struct {
	syntax *ast.File
	err    error
}

// verdict is a type-checked package and its errors.
type verdict struct {
	pkg   *types.Package
	wrong []mistake
}

// mistake is an error of Go and the file that has it.
type mistake struct{ at, text string }

func newVerdicts(module string) (*verdicts, error) {
	library, err := library()
	return &verdicts{module, library, token.NewFileSet(), map[string]parsedFile{}, map[string]*verdict{}}, err
}

// parse parses a file once.
func (v *verdicts) parse(at, text string) parsedFile {
	key := at + "\x00" + text
	file, ok := v.parsed[key]
	if !ok {
		file.syntax, file.err = parser.ParseFile(v.fset, at, text, parser.SkipObjectResolution|parser.ParseComments)
		v.parsed[key] = file
	}
	return file
}

// check returns all errors in the Go code of a tree, including tests, for a build on
// Linux.
func (v *verdicts) check(of tree) (wrong []mistake) {
	pass := &pass{verdicts: v, folders: map[string]*packages{}, keys: map[string]string{}}
	for _, at := range sorted(of) {
		if path.Ext(at) == ".go" && kept(path.Base(at), of[at]) {
			wrong = append(wrong, pass.add(at, of[at])...)
		}
	}
	for _, importPath := range sorted(pass.folders) {
		wrong = append(wrong, pass.folders[importPath].mixed(v.fset)...)
	}
	for _, importPath := range sorted(pass.folders) {
		in := pass.folders[importPath]
		if len(in.plain) > 0 {
			plain := pass.verdict(importPath, plain)
			if len(in.tests) == 0 || len(plain.wrong) > 0 {
				wrong = append(wrong, plain.wrong...)
			}
		}
		for variant, files := range map[variant][]source{withTests: in.tests, outside: in.outside} {
			if len(files) > 0 {
				wrong = append(wrong, pass.verdict(importPath, variant).wrong...)
			}
		}
	}
	slices.SortFunc(wrong, func(a, b mistake) int { return strings.Compare(a.text, b.text) })
	return slices.Compact(wrong)
}

// variant is which files of a folder make a package.
type variant string

const (
	plain     variant = "without its tests"
	withTests variant = "with its tests"
	outside   variant = "its tests from outside"
)

// packages are the files of a folder.
type packages struct{ plain, tests, outside []source }

type source struct {
	at, text string
	syntax   *ast.File
}

// mixed returns a mistake for each file with another package name than most.
func (p *packages) mixed(fset *token.FileSet) (wrong []mistake) {
	count := map[string]int{}
	for _, file := range slices.Concat(p.plain, p.tests) {
		count[file.syntax.Name.Name]++
	}
	most := ""
	for _, name := range sorted(count) {
		if count[name] > count[most] {
			most = name
		}
	}
	for _, file := range slices.Concat(p.plain, p.tests) {
		if name := file.syntax.Name.Name; name != most {
			wrong = append(wrong, mistake{file.at, fmt.Sprintf("%s: package %s, but others are %s", fset.Position(file.syntax.Name.Pos()), name, most)})
		}
	}
	return wrong
}

// pass is one check of a tree.
type pass struct {
	*verdicts
	folders map[string]*packages // by import path
	keys    map[string]string    // the hash of a package, by import path and variant; "" while it is computed
}

func (p *pass) add(at, text string) []mistake {
	file := p.parse(at, text)
	if file.err != nil {
		line := file.err.Error()
		if all, ok := errors.AsType[scanner.ErrorList](file.err); ok {
			line = all[0].Error()
		}
		return []mistake{{at, line}}
	}
	importPath := path.Join(p.module, path.Dir(at))
	in := p.folders[importPath]
	if in == nil {
		in = &packages{}
		p.folders[importPath] = in
	}
	one := source{at, text, file.syntax}
	switch test := strings.HasSuffix(at, "_test.go"); {
	case test && strings.HasSuffix(file.syntax.Name.Name, "_test"):
		in.outside = append(in.outside, one)
	case test:
		in.tests = append(in.tests, one)
	default:
		in.plain = append(in.plain, one)
	}
	return nil
}

func (p *pass) files(importPath string, variant variant) []source {
	switch in := p.folders[importPath]; variant {
	case plain:
		return in.plain
	case withTests:
		return slices.Concat(in.plain, in.tests)
	default:
		return in.outside
	}
}

// key returns the hash of a package: of its files and of what they import.
func (p *pass) key(importPath string, variant variant) string {
	at := importPath + "\x00" + string(variant)
	if key, ok := p.keys[at]; ok {
		return key
	}
	p.keys[at] = ""
	hash := sha256.New()
	fmt.Fprintln(hash, at, len(p.folders[importPath].tests))
	for _, file := range p.files(importPath, variant) {
		fmt.Fprintf(hash, "%s %d %s", file.at, len(file.text), file.text)
		for _, spec := range file.syntax.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if p.folders[imported] != nil {
				fmt.Fprintln(hash, p.key(imported, p.imported(importPath, imported, variant)))
			}
		}
	}
	p.keys[at] = fmt.Sprintf("%x", hash.Sum(nil))
	return p.keys[at]
}

// imported returns the variant of a package that another one imports. Tests in a _test
// package import the package with its tests.
func (p *pass) imported(from, importPath string, variant variant) variant {
	if from == importPath && variant == outside && len(p.folders[importPath].tests) > 0 {
		return withTests
	}
	return plain
}

// verdict checks a package, unless that has been done.
func (p *pass) verdict(importPath string, variant variant) *verdict {
	key := p.key(importPath, variant)
	if known := p.checked[key]; known != nil {
		return known
	}
	made := &verdict{pkg: types.NewPackage(importPath, "cycle")}
	p.checked[key] = made // incomplete; a cycle of imports would find it
	var files []*ast.File
	for _, file := range p.files(importPath, variant) {
		files = append(files, file.syntax)
	}
	config := types.Config{
		Importer: importing{p, importPath, variant},
		// If there are tests, the bodies are checked with them.
		IgnoreFuncBodies: variant == plain && len(p.folders[importPath].tests) > 0,
		Error: func(err error) {
			at := p.fset.Position(err.(types.Error).Pos).Filename
			made.wrong = append(made.wrong, mistake{at, err.Error()})
		},
	}
	made.pkg, _ = config.Check(importPath, p.fset, files, nil)
	return made
}

// importing is the importer for a package.
type importing struct {
	*pass
	from    string
	variant variant
}

func (i importing) Import(importPath string) (*types.Package, error) {
	in := i.folders[importPath]
	switch {
	case strings.HasPrefix(importPath+"/", i.module+"/") && (in == nil || len(in.plain) == 0):
		return nil, fmt.Errorf("no package %s", importPath)
	case in == nil:
		return i.library.Import(importPath)
	case hidden(i.from, importPath):
		return nil, fmt.Errorf("%s is internal", importPath)
	}
	pkg := i.pass.verdict(importPath, i.imported(i.from, importPath, i.variant)).pkg
	if pkg.Name() == "main" {
		return nil, fmt.Errorf("%s is a program", importPath)
	}
	return pkg, nil
}

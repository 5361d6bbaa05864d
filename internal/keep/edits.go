package keep

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// edits are steps that change a file of yours, which its owner does. The code of a
// step is in lines of their own below it, indented by a tab.
type edits struct {
	at     string
	text   string
	fset   *token.FileSet
	syntax *ast.File
	steps  []step
	// replaced are the declarations that steps replace as a whole.
	replaced map[string]bool
	printed  bool // whether the steps are among the lines
}

// step changes lines of a file. Steps of a file are printed from its end to its
// beginning, so that no step moves the lines of a later one.
type step struct {
	first, last int // lines
	why, do     string
	code        string
}

// What is done with the lines of a step.
const (
	replaceLines = "replace"
	addBelow     = "add below"
	addAbove     = "add above"
	deleteLines  = "delete"
	think        = "" // it is not known how to change them
)

// rank orders steps of one line: one that moves it comes last.
var rank = map[string]int{replaceLines: 1, deleteLines: 2, addAbove: 3}

// newEdits parses a file; it returns nil if the file is not Go.
func newEdits(at string, text []byte) *edits {
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, at, text, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		return nil
	}
	return &edits{at: at, text: string(text), fset: fset, syntax: syntax, replaced: map[string]bool{}}
}

func (e *edits) add(first, last int, why, do, code string) {
	e.steps = append(e.steps, step{first, last, why, do, strings.TrimRight(code, "\n")})
}

// position returns where a position is in the file, whatever //line comments say.
func (e *edits) position(pos token.Pos) token.Position { return e.fset.PositionFor(pos, false) }

// line returns the line of a position.
func (e *edits) line(pos token.Pos) int { return e.position(pos).Line }

// source returns the text of a node.
func (e *edits) source(node ast.Node) string {
	return e.text[e.position(node.Pos()).Offset:e.position(node.End()).Offset]
}

// onOwnLines reports whether nothing else is in the lines of a node, except for what
// follows it there and is in allowed.
func (e *edits) onOwnLines(node ast.Node, allowed string) bool {
	begin, end := e.position(node.Pos()).Offset, e.position(node.End()).Offset
	before := e.text[strings.LastIndexByte(e.text[:begin], '\n')+1 : begin]
	after, _, _ := strings.Cut(e.text[end:], "\n")
	after, _, _ = strings.Cut(after, "//")
	return strings.TrimSpace(before) == "" && strings.Trim(after, " \t\r"+allowed) == ""
}

// indent returns the white space in which a line begins.
func (e *edits) indent(line int) string {
	text := strings.Split(e.text, "\n")[line-1]
	return text[:len(text)-len(strings.TrimLeft(text, " \t"))]
}

// lines returns what to print for the steps.
func (e *edits) lines() (all []string) {
	slices.SortStableFunc(e.steps, func(a, b step) int { return cmp.Or(cmp.Compare(b.first, a.first), cmp.Compare(rank[a.do], rank[b.do])) })
	for _, step := range e.steps {
		place, these := fmt.Sprintf("%s:%d", e.at, step.first), "this line"
		if step.last > step.first {
			place, these = fmt.Sprintf("%s-%d", place, step.last), "these lines"
		}
		switch step.do {
		case think:
			all = append(all, place+": "+step.why)
		case replaceLines:
			all = append(all, fmt.Sprintf("%s: %s; replace %s with:\n\t%s", place, step.why, these, indented(step.code)))
		case deleteLines:
			all = append(all, fmt.Sprintf("%s: %s; delete %s", place, step.why, these))
		default:
			all = append(all, fmt.Sprintf("%s: %s; %s this line:\n\t%s", place, step.why, step.do, indented(step.code)))
		}
	}
	return all
}

func indented(code string) string { return strings.ReplaceAll(code, "\n", "\n\t") }

// declaration is a declaration of one thing.
type declaration struct {
	doc, text   string // its comment, and itself
	first, last int    // its lines, without its comment
}

// declarations returns the functions, methods and types of a file, by their names.
func (e *edits) declarations() map[string]declaration {
	all := map[string]declaration{}
	for _, decl := range e.syntax.Decls {
		name, doc := "", (*ast.CommentGroup)(nil)
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			name, doc = decl.Name.Name, decl.Doc
			if decl.Recv != nil {
				name = receiverType(decl) + "." + name
			}
		case *ast.GenDecl:
			if decl.Tok == token.TYPE && len(decl.Specs) == 1 {
				name, doc = decl.Specs[0].(*ast.TypeSpec).Name.Name, decl.Doc
			}
		}
		if name == "" {
			continue
		}
		one := declaration{text: e.source(decl), first: e.line(decl.Pos()), last: e.line(decl.End())}
		if doc != nil {
			one.doc = e.source(doc) + "\n"
		}
		all[name] = one
	}
	return all
}

// update adds the steps that make those declarations new that are still as one of the
// versions before has them.
func (e *edits) update(before [][]byte, after []byte) {
	next := newEdits(e.at, after)
	if next == nil {
		return
	}
	here, wanted := e.declarations(), next.declarations()
	code := ""
	for _, text := range before {
		once := newEdits(e.at, text)
		if once == nil {
			continue
		}
		for name, was := range once.declarations() {
			is, to := here[name], wanted[name]
			if e.replaced[name] || to.text == "" || is.text != was.text || is.text == to.text {
				continue
			}
			e.replaced[name] = true
			first, with := is.first, to.text
			if is.doc == was.doc && is.doc != to.doc {
				first, with = is.first-strings.Count(is.doc, "\n"), to.doc+to.text
			}
			e.add(first, is.last, name+" is still as it was generated, and must be another now", replaceLines, with)
			code += to.text + "\n"
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		_, method, _ := strings.Cut(name, ".")
		if _, has := here[name]; !has && method != "" && strings.Contains(code, "."+method) {
			e.add(strings.Count(strings.TrimRight(e.text, "\n"), "\n")+1, 0, name+" is new, and called above", addBelow, "\n"+wanted[name].doc+wanted[name].text)
			code += wanted[name].text + "\n"
		}
	}
	if code != "" {
		for _, spec := range next.syntax.Imports {
			if name := nameOf(spec); uses(code, name) {
				e.imports(importPathOf(spec), name)
			}
		}
		e.dropImports(here)
	}
}

// nameOf returns the name under which a file of templates imports a package.
func nameOf(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	return beforeVersion(importPathOf(spec))
}

// uses reports whether code uses a package.
func uses(code, name string) bool {
	return regexp.MustCompile(`(^|[^\w.])` + regexp.QuoteMeta(name) + `\.\w`).MatchString(code)
}

// imports adds the step that imports a package under a name, unless the file does.
func (e *edits) imports(importPath, name string) {
	for _, spec := range e.syntax.Imports {
		if importPathOf(spec) == importPath && (spec.Name == nil || spec.Name.Name == name) {
			return
		}
	}
	code := strconv.Quote(importPath)
	if name != path.Base(importPath) {
		code = name + " " + code
	}
	if slices.ContainsFunc(e.steps, func(s step) bool { return strings.HasSuffix(s.code, code) }) {
		return
	}
	why := "it uses the package " + name
	for _, decl := range slices.Backward(e.syntax.Decls) {
		if decl, ok := decl.(*ast.GenDecl); ok && decl.Tok == token.IMPORT {
			if last := decl.Specs[len(decl.Specs)-1]; decl.Lparen.IsValid() {
				e.add(e.line(last.End()), 0, why, addBelow, "\t"+code)
			} else {
				e.add(e.line(last.End()), 0, why, addBelow, "import "+code)
			}
			return
		}
	}
	e.add(e.line(e.syntax.Name.End()), 0, why, addBelow, "\nimport "+code)
}

// dropImports adds the steps that remove imports which only replaced code used.
func (e *edits) dropImports(here map[string]declaration) {
	rest := e.text
	for name := range e.replaced {
		rest = strings.Replace(rest, here[name].text, "", 1)
	}
	for _, step := range e.steps {
		rest += "\n" + step.code
	}
	for _, spec := range e.syntax.Imports {
		name := nameOf(spec)
		if name != "_" && name != "." && uses(e.text, name) && !uses(rest, name) && e.onOwnLines(spec, "") {
			e.add(e.line(spec.Pos()), 0, "nothing uses the package "+name+" any longer", deleteLines, "")
		}
	}
}

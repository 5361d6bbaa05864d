package render_test

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"

	"google.golang.org/protobuf/compiler/protogen"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/render"
)

var update = flag.Bool("update", false, "rewrite docs/templates.md")

// TestManual checks that docs/templates.md fits the code. Its scopes, fields and
// functions are read from the code, and the rest from testdata/manual.md.
func TestManual(t *testing.T) {
	const at = "../../docs/templates.md"
	text, err := template.New("manual.md").Delims("[[", "]]").Funcs(template.FuncMap{"errorLine": errorLine, "link": linked}).ParseFiles("testdata/manual.md")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := text.Execute(&out, newManual(t)); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(at, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, _ := os.ReadFile(at); out.String() != string(want) {
		t.Error("docs/templates.md does not fit the code: run make generate")
	}
}

// errorLine returns the line of a case's golden error that begins with a text.
func errorLine(name, begin string) (string, error) {
	text, err := os.ReadFile(filepath.Join("../../testdata", name, "error.txt"))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, begin) {
			return strings.TrimSpace(line), nil
		}
	}
	return "", fmt.Errorf("%s has no line %q", name, begin)
}

// manual is the data of the manual, from the code.
type manual struct {
	Marker    string
	Scopes    []scope
	Types     []typ
	Ours      []function
	FromSprig []function
	Excluded  []render.Exclusion
}

// scope is a scope with the values of its placeholders in an example.
type scope struct {
	model.Scope
	Type         string
	Placeholders []placeholder
	Variants     []value
}

type placeholder struct{ Name, Doc, Example string }

// value is a possible value of a type.
type value struct{ Name, Doc string }

type function struct {
	render.Function
	Result string
}

func newManual(t *testing.T) manual {
	t.Helper()
	code := parseModel(t)
	m := manual{Marker: keep.Marker, Excluded: render.Exclusions(), Types: code.reachable()}
	module := example(t)
	for _, s := range model.Scopes {
		one := scope{Scope: s, Type: reflect.TypeOf(s.Data).Elem().Name()}
		for _, p := range s.Placeholders {
			one.Placeholders = append(one.Placeholders, placeholder{p.Name, p.Doc, s.Expand("{"+p.Name+"}", first(t, s, module))})
		}
		for _, variant := range s.Variants {
			one.Variants = append(one.Variants, value{variant, code.variants[variant]})
		}
		m.Scopes = append(m.Scopes, one)
	}
	m.Ours = withResults(t, render.Ours)
	m.FromSprig = withResults(t, render.FromSprig)
	return m
}

// example returns the module of testdata/orders. The manual's examples are its first
// elements.
func example(t *testing.T) *model.Module {
	t.Helper()
	request, err := compile.Request(context.Background(), []string{"../../testdata/orders"}, []string{"orders.proto"})
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := protogen.Options{}.New(request)
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimSuffix(string(plugin.Files[len(plugin.Files)-1].GoImportPath), "/gen/shop/v1")
	module, err := model.Build(model.Module{Path: path}, plugin, model.EventsAuto)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// first returns the first element of a scope.
func first(t *testing.T, s model.Scope, module *model.Module) model.Element {
	t.Helper()
	if s.Elements != nil {
		return s.Elements(module)[0]
	}
	project, err := model.Draft("example.com/shop", "OrderIntake", "")
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// withResults returns functions with the results of their examples.
func withResults(t *testing.T, functions []render.Function) (all []function) {
	t.Helper()
	for _, f := range functions {
		one := function{Function: f}
		if f.Example != "" {
			one.Result = execute(t, "{{"+f.Example+"}}")
		}
		all = append(all, one)
	}
	return all
}

// execute returns what a template makes for an empty module.
func execute(t *testing.T, text string) string {
	t.Helper()
	tree, err := render.Parse(nil, []render.File{{Name: "module/x.tmpl", Text: text}})
	if err != nil {
		t.Fatal(err)
	}
	outputs, err := tree.Outputs(&model.Module{})
	if err != nil {
		t.Fatal(err)
	}
	made, err := outputs[0].Render()
	if err != nil {
		t.Fatal(text, err)
	}
	return strconv.Quote(string(made))
}

// code is what the manual needs of the model's source.
type code struct {
	types    map[string]*typ
	variants map[string]string // the comments of the constants that are variants
}

// typ is a type of the model.
type typ struct {
	Name, Doc string
	Members   []member
	Values    []value // the constants of the type, if it is a string type
}

// member is a field or a method that templates can use.
type member struct{ Name, Type, Doc string }

func parseModel(t *testing.T) *code {
	t.Helper()
	c := &code{types: map[string]*typ{}, variants: map[string]string{}}
	sources, err := filepath.Glob("../model/*.go")
	if err != nil || len(sources) == 0 {
		t.Fatal(err, sources)
	}
	var files []*ast.File
	for _, source := range sources {
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	for _, file := range files {
		for _, decl := range file.Decls {
			if decl, ok := decl.(*ast.GenDecl); ok {
				c.declaration(decl)
			}
		}
	}
	for _, file := range files {
		for _, decl := range file.Decls {
			if decl, ok := decl.(*ast.FuncDecl); ok {
				c.method(decl)
			}
		}
	}
	return c
}

func (c *code) declaration(decl *ast.GenDecl) {
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			one := &typ{Name: spec.Name.Name, Doc: text(decl.Doc)}
			c.types[one.Name] = one
			if fields, ok := spec.Type.(*ast.StructType); ok {
				one.Members = members(fields)
			}
		case *ast.ValueSpec:
			c.constant(spec)
		}
	}
}

// constant records a string constant: as a variant if it can be one, and as a value
// of its type.
func (c *code) constant(spec *ast.ValueSpec) {
	if len(spec.Values) != 1 {
		return
	}
	literal, ok := spec.Values[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return
	}
	name, _ := strconv.Unquote(literal.Value)
	of, _ := spec.Type.(*ast.Ident)
	if of == nil || of.Name == "Kind" {
		c.variants[name] = text(spec.Comment)
	}
	if of != nil && c.types[of.Name] != nil {
		c.types[of.Name].Values = append(c.types[of.Name].Values, value{name, text(spec.Comment)})
	}
}

func members(fields *ast.StructType) (all []member) {
	for _, field := range fields.Fields.List {
		of := types.ExprString(field.Type)
		doc := cmp.Or(text(field.Doc), text(field.Comment))
		if len(field.Names) == 0 {
			all = append(all, member{"", linked(of), "and all its fields and methods"})
		}
		for _, name := range field.Names {
			if name.IsExported() {
				all = append(all, member{name.Name, linked(of), inTable(doc, name.Name)})
			}
		}
	}
	return all
}

// method records a method of a type, with the names of its parameters.
func (c *code) method(decl *ast.FuncDecl) {
	if decl.Recv == nil || !decl.Name.IsExported() || slices.Contains(render.ForRender, decl.Name.Name) {
		return
	}
	of := c.types[strings.TrimPrefix(types.ExprString(decl.Recv.List[0].Type), "*")]
	if of == nil || decl.Type.Results.NumFields() != 1 {
		return
	}
	name := decl.Name.Name
	for _, field := range decl.Type.Params.List {
		for _, parameter := range field.Names {
			name += " " + parameter.Name
		}
	}
	result := linked(types.ExprString(decl.Type.Results.List[0].Type))
	of.Members = append(of.Members, member{name, result, inTable(text(decl.Doc), decl.Name.Name)})
}

// inTable returns the comment of a name without its beginning, for a table whose
// first column is the name.
func inTable(doc, name string) string {
	for _, begin := range []string{name + " ", "is ", "are ", "reports ", "returns "} {
		doc = strings.TrimPrefix(doc, begin)
	}
	return strings.TrimSuffix(doc, ".")
}

// text returns a comment on one line.
func text(comment *ast.CommentGroup) string {
	plain := strings.Join(strings.Fields(comment.Text()), " ")
	return regexp.MustCompile(`\[(\w+(?:\.\w+)?)\]`).ReplaceAllString(plain, "$1")
}

// linked returns a type in words, with links to those of the model.
func linked(of string) string {
	if list, ok := strings.CutPrefix(of, "[]"); ok {
		return "list of " + linked(list)
	}
	plain := strings.TrimPrefix(of, "*")
	if ast.IsExported(plain) {
		return "[" + plain + "](#" + strings.ToLower(plain) + ")"
	}
	return plain
}

// reachable returns the types that templates can reach, those of scopes first.
func (c *code) reachable() (all []typ) {
	var queue []string
	for _, s := range model.Scopes {
		queue = append(queue, reflect.TypeOf(s.Data).Elem().Name())
	}
	link := regexp.MustCompile(`^(?:list of )?\[(\w+)\]`)
	for i := 0; i < len(queue); i++ {
		one := c.types[queue[i]]
		all = append(all, *one)
		for _, member := range one.Members {
			if match := link.FindStringSubmatch(member.Type); match != nil && !slices.Contains(queue, match[1]) {
				queue = append(queue, match[1])
			}
		}
	}
	return all
}

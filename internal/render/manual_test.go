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

// TestManual: docs/templates.md tells what the code has. What it says of scopes,
// fields and functions comes from there, and the rest from testdata/manual.md.
func TestManual(t *testing.T) {
	const at = "../../docs/templates.md"
	text, err := template.New("manual.md").Delims("[[", "]]").Funcs(template.FuncMap{"said": said, "link": linked}).ParseFiles("testdata/manual.md")
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
		t.Error("docs/templates.md is not what the code has: make generate writes it anew")
	}
}

// said is a line of the golden message of a case, by what it begins with.
func said(name, begin string) (string, error) {
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

// manual is what the manual tells of the code.
type manual struct {
	Marker    string
	Scopes    []scope
	Types     []typ
	Ours      []function
	FromSprig []function
	Refusals  []render.Refusal
}

// scope is a scope with what its placeholders stand for in an example.
type scope struct {
	model.Scope
	Type         string
	Placeholders []placeholder
	Variants     []value
}

type placeholder struct{ Name, Doc, Example string }

// value is one of the values that something can have.
type value struct{ Name, Doc string }

type function struct {
	render.Function
	Result string
}

func newManual(t *testing.T) manual {
	t.Helper()
	code := parseModel(t)
	m := manual{Marker: keep.Marker, Refusals: render.Refusals(), Types: code.reachable()}
	into := example(t)
	for _, s := range model.Scopes {
		one := scope{Scope: s, Type: reflect.TypeOf(s.Data).Elem().Name()}
		for _, p := range s.Placeholders {
			one.Placeholders = append(one.Placeholders, placeholder{p.Name, p.Doc, s.Expand("{"+p.Name+"}", s.Elements(into)[0])})
		}
		for _, variant := range s.Variants {
			one.Variants = append(one.Variants, value{variant, code.variants[variant]})
		}
		m.Scopes = append(m.Scopes, one)
	}
	m.Ours = called(t, render.Ours)
	m.FromSprig = called(t, render.FromSprig)
	return m
}

// example is the module of testdata/orders, whose first elements are examples.
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
	into, err := model.Build(model.Module{Path: path}, plugin, model.EventsAuto)
	if err != nil {
		t.Fatal(err)
	}
	return into
}

// called are functions with what their examples make.
func called(t *testing.T, functions []render.Function) (all []function) {
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

// execute is what a template makes for a module that has nothing.
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

// code is what the source of the model says.
type code struct {
	types    map[string]*typ
	variants map[string]string // the comments of the constants that are variants
}

// typ is a type of the model.
type typ struct {
	Name, Doc string
	Members   []member
	Values    []value // that there are, of a type of text
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

// constant notes a constant of text: as a variant, if it can be one, and among
// the values of its type.
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
			all = append(all, member{"", linked(of), "and all that it has"})
		}
		for _, name := range field.Names {
			if name.IsExported() {
				all = append(all, member{name.Name, linked(of), inTable(doc, name.Name)})
			}
		}
	}
	return all
}

// method notes a method of a type, with the name of what it takes.
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

// inTable is the comment of a name as a table has it, behind the name.
func inTable(doc, name string) string {
	for _, begin := range []string{name + " ", "is ", "are ", "reports ", "returns "} {
		doc = strings.TrimPrefix(doc, begin)
	}
	return strings.TrimSuffix(doc, ".")
}

// text is a comment on one line.
func text(comment *ast.CommentGroup) string {
	plain := strings.Join(strings.Fields(comment.Text()), " ")
	return regexp.MustCompile(`\[(\w+(?:\.\w+)?)\]`).ReplaceAllString(plain, "$1")
}

// linked names a type in words, and links those of the model.
func linked(of string) string {
	if list, found := strings.CutPrefix(of, "[]"); found {
		return "list of " + linked(list)
	}
	plain := strings.TrimPrefix(of, "*")
	if ast.IsExported(plain) {
		return "[" + plain + "](#" + strings.ToLower(plain) + ")"
	}
	return plain
}

// reachable are the types that templates can get at, those of scopes first.
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
			if found := link.FindStringSubmatch(member.Type); found != nil && !slices.Contains(queue, found[1]) {
				queue = append(queue, found[1])
			}
		}
	}
	return all
}

// Package render turns templates and the model into files.
//
// A template's path is the path of what it makes: below a folder that says what
// it is executed for (module, program, package, service, event or method),
// with placeholders in braces, an optional variant before the file's extension,
// and .tmpl at the end:
//
//	method/internal/{path}/{method}.unary.go.tmpl
//
// A template that begins with the marker makes a file of ours, written on every
// run; any other makes a file of yours, written once.
//
// What a template makes is formatted if it begins with {{/* gofmt */}}. The
// others make what gofmt would leave as it is, which is several times faster.
package render

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"text/template"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// Tree is a parsed tree of templates.
type Tree struct{ templates []*source }

// source is one template.
type source struct {
	name    string // its path in the tree
	scope   string // what it is executed for
	pattern string // path of its output, with placeholders
	variant string // the variant of element that it is for; "" for all
	owner   keep.Owner
	gofmt   bool // whether what it makes is to be formatted
	parsed  *template.Template
	idle    sync.Pool // of *executable
}

// Parse reads all templates of a tree.
func Parse(files fs.FS) (*Tree, error) {
	tree := &Tree{}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".tmpl") {
			return err
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		one, err := parse(name, string(text))
		if err != nil {
			return err
		}
		tree.templates = append(tree.templates, one)
		return nil
	})
	return tree, err
}

// gofmtDirective begins a template whose output gofmt would change.
const gofmtDirective = "{{/* gofmt */}}"

func parse(name, text string) (*source, error) {
	scope, pattern, found := strings.Cut(strings.TrimSuffix(name, ".tmpl"), "/")
	if !found || !slices.Contains(scopes, scope) {
		return nil, fmt.Errorf("template %s: want it in a folder that says what it is for: %s", name, strings.Join(scopes, ", "))
	}
	parsed, err := template.New(name).Funcs(functions(nil)).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, err
	}
	one := &source{name: name, scope: scope, parsed: parsed, owner: keep.Yours, gofmt: strings.HasPrefix(text, gofmtDirective)}
	one.pattern, one.variant = cutVariant(pattern)
	if begin, _, _ := strings.Cut(text, "\n"); strings.Contains(begin, keep.Marker) {
		one.owner = keep.Ours
	}
	return one, nil
}

// cutVariant takes the variant out of a path: receive.unary.go is receive.go.
func cutVariant(pattern string) (without, variant string) {
	dir, file := path.Split(pattern)
	parts := strings.Split(file, ".")
	if len(parts) < 3 || !slices.Contains(model.Variants, parts[len(parts)-2]) {
		return pattern, ""
	}
	variant = parts[len(parts)-2]
	return dir + strings.Join(slices.Delete(parts, len(parts)-2, len(parts)-1), "."), variant
}

// scopes are the folders of a tree, in the order of their output.
var scopes = []string{"module", "program", "package", "service", "event", "method"}

// elements are what the templates of a scope are executed for.
func elements(app *model.App, scope string) (all []model.Element) {
	switch scope {
	case "module":
		return []model.Element{&app.Module}
	case "program":
		for _, program := range app.Programs {
			all = append(all, program)
		}
		return all
	}
	for _, pkg := range app.Packages {
		switch scope {
		case "package":
			all = append(all, pkg)
		case "event":
			for _, event := range pkg.EventTypes {
				all = append(all, event)
			}
		default:
			all = append(all, ofServices(pkg.Services, scope)...)
		}
	}
	return all
}

func ofServices(services []*model.Service, scope string) (all []model.Element) {
	for _, service := range services {
		if scope == "service" {
			all = append(all, service)
			continue
		}
		for _, method := range service.Methods {
			all = append(all, method)
		}
	}
	return all
}

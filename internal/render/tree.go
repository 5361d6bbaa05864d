// Package render turns templates and the model into files.
//
// A template's path is the path of the file that it makes. Its first folder is the
// scope, which is what the template is executed for: module, program, package,
// service, event, method, or project, which new alone makes. Then follows the path, with placeholders in braces, an
// optional variant before the file's extension, and .tmpl at the end:
//
//	method/internal/{path}/{method}.unary.go.tmpl
//
// A template with the marker in a comment makes a file of ours, written on
// every run; any other makes a file of yours, written once.
//
// A user's override folder adds to our tree. For each path the user's templates
// take precedence, and among them the one for the element's variant. An empty
// template makes no file.
//
// What a template of ours makes is formatted if the template begins with
// {{/* gofmt */}}. The other templates must make what gofmt would not change, which
// is several times faster. What a user's template makes is always formatted.
package render

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"text/template"
	"text/template/parse"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// Tree is a parsed tree of templates: for each scope the targets of its templates.
type Tree struct{ targets map[string][]*target }

// target is the path of an output, and the templates that can make it.
type target struct {
	pattern string    // with placeholders
	sources []*source // in the order of precedence
}

// source is one template.
type source struct {
	file    File
	scope   model.Scope
	pattern string // the path of its output, with placeholders
	variant string // of the elements to which it applies; "" for all
	owner   keep.Owner
	gofmt   bool // whether its output must be formatted
	none    bool // whether it makes no file
	parsed  *template.Template
	idle    sync.Pool // of *executable
}

// Parse parses our templates and those of the user that override them. The error
// has all that is wrong with their paths and their text.
func Parse(ours, overrides []File) (*Tree, error) {
	tree := &Tree{targets: map[string][]*target{}}
	var errs []error
	for _, file := range slices.Concat(overrides, ours) {
		one, err := locate(file)
		if err == nil && !tree.hides(one) {
			err = one.parse()
			tree.add(one)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	for _, targets := range tree.targets {
		// If two make the same file, the error is reported for the later one,
		// which should be the user's.
		slices.SortStableFunc(targets, func(a, b *target) int { return rank(b.sources[0]) - rank(a.sources[0]) })
	}
	return tree, errors.Join(errs...)
}

// locate parses a template's path.
func locate(file File) (*source, error) {
	scope, ok := model.ScopeOf(scopeOf(file.Name))
	if !ok {
		return nil, &Error{At: file.At, Text: "want its first folder to be its scope, one of " + strings.Join(model.ScopeNames(), ", ")}
	}
	pattern := strings.TrimSuffix(strings.TrimPrefix(file.Name, scope.Name+"/"), ending)
	if base := path.Base("/" + pattern); strings.Trim(base, "./") == "" || strings.HasSuffix(pattern, "/") {
		return nil, &Error{At: file.At, Text: "want the name of the file that it makes before " + ending}
	}
	one := &source{file: file, scope: scope, owner: keep.Yours, gofmt: file.override || strings.HasPrefix(file.Text, gofmtDirective)}
	var err error
	if one.pattern, one.variant, err = cutVariant(scope, pattern); err == nil {
		err = scope.Check(one.pattern)
	}
	if err != nil {
		return nil, &Error{At: file.At, Text: err.Error()}
	}
	return one, nil
}

// cutVariant cuts the variant out of a path: receive.unary.go is the variant unary
// of receive.go. A variant of another scope is an error, because the template would
// never be executed.
func cutVariant(scope model.Scope, pattern string) (without, variant string, err error) {
	dir, file := path.Split(pattern)
	parts := strings.Split(file, ".")
	if len(parts) < 3 {
		return pattern, "", nil
	}
	last := len(parts) - 2
	variant = parts[last]
	switch {
	case slices.Contains(scope.Variants, variant):
		return dir + strings.Join(slices.Delete(parts, last, last+1), "."), variant, nil
	case isVariant(variant):
		return "", "", fmt.Errorf(".%s is not a variant of %s templates: they have %s", variant, scope.Name,
			cmp.Or(strings.Join(scope.Variants, ", "), "none"))
	}
	return pattern, "", nil
}

func isVariant(word string) bool {
	return slices.ContainsFunc(model.Scopes, func(s model.Scope) bool { return slices.Contains(s.Variants, word) })
}

// target returns the target of a template, or nil if there is none yet.
func (t *Tree) target(one *source) *target {
	targets := t.targets[one.scope.Name]
	if i := slices.IndexFunc(targets, func(p *target) bool { return p.pattern == one.pattern }); i >= 0 {
		return targets[i]
	}
	return nil
}

// hides reports whether a template can never be chosen, because of those that are
// in the tree.
func (t *Tree) hides(one *source) bool {
	p := t.target(one)
	return p != nil && slices.ContainsFunc(p.sources, func(s *source) bool { return s.hides(one) })
}

// hides reports whether a template takes precedence over another for every element.
func (s *source) hides(other *source) bool {
	return s.file.override && !other.file.override && (s.variant == "" || s.variant == other.variant)
}

// add adds a template to those for its path.
func (t *Tree) add(one *source) {
	p := t.target(one)
	if p == nil {
		p = &target{pattern: one.pattern}
		t.targets[one.scope.Name] = append(t.targets[one.scope.Name], p)
	}
	p.sources = append(p.sources, one)
	slices.SortStableFunc(p.sources, byRank)
}

// byRank compares templates by their ranks.
func byRank(a, b *source) int { return rank(a) - rank(b) }

// rank returns a number that is lower for a template that takes precedence: a user's
// before ours, and then one for a variant before one for all.
func rank(s *source) (n int) {
	if !s.file.override {
		n += 2
	}
	if s.variant == "" {
		n++
	}
	return n
}

// source returns the template for an element, or nil if there is none.
func (p *target) source(element model.Element) *source {
	i := slices.IndexFunc(p.sources, func(s *source) bool { return s.variant == "" || s.variant == element.Variant(s.owner == keep.Yours) })
	if i < 0 || p.sources[i].none {
		return nil
	}
	return p.sources[i]
}

// gofmtDirective begins a template whose output gofmt would change.
const gofmtDirective = "{{/* gofmt */}}"

// bracketsDirective begins a template with its actions in brackets.
const bracketsDirective = "{{/* [[ ]] */}}"

// parse parses the template's text.
func (s *source) parse() (err error) {
	if s.owner, err = owner(s.pattern, s.file.Text); err != nil {
		return &Error{At: s.file.At, Line: 1, Text: err.Error()}
	}
	if s.owner == keep.Ours && s.scope.Elements == nil {
		return &Error{At: s.file.At, Line: 1, Text: fmt.Sprintf("templates of the scope %s make files of yours, which new writes once: remove the marker", s.scope.Name)}
	}
	parsed, text := template.New(s.file.At), s.file.Text
	if rest, found := strings.CutPrefix(text, bracketsDirective); found {
		parsed, text = parsed.Delims("[[", "]]"), "[[/* */ -]]"+rest
	}
	s.parsed, err = parsed.Funcs(allowed).Funcs(perFile(nil)).Option("missingkey=error").Parse(text)
	if err != nil {
		return parseFailure(s.file.At, err)
	}
	s.none = parse.IsEmptyTree(s.parsed.Root)
	return nil
}

// owner returns the owner of what a template makes. It depends on whether a line of
// the template has the marker; in Go only lines before the package clause count.
func owner(pattern, text string) (keep.Owner, error) {
	text = strings.TrimPrefix(text, gofmtDirective)
	first, _, _ := strings.Cut(text, "\n")
	if path.Ext(pattern) == ".go" {
		text, _, _ = strings.Cut("\n"+text, "\npackage ")
	}
	switch {
	case keep.Marked("", []byte(text)):
		return keep.Ours, nil
	case strings.Contains(first, keep.Marker):
		return "", fmt.Errorf("the marker must be a comment of its own, in one of these forms: # %s, // %[1]s, <!-- %[1]s -->", keep.Marker)
	}
	return keep.Yours, nil
}

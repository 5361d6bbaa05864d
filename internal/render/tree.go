// Package render turns templates and the model into files.
//
// A template's path is the path of what it makes: below a folder that says what
// it is executed for (a scope: module, program, package, service, event or
// method), with placeholders in braces, an optional variant before the file's
// extension, and .tmpl at the end:
//
//	method/internal/{path}/{method}.unary.go.tmpl
//
// A template with the marker in a comment makes a file of ours, written on
// every run; any other makes a file of yours, written once.
//
// A user's tree is laid over ours: of the templates for one path those of the
// user come first, and of those the one that names the element's variant. One
// that holds nothing makes no file.
//
// What a template of ours makes is formatted if it begins with {{/* gofmt */}}.
// The others make what gofmt would leave as it is, which is several times
// faster. What a user's template makes is always formatted.
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

// Tree is a parsed tree of templates: for each scope the paths of what it makes.
type Tree struct{ places map[string][]*place }

// place is the path of an output, and the templates that can make it.
type place struct {
	pattern string    // with placeholders
	sources []*source // those to be preferred first
}

// source is one template.
type source struct {
	file    File
	scope   model.Scope
	pattern string // path of its output, with placeholders
	variant string // the variant of element that it is for; "" for all
	owner   keep.Owner
	gofmt   bool // whether what it makes is to be formatted
	none    bool // whether it makes no file
	parsed  *template.Template
	idle    sync.Pool // of *executable
}

// Parse lays the templates of a user over those of ours, if there are any. All
// that is wrong with their paths and their text is told in one error.
func Parse(ours, house []File) (*Tree, error) {
	tree := &Tree{places: map[string][]*place{}}
	var errs []error
	for _, file := range slices.Concat(house, ours) {
		one, err := locate(file)
		if err == nil && !tree.hides(one) {
			err = one.parse()
			tree.add(one)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	for _, places := range tree.places {
		// Of two that make the same file the later is told: let it be the user's.
		slices.SortStableFunc(places, func(a, b *place) int { return rank(b.sources[0]) - rank(a.sources[0]) })
	}
	return tree, errors.Join(errs...)
}

// locate reads a template's path.
func locate(file File) (*source, error) {
	scope, found := model.ScopeOf(scopeOf(file.Name))
	if !found {
		return nil, &Error{At: file.At, Text: "want it in a folder that says what it is for: " + strings.Join(model.ScopeNames(), ", ")}
	}
	pattern := strings.TrimSuffix(strings.TrimPrefix(file.Name, scope.Name+"/"), ending)
	if base := path.Base("/" + pattern); strings.Trim(base, "./") == "" || strings.HasSuffix(pattern, "/") {
		return nil, &Error{At: file.At, Text: "before " + ending + " want the name of the file that it makes"}
	}
	one := &source{file: file, scope: scope, owner: keep.Yours, gofmt: file.house || strings.HasPrefix(file.Text, gofmtDirective)}
	var err error
	if one.pattern, one.variant, err = cutVariant(scope, pattern); err == nil {
		err = scope.Check(one.pattern)
	}
	if err != nil {
		return nil, &Error{At: file.At, Text: err.Error()}
	}
	return one, nil
}

// cutVariant takes the variant out of a path: receive.unary.go is receive.go.
// One of another scope would never be asked for, and so is an error.
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
		return "", "", fmt.Errorf(".%s is no variant of %s templates: they have %s", variant, scope.Name,
			cmp.Or(strings.Join(scope.Variants, ", "), "none"))
	}
	return pattern, "", nil
}

func isVariant(word string) bool {
	return slices.ContainsFunc(model.Scopes, func(s model.Scope) bool { return slices.Contains(s.Variants, word) })
}

// place is where a template belongs, or nil if it is the first for its path.
func (t *Tree) place(one *source) *place {
	places := t.places[one.scope.Name]
	if i := slices.IndexFunc(places, func(p *place) bool { return p.pattern == one.pattern }); i >= 0 {
		return places[i]
	}
	return nil
}

// hides reports whether the templates that are there leave nothing for another.
func (t *Tree) hides(one *source) bool {
	p := t.place(one)
	return p != nil && slices.ContainsFunc(p.sources, func(s *source) bool { return s.hides(one) })
}

// hides reports whether a template is preferred to another for every element.
func (s *source) hides(other *source) bool {
	return s.file.house && !other.file.house && (s.variant == "" || s.variant == other.variant)
}

// add puts a template among those for its path.
func (t *Tree) add(one *source) {
	p := t.place(one)
	if p == nil {
		p = &place{pattern: one.pattern}
		t.places[one.scope.Name] = append(t.places[one.scope.Name], p)
	}
	p.sources = append(p.sources, one)
	slices.SortStableFunc(p.sources, preferred)
}

// preferred sorts the templates for a path by their ranks.
func preferred(a, b *source) int { return rank(a) - rank(b) }

// rank is lower for a user's template than for ours, and lower for one for a
// variant than for one for all.
func rank(s *source) (n int) {
	if !s.file.house {
		n += 2
	}
	if s.variant == "" {
		n++
	}
	return n
}

// source is the template for an element, or nil if there is none.
func (p *place) source(element model.Element) *source {
	i := slices.IndexFunc(p.sources, func(s *source) bool { return s.variant == "" || s.variant == element.Variant(s.owner == keep.Yours) })
	if i < 0 || p.sources[i].none {
		return nil
	}
	return p.sources[i]
}

// gofmtDirective begins a template whose output gofmt would change.
const gofmtDirective = "{{/* gofmt */}}"

// parse reads the template's text.
func (s *source) parse() (err error) {
	if s.owner, err = owner(s.pattern, s.file.Text); err != nil {
		return &Error{At: s.file.At, Line: 1, Text: err.Error()}
	}
	s.parsed, err = template.New(s.file.At).Funcs(mentioned(s.file.Text)).Option("missingkey=error").Parse(s.file.Text)
	if err != nil {
		return misparsed(s.file.At, err)
	}
	s.none = parse.IsEmptyTree(s.parsed.Root)
	return nil
}

// owner is whose what a template makes is, by the lines of its text: in Go by
// those before the package clause.
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

package render

import (
	"bytes"
	"errors"
	"go/format"
	"path"
	"text/template"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// Outputs are the files that the tree makes for a module, none of them rendered
// yet. A path that no file can have, and two files of one path, are errors.
func (t *Tree) Outputs(into *model.Module) ([]keep.Output, error) {
	var outputs []keep.Output
	var errs []error
	made := paths{}
	for _, scope := range model.Scopes {
		elements := scope.Elements(into)
		for _, p := range t.places[scope.Name] {
			for _, element := range elements {
				one := p.source(element)
				if one == nil {
					continue
				}
				output, err := one.output(into.Path, element, made)
				if err != nil {
					errs = append(errs, err)
					continue
				}
				outputs = append(outputs, output)
			}
		}
	}
	return outputs, Together(errors.Join(errs...))
}

// output is the file that a template makes for an element, in the module of a
// path, where others are made.
func (s *source) output(module string, element model.Element, made paths) (keep.Output, error) {
	at := s.scope.Expand(s.pattern, element)
	if text := made.claim(at, s, element); text != "" {
		return keep.Output{}, &Error{At: s.file.At, Element: element.String(), Text: text}
	}
	return keep.Output{
		Path:     at,
		Owner:    s.owner,
		Element:  element,
		Template: s.file.Name,
		Render:   func() ([]byte, error) { return s.render(module, element, at) },
	}, nil
}

// executable is a template with functions of its own, for one file at a time.
type executable struct {
	template *template.Template
	imports  *imports
}

// executable is one that is idle, or another: making one takes longer than
// executing it.
func (s *source) executable() (*executable, error) {
	if one, ok := s.idle.Get().(*executable); ok {
		return one, nil
	}
	t, err := s.parsed.Clone()
	if err != nil {
		return nil, err
	}
	imports := &imports{}
	return &executable{template: t.Funcs(bound(imports)), imports: imports}, nil
}

// render makes one file of the module of a path. An error names the template,
// its line, and the element.
func (s *source) render(module string, element model.Element, at string) ([]byte, error) {
	one, err := s.executable()
	if err != nil {
		return nil, err
	}
	defer s.idle.Put(one)
	imports := one.imports
	imports.module, imports.asked = module, nil
	var out bytes.Buffer
	if err := one.template.Execute(&out, element); err != nil {
		return nil, misexecuted(s.file.At, element, err)
	}
	if len(bytes.TrimSpace(out.Bytes())) == 0 {
		return nil, nil // a template may leave a file out
	}
	if path.Ext(at) != ".go" {
		text := imports.plain(out.Bytes())
		return text, s.check(element, at, text)
	}
	source, err := imports.finish(out.Bytes())
	formatted := source
	if err == nil && s.gofmt {
		formatted, err = format.Source(source)
	}
	if err != nil {
		text := imports.plain([]byte("what it makes is no Go: " + explain(err, source)))
		return nil, &Error{At: s.file.At, Element: element.String(), Text: string(text)}
	}
	return formatted, s.check(element, at, formatted)
}

// check looks whether the next run will know what a template of a user makes
// for ours.
func (s *source) check(element model.Element, at string, text []byte) error {
	if !s.file.house || s.owner != keep.Ours || keep.Marked(at, text) {
		return nil
	}
	return &Error{At: s.file.At, Element: element.String(), Text: "it has the marker, and what it makes has not, " +
		"so that the next run would take the file for yours: let the marker be a comment of its own at the top, whatever the element"}
}

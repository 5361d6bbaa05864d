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

// Outputs returns the files that the tree makes for a module, without rendering
// them. It is an error if a file can't have its path, or if two have the same.
func (t *Tree) Outputs(module *model.Module) ([]keep.Output, error) {
	var outputs []keep.Output
	var errs []error
	made := paths{}
	for _, scope := range model.Scopes {
		if scope.Elements == nil {
			continue
		}
		of, err := t.outputs(scope, module.Path, scope.Elements(module), made)
		outputs, errs = append(outputs, of...), append(errs, err)
	}
	return outputs, Together(errors.Join(errs...))
}

// Drafts returns the files that new writes for a project, without rendering them.
func (t *Tree) Drafts(project *model.Project) ([]keep.Output, error) {
	outputs, err := t.outputs(model.Drafts(), project.Path, []model.Element{project}, paths{})
	return outputs, Together(err)
}

// outputs returns the files that the templates of a scope make for elements, and adds
// them to those that are made.
func (t *Tree) outputs(scope model.Scope, modulePath string, elements []model.Element, made paths) (outputs []keep.Output, err error) {
	var errs []error
	for _, p := range t.targets[scope.Name] {
		for _, element := range elements {
			one := p.source(element)
			if one == nil {
				continue
			}
			output, err := one.output(modulePath, element, made)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			outputs = append(outputs, output)
		}
	}
	return outputs, errors.Join(errs...)
}

// output returns the file that a template makes for an element, and adds it to those
// that are made.
func (s *source) output(modulePath string, element model.Element, made paths) (keep.Output, error) {
	at := s.scope.Expand(s.pattern, element)
	if text := made.claim(at, s, element); text != "" {
		return keep.Output{}, &Error{At: s.file.At, Element: element.String(), Text: text}
	}
	return keep.Output{
		Path:     at,
		Owner:    s.owner,
		Element:  element,
		Template: s.file.Name,
		Render:   func() ([]byte, error) { return s.render(modulePath, element, at) },
	}, nil
}

// executable is a copy of a template with its own functions, for one file at a time.
type executable struct {
	template *template.Template
	imports  *imports
}

// executable returns an idle executable, or a new one. They are kept because making
// one takes longer than executing it.
func (s *source) executable() (*executable, error) {
	if one, ok := s.idle.Get().(*executable); ok {
		return one, nil
	}
	t, err := s.parsed.Clone()
	if err != nil {
		return nil, err
	}
	imports := &imports{}
	return &executable{template: t.Funcs(perFile(imports)), imports: imports}, nil
}

// render returns the content of one file. An error names the template, its line and
// the element.
func (s *source) render(modulePath string, element model.Element, at string) ([]byte, error) {
	one, err := s.executable()
	if err != nil {
		return nil, err
	}
	defer s.idle.Put(one)
	imports := one.imports
	imports.module, imports.asked = modulePath, nil
	var out bytes.Buffer
	if err := one.template.Execute(&out, element); err != nil {
		return nil, executeFailure(s.file.At, element, err)
	}
	if len(bytes.TrimSpace(out.Bytes())) == 0 {
		return nil, nil // a template may leave a file out
	}
	if path.Ext(at) != ".go" {
		text := imports.withOwnNames(out.Bytes())
		return text, s.check(element, at, text)
	}
	source, err := imports.finish(out.Bytes())
	formatted := source
	if err == nil && s.gofmt {
		formatted, err = format.Source(source)
	}
	if err != nil {
		text := imports.withOwnNames([]byte("what it makes is not Go: " + withLine(err, source)))
		return nil, &Error{At: s.file.At, Element: element.String(), Text: string(text)}
	}
	return formatted, s.check(element, at, formatted)
}

// check returns an error if a user's template has the marker but the file that it
// makes does not: the next run would not recognise the file as ours.
func (s *source) check(element model.Element, at string, text []byte) error {
	if !s.file.override || s.owner != keep.Ours || keep.Marked(at, text) {
		return nil
	}
	return &Error{At: s.file.At, Element: element.String(), Text: "the template has the marker, but the file that it makes does not, " +
		"so that the next run would take the file for yours: make the marker a comment of its own at the top, for every element"}
}

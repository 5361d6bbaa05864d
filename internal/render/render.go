package render

import (
	"bytes"
	"fmt"
	"go/format"
	"path"
	"text/template"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// Outputs are the files that the tree makes of app, none of them rendered yet.
// Two files of one path are an error.
func (t *Tree) Outputs(app *model.App) ([]keep.Output, error) {
	var outputs []keep.Output
	madeBy := map[string]string{}
	for _, scope := range scopes {
		for _, element := range elements(app, scope) {
			for _, one := range t.templates {
				if one.scope != scope || one.variant != "" && one.variant != element.Variant(one.owner == keep.Yours) {
					continue
				}
				at, err := model.Expand(one.pattern, element)
				if err != nil {
					return nil, fmt.Errorf("template %s: %w", one.name, err)
				}
				by := fmt.Sprintf("template %s for %s", one.name, element)
				if other := madeBy[at]; other != "" {
					return nil, fmt.Errorf("%s and %s both make %s", other, by, at)
				}
				madeBy[at] = by
				outputs = append(outputs, keep.Output{
					Path:    at,
					Owner:   one.owner,
					Element: element,
					Render:  func() ([]byte, error) { return one.render(app.Module, element, at) },
				})
			}
		}
	}
	return outputs, nil
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
	return &executable{template: t.Funcs(functions(imports)), imports: imports}, nil
}

// render makes one file. An error names the template, its line, and the element.
func (s *source) render(module model.Module, element model.Element, at string) ([]byte, error) {
	one, err := s.executable()
	if err != nil {
		return nil, err
	}
	defer s.idle.Put(one)
	imports := one.imports
	imports.module, imports.asked = module.Path, nil
	var out bytes.Buffer
	if err := one.template.Execute(&out, element); err != nil {
		return nil, fmt.Errorf("%s: %w", element, err)
	}
	if len(bytes.TrimSpace(out.Bytes())) == 0 {
		return nil, nil // a template may leave a file out
	}
	if path.Ext(at) != ".go" {
		return out.Bytes(), nil
	}
	source, err := imports.finish(out.Bytes())
	if err == nil && s.gofmt {
		source, err = format.Source(source)
	}
	if err != nil {
		return nil, fmt.Errorf("template %s for %s makes no Go: %w", s.name, element, explain(err, source))
	}
	return source, nil
}

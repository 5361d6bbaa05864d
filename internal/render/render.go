package render

import (
	"bytes"
	"fmt"
	"path"

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
				if one.scope != scope || one.variant != "" && one.variant != element.Variant() {
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
					Path:   at,
					Owner:  one.owner,
					Trace:  element.Trace(),
					Render: func() ([]byte, error) { return one.render(app.Module, element, at) },
				})
			}
		}
	}
	return outputs, nil
}

// render makes one file. An error names the template, its line, and the element.
func (s *source) render(module model.Module, element model.Element, at string) ([]byte, error) {
	imports := &imports{module: module.Path}
	t, err := s.parsed.Clone()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Funcs(functions(imports)).Execute(&out, element); err != nil {
		return nil, fmt.Errorf("%s: %w", element, err)
	}
	if path.Ext(at) != ".go" {
		return out.Bytes(), nil
	}
	formatted, err := imports.format(out.Bytes())
	if err != nil {
		return nil, fmt.Errorf("template %s for %s makes no Go: %w", s.name, element, err)
	}
	return formatted, nil
}

package runtime

import (
	"bytes"
	"path"
	"strings"
	"text/template"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/version"
)

// File is a file of a copy of the runtime.
type File struct {
	Path    string // below the folder of the copy
	Content []byte
}

// Copy returns the files of the part, as a module has them in a folder of its
// own, whose import path is given: the packages without their tests, README.md
// and LICENSE.md. Each file has the marker in a comment above everything else,
// and each Go file says which release of the runtime it comes from.
func (p Part) Copy(importPath, marker string) ([]File, error) {
	files := make([]File, 0, len(p.files)+2)
	for _, file := range p.files {
		text, err := Source.ReadFile(file.name)
		if err != nil {
			return nil, err
		}
		files = append(files, File{file.name, copied(text, importPath, marker)})
	}
	readme, err := p.readme(marker)
	if err != nil {
		return nil, err
	}
	license, err := beside.ReadFile("copied/LICENSE")
	if err != nil {
		return nil, err
	}
	return append(files,
		File{"LICENSE.md", markdown(license, marker)},
		File{"README.md", markdown(readme, marker)}), nil
}

// copied returns a Go file with its import paths changed.
func copied(text []byte, importPath, marker string) []byte {
	header := "// " + marker + "\n// It comes from the runtime of protoc-gen-receiver " + version.Release + ".\n\n"
	return []byte(header + strings.ReplaceAll(string(text), `"`+Path+`/`, `"`+importPath+`/`))
}

// markdown returns a text with the marker above it, which Markdown hides.
func markdown(text []byte, marker string) []byte {
	return append([]byte("<!-- "+marker+" -->\n\n"), text...)
}

// readme returns the README of a copy.
func (p Part) readme(marker string) ([]byte, error) {
	readme, err := template.ParseFS(beside, "copied/README.md")
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	err = readme.Execute(&text, map[string]any{
		"Release":  version.Release,
		"Path":     Path,
		"Marker":   marker,
		"Packages": p.described(),
	})
	return text.Bytes(), err
}

// description says what a package does.
type description struct{ Path, Does string }

// described returns the packages, each with what the first sentence of its
// documentation says of it.
func (p Part) described() (packages []description) {
	for _, file := range p.files {
		if _, does, ok := strings.Cut(strings.TrimPrefix(file.synopsis, "Package "), " "); ok {
			packages = append(packages, description{path.Dir(file.name), does})
		}
	}
	return packages
}

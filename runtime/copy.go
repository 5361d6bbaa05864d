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
// own, whose import path is given: the packages without their tests, what they embed,
// README.md and LICENSE.md. Each file has the marker in a comment above everything else,
// and each Go file says which release of the runtime it comes from.
func (p Part) Copy(importPath, marker string) ([]File, error) {
	files := make([]File, 0, len(p.files)+2)
	for _, file := range p.files {
		text, err := Source.ReadFile(file.name)
		if err != nil {
			return nil, err
		}
		files = append(files, File{file.name, copied(text, importPath, marker)})
		for _, name := range file.embeds {
			text, err := Source.ReadFile(name)
			if err != nil {
				return nil, err
			}
			files = append(files, File{name, embeddedCopy(name, text, marker)})
		}
	}
	about, err := readme(marker)
	if err != nil {
		return nil, err
	}
	license, err := beside.ReadFile("copied/LICENSE")
	if err != nil {
		return nil, err
	}
	return append(files,
		File{"LICENSE.md", markdown(license, marker)},
		File{"README.md", markdown(about, marker)}), nil
}

// copied returns a Go file with its import paths changed, and without our directive.
func copied(source []byte, importPath, marker string) []byte {
	text := string(source)
	if strings.HasPrefix(text, directiveWith) || strings.HasPrefix(text, directiveUsed) {
		_, text, _ = strings.Cut(text, "\n\n")
	}
	header := "// " + marker + "\n// It comes from the runtime of protoc-gen-receiver " + version.Release + ".\n\n"
	return []byte(header + strings.ReplaceAll(text, `"`+Path+`/`, `"`+importPath+`/`))
}

// embeddedCopy returns a file that a Go file embeds, with the marker above it, in a comment
// of its language: HTML, SVG, CSS or JavaScript.
func embeddedCopy(name string, text []byte, marker string) []byte {
	switch path.Ext(name) {
	case ".css":
		return append([]byte("/* "+marker+" */\n"), text...)
	case ".html", ".svg":
		return append([]byte("<!-- "+marker+" -->\n"), text...)
	}
	return append([]byte("// "+marker+"\n"), text...)
}

// markdown returns a text with the marker above it, which Markdown hides.
func markdown(text []byte, marker string) []byte {
	return append([]byte("<!-- "+marker+" -->\n\n"), text...)
}

// readme returns the README of a copy. It is the same for all parts, so that runs
// that each see a part of a module agree on it.
func readme(marker string) ([]byte, error) {
	about, err := template.ParseFS(beside, "copied/README.md")
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	err = about.Execute(&text, map[string]any{
		"Release": version.Release,
		"Path":    Path,
		"Marker":  marker,
	})
	return text.Bytes(), err
}

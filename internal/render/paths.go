package render

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// paths are those of the files that a tree makes, and the folders they stand
// in, by what makes them, on a disk that is blind to case, too.
type paths map[string]maker

// maker is what makes a file, or a file below a folder.
type maker struct {
	source  *source
	element model.Element
	path    string // as the maker spells it
	folder  bool
}

// claim takes a path for what a template makes for an element, or says why it
// can't be had.
func (p paths) claim(at string, one *source, element model.Element) string {
	if one.file.house { // ours are where the model says
		if text := illegal(at); text != "" {
			return text
		}
	}
	if other, taken := p[strings.ToLower(at)]; taken {
		return other.clash(at)
	}
	for dir := path.Dir(at); dir != "."; dir = path.Dir(dir) {
		key := strings.ToLower(dir)
		if other, taken := p[key]; taken && !other.folder {
			return other.clash(at)
		} else if taken {
			break // and so are those around it
		}
		p[key] = maker{one, element, at, true}
	}
	p[strings.ToLower(at)] = maker{one, element, at, false}
	return ""
}

// clash says that a path is taken by the maker.
func (m maker) clash(at string) string {
	by := fmt.Sprintf("%s for %s", m.source.file.At, m.element)
	if m.path == at {
		return fmt.Sprintf("%s is made by %s, too: give one of them another path", at, by)
	}
	return fmt.Sprintf("%s can't stand beside %s, which is made by %s: give one of them another path", at, m.path, by)
}

// illegal says why no file may be made at a path, or is empty.
func illegal(at string) string {
	if strings.HasPrefix(strings.ToLower(at)+"/", strings.ToLower(model.RuntimeDir)+"/") {
		return fmt.Sprintf("%s is where the runtime is copied to: give it another path", at)
	}
	if slices.Contains(strings.Split(strings.ToLower(at), "/"), ".git") {
		return fmt.Sprintf("%s is git's own: give it another path", at)
	}
	if err := module.CheckFilePath(at); err != nil {
		return fmt.Sprintf("no Go module can hold it: %v", err)
	}
	return ""
}

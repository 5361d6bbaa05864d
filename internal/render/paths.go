package render

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// paths maps the paths of the files that a tree makes, and of their folders, to
// what makes them. The keys are in lower case, because some disks ignore case.
type paths map[string]maker

// maker is what makes a file, or a file below a folder.
type maker struct {
	source  *source
	element model.Element
	path    string // with the maker's capitals
	folder  bool
}

// claim adds the path of the file that a template makes for an element. If there
// can't be such a file, it returns why, else "".
func (p paths) claim(at string, one *source, element model.Element) string {
	if one.file.override { // the model checks the paths of ours
		if text := illegal(at); text != "" {
			return text
		}
	}
	if other, ok := p[strings.ToLower(at)]; ok {
		return other.clash(at)
	}
	for dir := path.Dir(at); dir != "."; dir = path.Dir(dir) {
		key := strings.ToLower(dir)
		if other, ok := p[key]; ok && !other.folder {
			return other.clash(at)
		} else if ok {
			break // the folders that contain it are there, too
		}
		p[key] = maker{one, element, at, true}
	}
	p[strings.ToLower(at)] = maker{one, element, at, false}
	return ""
}

// clash returns the error that the maker already makes a path.
func (m maker) clash(at string) string {
	by := fmt.Sprintf("%s for %s", m.source.file.At, m.element)
	if m.path == at {
		return fmt.Sprintf("%s is made by %s, too: give one of them another path", at, by)
	}
	return fmt.Sprintf("%s can't be beside %s, which is made by %s: give one of them another path", at, m.path, by)
}

// illegal returns why a template must not make a path, or "" if it may.
func illegal(at string) string {
	if strings.HasPrefix(strings.ToLower(at)+"/", strings.ToLower(model.RuntimeDir)+"/") {
		return fmt.Sprintf("%s is where the runtime is copied to: give it another path", at)
	}
	if slices.Contains(strings.Split(strings.ToLower(at), "/"), ".git") {
		return fmt.Sprintf("%s belongs to git: give it another path", at)
	}
	if err := module.CheckFilePath(at); err != nil {
		return fmt.Sprintf("a Go module can't contain this path: %v", err)
	}
	return ""
}

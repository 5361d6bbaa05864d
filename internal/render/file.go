package render

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// File is a template as it stands somewhere.
type File struct {
	Name string // its path in the tree, with slashes
	At   string // what messages call it
	Text string

	house bool // whether it is the user's
}

// ending is that of a template's name.
const ending = ".tmpl"

// Embedded are the templates of a tree of our own.
func Embedded(tree fs.FS) (files []File, err error) {
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ending {
			return err
		}
		text, err := fs.ReadFile(tree, name)
		files = append(files, File{Name: name, At: "built-in " + name, Text: string(text)})
		return err
	})
	return files, err
}

// Read reads the templates in a folder of the user's, links followed. Beside
// the folders of the scopes anything may stand that is no template; in them
// what is none is an error, unless a system or an editor has left it there.
func Read(dir string) ([]File, error) {
	r := reader{dir: dir}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no folder of templates %s", absolute(dir))
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("%s is no folder of templates, but a file", absolute(dir))
	}
	r.folder("", []os.FileInfo{info})
	if len(r.files) == 0 && len(r.errs) == 0 {
		r.errs = append(r.errs, fmt.Errorf("there is no template in %s: want files that end in %s, in folders %s",
			absolute(dir), ending, strings.Join(model.ScopeNames(), ", ")))
	}
	return r.files, errors.Join(r.errs...)
}

// absolute is a path that says where a relative one was looked for.
func absolute(dir string) string {
	if found, err := filepath.Abs(dir); err == nil {
		return found
	}
	return dir
}

// reader reads a folder of templates, and all that is wrong with it.
type reader struct {
	dir   string
	files []File
	errs  []error
}

// folder reads a folder below the reader's; above are itself and those around it.
func (r *reader) folder(name string, above []os.FileInfo) {
	entries, err := os.ReadDir(r.at(name))
	if err != nil {
		r.errs = append(r.errs, err)
		return
	}
	for _, entry := range entries {
		if name == "" && strings.HasPrefix(entry.Name(), ".") {
			continue // .git and the like
		}
		r.entry(path.Join(name, entry.Name()), above)
	}
}

func (r *reader) entry(name string, above []os.FileInfo) {
	info, err := os.Stat(r.at(name))
	if err != nil {
		if path.Ext(name) == ending || inScope(name) {
			r.errs = append(r.errs, err)
		}
		return
	}
	switch {
	case info.IsDir() && slices.ContainsFunc(above, func(other os.FileInfo) bool { return os.SameFile(info, other) }):
		r.complain(name, "this link leads back to a folder that it stands in: take it out")
	case info.IsDir():
		r.folder(name, append(slices.Clip(above), info))
	case path.Ext(name) == ending:
		r.file(name)
	case inScope(name) && !leftOver(path.Base(name)):
		r.complain(name, "this is no template: let its name end in %s, or move it out of the folder %s", ending, scopeOf(name))
	}
}

func (r *reader) file(name string) {
	text, err := os.ReadFile(r.at(name))
	switch {
	case err != nil:
		r.errs = append(r.errs, err)
	case !utf8.Valid(text):
		r.complain(name, "this is no text in UTF-8, and templates make text alone")
	default:
		r.files = append(r.files, File{
			Name:  name,
			At:    path.Join(filepath.ToSlash(r.dir), name),
			Text:  strings.TrimPrefix(string(text), "\ufeff"),
			house: true,
		})
	}
}

func (r *reader) at(name string) string { return filepath.Join(r.dir, filepath.FromSlash(name)) }

func (r *reader) complain(name, format string, args ...any) {
	r.errs = append(r.errs, &Error{At: path.Join(filepath.ToSlash(r.dir), name), Text: fmt.Sprintf(format, args...)})
}

// scopeOf is the first folder of a name, which says the scope.
func scopeOf(name string) string {
	scope, _, _ := strings.Cut(name, "/")
	return scope
}

func inScope(name string) bool { return slices.Contains(model.ScopeNames(), scopeOf(name)) }

// leftOver reports whether a file is one that systems and editors leave behind.
func leftOver(name string) bool { return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") }

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

// File is a template and where it is.
type File struct {
	Name string // its path in the tree, with slashes
	At   string // what messages call it
	Text string

	override bool // whether it is the user's
}

// ending is how the name of a template ends.
const ending = ".tmpl"

// Embedded returns the built-in templates of a tree.
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

// Read reads the templates in a folder of the user's, and follows links. Outside
// the folders of the scopes there may be other files. Inside them a file that is
// not a template is an error, unless it is one that systems and editors leave.
func Read(dir string) ([]File, error) {
	r := reader{dir: dir}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the folder of templates %s does not exist", absolute(dir))
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("%s is a file, not a folder of templates", absolute(dir))
	}
	r.folder("", []os.FileInfo{info})
	if len(r.files) == 0 && len(r.errs) == 0 {
		r.errs = append(r.errs, fmt.Errorf("there is no template in %s: want files that end in %s, in the folders %s",
			absolute(dir), ending, strings.Join(model.ScopeNames(), ", ")))
	}
	return r.files, errors.Join(r.errs...)
}

// absolute returns the absolute path, so that a message says where a relative path
// was looked for.
func absolute(dir string) string {
	if path, err := filepath.Abs(dir); err == nil {
		return path
	}
	return dir
}

// reader reads a folder of templates, and collects all errors.
type reader struct {
	dir   string
	files []File
	errs  []error
}

// folder reads a folder below the reader's. above are the folder and those that
// contain it.
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
		r.complain(name, "this link leads back to a folder that it is in: remove it")
	case info.IsDir():
		r.folder(name, append(slices.Clip(above), info))
	case path.Ext(name) == ending:
		r.file(name)
	case inScope(name) && !ignored(path.Base(name)):
		r.complain(name, "this is not a template: rename it to end in %s, or move it out of the folder %s", ending, scopeOf(name))
	}
}

func (r *reader) file(name string) {
	text, err := os.ReadFile(r.at(name))
	switch {
	case err != nil:
		r.errs = append(r.errs, err)
	case !utf8.Valid(text):
		r.complain(name, "this is not text in UTF-8, and a template must be")
	default:
		r.files = append(r.files, File{
			Name:     name,
			At:       path.Join(filepath.ToSlash(r.dir), name),
			Text:     strings.TrimPrefix(string(text), "\ufeff"),
			override: true,
		})
	}
}

func (r *reader) at(name string) string { return filepath.Join(r.dir, filepath.FromSlash(name)) }

func (r *reader) complain(name, format string, args ...any) {
	r.errs = append(r.errs, &Error{At: path.Join(filepath.ToSlash(r.dir), name), Text: fmt.Sprintf(format, args...)})
}

// scopeOf returns the first folder of a name, which is the scope.
func scopeOf(name string) string {
	scope, _, _ := strings.Cut(name, "/")
	return scope
}

func inScope(name string) bool { return slices.Contains(model.ScopeNames(), scopeOf(name)) }

// ignored reports whether a file is one that systems and editors leave.
func ignored(name string) bool { return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") }

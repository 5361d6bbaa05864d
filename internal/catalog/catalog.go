// Package catalog lists the templates of a module's files, and exports ours for a
// user to start from.
package catalog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/render"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/templates"
)

// Names returns the paths of our templates.
func Names() (names []string, err error) {
	ours, err := render.Embedded(templates.Files)
	for _, file := range ours {
		names = append(names, file.Name)
	}
	return names, err
}

// List prints a line for each template: its scope, the owner of its files, and its
// path. If there is an override folder, the status of the template comes before the
// path.
func List(overrides string, out io.Writer) error {
	ours, err := render.Embedded(templates.Files)
	if err != nil {
		return err
	}
	var theirs []render.File
	if overrides != "" {
		if theirs, err = render.Read(overrides); err != nil {
			return err
		}
	}
	list, err := render.List(ours, theirs)
	if err != nil {
		return err
	}
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, one := range list {
		row := []string{one.Scope, one.Owner, one.Path}
		if overrides != "" {
			row = slices.Insert(row, 2, one.Status)
		}
		fmt.Fprintln(columns, strings.Join(row, "\t"))
	}
	return columns.Flush()
}

// Export writes templates below a folder, those with the given names, or all if
// there are none. It writes none of them if one of the files exists.
func Export(dir string, names []string, out io.Writer) error {
	ours, err := render.Embedded(templates.Files)
	if err != nil {
		return err
	}
	chosen, err := choose(ours, names)
	if err != nil {
		return err
	}
	var existing []string
	for _, file := range chosen {
		at := filepath.Join(dir, filepath.FromSlash(file.Name))
		if _, err := os.Lstat(at); err == nil {
			existing = append(existing, at)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if len(existing) > 0 {
		return fmt.Errorf("nothing was written, because these files exist already:\n\t%s\nmove them away, or name the templates that you want",
			strings.Join(existing, "\n\t"))
	}
	for _, file := range chosen {
		at := filepath.Join(dir, filepath.FromSlash(file.Name))
		if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(at, []byte(file.Text), 0o666); err != nil {
			return err
		}
		fmt.Fprintln(out, at)
	}
	return nil
}

// choose returns the files with the given names, or all files if there are none.
func choose(files []render.File, names []string) ([]render.File, error) {
	if len(names) == 0 {
		return files, nil
	}
	var chosen []render.File
	var errs []error
	for _, name := range names {
		i := slices.IndexFunc(files, func(f render.File) bool { return f.Name == filepath.ToSlash(name) })
		if i < 0 {
			errs = append(errs, fmt.Errorf("there is no template %s: protoc-gen-receiver templates --list prints those that exist", name))
			continue
		}
		chosen = append(chosen, files[i])
	}
	return chosen, errors.Join(errs...)
}

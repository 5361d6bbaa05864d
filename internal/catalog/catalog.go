// Package catalog is the command templates: it lists the templates that make a
// module's files, and writes ours out for a user to start from.
package catalog

import (
	"errors"
	"flag"
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

// Usage is the help of the command templates.
const Usage = `Usage: protoc-gen-receiver templates --list [--templates DIR]
       protoc-gen-receiver templates --export DIR [TEMPLATE ...]

--list names each template by its path, with its scope (what it is executed
for) and whose the file is that it makes. --export writes ours below a folder,
all of them or those that are named; where one of them stands already, nothing
is written. Keep those that you change: the others follow new versions.

With the option templates=DIR a folder's templates are laid over ours: the same
path replaces, a new path adds, and one that holds nothing makes no file. What
they can use is told in docs/templates.md.

Flags:
  --list            list templates
  --templates DIR   list those of a folder, too, and what they replace
  --export DIR      write our templates out
`

// Run runs the command templates. The error is [flag.ErrHelp] if help was asked
// for.
func Run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("templates", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	list := flags.Bool("list", false, "")
	house := flags.String("templates", "", "")
	export := flags.String("export", "", "")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return fmt.Errorf("%w (see protoc-gen-receiver help templates)", err)
	}
	ours, err := render.Embedded(templates.Files)
	if err != nil {
		return err
	}
	switch {
	case *list && *export == "" && flags.NArg() == 0:
		return writeList(ours, *house, out)
	case *export != "" && !*list && *house == "":
		return writeOut(ours, *export, flags.Args(), out)
	}
	return errors.New("templates wants either --list, with or without --templates DIR, or --export DIR (see protoc-gen-receiver help templates)")
}

// writeList writes a line for each template: its scope, whose file it makes, and
// its path; before that, if there are templates of a user, what they have to do
// with it.
func writeList(ours []render.File, house string, out io.Writer) error {
	var theirs []render.File
	if house != "" {
		var err error
		if theirs, err = render.Read(house); err != nil {
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
		if house != "" {
			row = slices.Insert(row, 2, one.Standing)
		}
		fmt.Fprintln(columns, strings.Join(row, "\t"))
	}
	return columns.Flush()
}

// writeOut writes templates below a folder: all, or none if something stands in
// the place of one.
func writeOut(ours []render.File, dir string, names []string, out io.Writer) error {
	chosen, err := choose(ours, names)
	if err != nil {
		return err
	}
	var standing []string
	for _, file := range chosen {
		at := filepath.Join(dir, filepath.FromSlash(file.Name))
		if _, err := os.Lstat(at); err == nil {
			standing = append(standing, at)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if len(standing) > 0 {
		return fmt.Errorf("nothing was written, as there are files already:\n\t%s\nmove them out of the way, or name the templates that you want",
			strings.Join(standing, "\n\t"))
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

// choose are the files of some names, or all if none are named.
func choose(files []render.File, names []string) ([]render.File, error) {
	if len(names) == 0 {
		return files, nil
	}
	var chosen []render.File
	var errs []error
	for _, name := range names {
		i := slices.IndexFunc(files, func(f render.File) bool { return f.Name == filepath.ToSlash(name) })
		if i < 0 {
			errs = append(errs, fmt.Errorf("there is no template %s: protoc-gen-receiver templates --list names those there are", name))
			continue
		}
		chosen = append(chosen, files[i])
	}
	return chosen, errors.Join(errs...)
}

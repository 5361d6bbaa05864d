// Package catalog is the command templates, which lists the templates of a
// module's files and exports ours for a user to start from.
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

--list prints the path of each template, its scope (what it is executed for) and
the owner of the files that it makes. --export writes our templates below a
folder, all of them or the named ones. If one of the files exists already,
nothing is written. Keep only those that you change, because the built-in ones
are updated with new versions.

With the option templates=DIR the templates of a folder override ours: one at the
same path replaces ours, one at a new path adds a file, and an empty one makes no
file. docs/templates.md describes what they can use.

Flags:
  --list            list templates
  --templates DIR   also list those of a folder, and what they replace
  --export DIR      write our templates to a folder
`

// Run runs the command templates. The error is [flag.ErrHelp] if args ask for help.
func Run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("templates", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	list := flags.Bool("list", false, "")
	overrides := flags.String("templates", "", "")
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
		return printList(ours, *overrides, out)
	case *export != "" && !*list && *overrides == "":
		return exportTo(*export, ours, flags.Args(), out)
	}
	return errors.New("templates wants either --list, with or without --templates DIR, or --export DIR (see protoc-gen-receiver help templates)")
}

// printList prints a line for each template: its scope, the owner of its files, and
// its path. If there is an override folder, the status of the template comes before
// the path.
func printList(ours []render.File, overrides string, out io.Writer) error {
	var theirs []render.File
	if overrides != "" {
		var err error
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

// exportTo writes templates below a folder. It writes none of them if one of the
// files exists.
func exportTo(dir string, ours []render.File, names []string, out io.Writer) error {
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

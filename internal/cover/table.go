package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"text/tabwriter"
)

// enough is the share of a file's statements, in percent, that needs no reason.
const enough = 85

// file is a file, by its path in the repository, and how many of its statements are run.
type file struct {
	path            string
	run, statements int
}

// percent returns the share that is run. A file without statements has all of them run.
func (f file) percent() float64 {
	if f.statements == 0 {
		return 100
	}
	return 100 * float64(f.run) / float64(f.statements)
}

// count returns the files of a profile, package by package.
func count(profile []byte, module string) ([]file, error) {
	files := map[string]file{}
	for line := range strings.Lines(string(profile)) {
		if strings.HasPrefix(line, "mode: ") {
			continue
		}
		// The line is FILE:LINE.COLUMN,LINE.COLUMN STATEMENTS COUNT.
		at, block, ok := strings.Cut(line, ":")
		var place string
		var statements, times int
		if _, err := fmt.Sscan(block, &place, &statements, &times); err != nil || !ok {
			return nil, fmt.Errorf("a profile has the line %q: %w", line, err)
		}
		f := files[at]
		f.path = strings.TrimPrefix(at, module)
		f.statements += statements
		if times > 0 {
			f.run += statements
		}
		files[at] = f
	}
	return slices.SortedFunc(maps.Values(files), func(a, b file) int {
		return cmp.Or(cmp.Compare(path.Dir(a.path), path.Dir(b.path)), cmp.Compare(a.path, b.path))
	}), nil
}

// parseReasons returns the reasons by the paths of files. Each is a line of a path, a
// colon and the reason; lines that begin with # are comments.
func parseReasons(text string) (map[string]string, error) {
	reasons := map[string]string{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		at, reason, _ := strings.Cut(line, ": ")
		if strings.TrimSpace(reason) == "" || reasons[at] != "" {
			return nil, fmt.Errorf("%s:%d: want FILE: REASON, and one line for each file", reasonsFile, n)
		}
		reasons[at] = reason
	}
	return reasons, nil
}

// show prints the packages, and the files that need a reason.
func show(out io.Writer, files []file, reasons map[string]string) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "run\tstatements\t  package")
	row := func(f file) { fmt.Fprintf(table, "%.1f %%\t%d\t  %s\n", f.percent(), f.statements, f.path) }
	all := file{path: "all"}
	for from := 0; from < len(files); {
		pkg := file{path: path.Dir(files[from].path)}
		for ; from < len(files) && path.Dir(files[from].path) == pkg.path; from++ {
			pkg.run += files[from].run
			pkg.statements += files[from].statements
		}
		row(pkg)
		all.run += pkg.run
		all.statements += pkg.statements
	}
	row(all)
	table.Flush()
	fmt.Fprintf(out, "\nLess than %d %% is run of:\n", enough)
	for _, f := range files {
		if f.percent() < enough {
			fmt.Fprintf(out, "  %s, %.1f %% of %d: %s\n", f.path, f.percent(), f.statements, cmp.Or(reasons[f.path], "no reason"))
		}
	}
}

// check returns an error for each file that lacks a reason, and for each reason that is
// not needed.
func check(files []file, reasons map[string]string) error {
	var wrong []error
	needed := map[string]bool{}
	for _, f := range files {
		needed[f.path] = f.percent() < enough
		if needed[f.path] && reasons[f.path] == "" {
			wrong = append(wrong, fmt.Errorf("the tests run %.1f %% of %s: test more of it, or write in %s why not", f.percent(), f.path, reasonsFile))
		}
	}
	for at := range reasons {
		if !needed[at] {
			wrong = append(wrong, fmt.Errorf("%s: %s needs no reason any longer: delete its line", reasonsFile, at))
		}
	}
	slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(wrong...)
}

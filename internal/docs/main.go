//go:build unix

// Command docs runs the documents of this repository as a reader would: from top to
// bottom, in a fresh folder for each page, and fails if a command does, if one prints
// something else than the page shows, or if code does not build. It prints what it ran
// on each page, and what it did not run, with the reason.
//
// With arguments it runs these pages alone. CONTRIBUTING.md says what a block says
// about itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	failed, err := runPages(ctx, ".", os.Args[1:], os.Stdout)
	stop()
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d pages are wrong", failed)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
}

// runPages runs pages of a repository, or all, and prints the results. It returns how
// many pages are wrong.
func runPages(ctx context.Context, repository string, names []string, out io.Writer) (failed int, err error) {
	if repository, err = filepath.Abs(repository); err != nil {
		return 0, err
	}
	if len(names) == 0 {
		if names, err = pages(repository); err != nil {
			return 0, err
		}
	}
	var chosen []*page
	for _, name := range names {
		p, problems := read(repository, name)
		if len(problems) > 0 {
			failed++
			for _, problem := range problems {
				fmt.Fprintln(out, problem)
			}
		}
		chosen = append(chosen, p)
	}
	if failed > 0 {
		return failed, nil
	}
	m, closing, err := newMachine(repository, limit)
	if err != nil {
		return 0, err
	}
	m.beginnings = beginningsOf(chosen)
	var results []result
	for _, p := range chosen {
		r, err := m.run(ctx, p)
		if ctx.Err() != nil {
			return 0, errors.Join(ctx.Err(), closing())
		}
		if err != nil {
			failed++
			fmt.Fprintf(out, "%v\n\n", err)
		}
		results = append(results, r)
	}
	show(out, results)
	return failed, closing()
}

// show prints a table of results, and what was not run.
func show(out io.Writer, results []result) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "blocks\tcommands\toutputs compared\tgo\tproto\tyaml\tother\tnot run\tseconds\t  page")
	total := result{page: "all", written: map[string]int{}}
	row := func(r result) {
		other := 0
		for _, n := range r.written {
			other += n
		}
		other -= r.written["go"] + r.written["proto"] + r.written["yaml"]
		fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.0f\t  %s\n", r.blocks, r.commands, r.compared,
			r.written["go"], r.written["proto"], r.written["yaml"], other, len(r.skips), r.took.Seconds(), r.page)
	}
	for _, r := range results {
		row(r)
		total.blocks += r.blocks
		total.commands += r.commands
		total.compared += r.compared
		total.took += r.took.Round(time.Millisecond)
		total.skips = append(total.skips, r.skips...)
		for language, n := range r.written {
			total.written[language] += n
		}
	}
	row(total)
	table.Flush()
	if len(total.skips) > 0 {
		fmt.Fprintln(out, "\nnot run:")
		for _, skip := range total.skips {
			fmt.Fprintln(out, "  "+skip)
		}
	}
}

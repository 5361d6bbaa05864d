package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// lines is how many lines of a failure's text are printed.
const lines = 12

// print prints the results: the table, the failures, the RPCs that take events,
// and what is left out.
func print(out io.Writer, results []*Result) {
	fmt.Fprint(out, table(rows(results)))
	for _, result := range results {
		for _, failure := range result.Failures {
			fmt.Fprintf(out, "\nFAIL %s: %s %s\n", result.Module.Name, failure.Step, failure.Package)
			if len(failure.Services) > 0 {
				fmt.Fprintf(out, "  of %s\n", strings.Join(failure.Services, ", "))
			}
			fmt.Fprintln(out, indent(failure.Text))
		}
	}
	fmt.Fprintf(out, "\nRecognised as taking events:\n")
	for _, result := range results {
		for _, service := range result.Services {
			for _, rpc := range service.RPCs {
				if rpc.Events != "" {
					fmt.Fprintf(out, "  %s: %s/%s by %s\n", result.Module.Name, service.Name, rpc.Name, rpc.Events)
				}
			}
		}
	}
	fmt.Fprintf(out, "\nLeft out:\n")
	for _, exclusion := range exclusions {
		fmt.Fprintf(out, "  %s: %s\n", exclusion.What, exclusion.Reason)
	}
}

// rows returns the rows of the table: a heading, one for each module, and the sums.
func rows(results []*Result) [][]string {
	all := [][]string{{"module", "version", "services", "RPCs", "streaming", "events", "built", "started", "vetted", "tested", "tests passed", "time"}}
	sum := make([]int, 9)
	var took time.Duration
	for _, r := range results {
		tests := 0
		for _, service := range r.Services {
			tests += service.TestsCounted
		}
		numbers := []int{
			len(r.Services),
			r.rpcs(func(RPC) bool { return true }),
			r.rpcs(func(rpc RPC) bool { return rpc.Streaming }),
			r.rpcs(func(rpc RPC) bool { return rpc.Events != "" }),
			r.count(func(s *Service) bool { return s.Built }),
			r.count(func(s *Service) bool { return s.Started }),
			r.count(func(s *Service) bool { return s.Vetted }),
			r.count(func(s *Service) bool { return s.TestsPassed }),
			tests,
		}
		for i, n := range numbers {
			sum[i] += n
		}
		took += r.Took
		all = append(all, row(r.Module.Path, r.Module.Version, numbers, r.Took))
	}
	return append(all, row(fmt.Sprintf("%d modules", len(results)), "", sum, took))
}

func row(name, version string, numbers []int, took time.Duration) []string {
	cells := []string{name, version}
	for _, n := range numbers {
		cells = append(cells, fmt.Sprint(n))
	}
	return append(cells, took.Round(time.Second).String())
}

// table returns rows as a Markdown table whose columns are also aligned as plain text:
// the first two to the left, the others, which are numbers, to the right.
func table(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for i, row := range rows {
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < 2 {
				fmt.Fprintf(&b, "| %s%s ", cell, pad)
			} else {
				fmt.Fprintf(&b, "| %s%s ", pad, cell)
			}
		}
		b.WriteString("|\n")
		if i == 0 {
			for i, width := range widths {
				rule := strings.Repeat("-", width)
				if i >= 2 {
					rule = rule[1:] + ":"
				}
				fmt.Fprintf(&b, "| %s ", rule)
			}
			b.WriteString("|\n")
		}
	}
	return b.String()
}

// indent returns the first lines of a text, indented.
func indent(text string) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	if len(all) > lines {
		all = append(all[:lines], fmt.Sprintf("… and %d more lines", len(all)-lines))
	}
	return "    " + strings.Join(all, "\n    ")
}

// Command strangers runs the tests of what was reported by those who tried this
// project without knowing it: what they did, what came of it, and what comes of
// it now. It prints a table, and fails if any of these tests fails or is missing.
//
// With arguments it runs the reports whose text contains one of them. Long tests are
// sampled, as by make test; make test-all runs the whole of them.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// report is a fault that was reported, and the test that fails if it comes back.
type report struct {
	what   string // they did
	before string // what came of it
	now    string // what comes of it
	pkg    string // of the test, below the repository
	test   string // its name, perhaps with a slash and the name of a subtest
}

func main() {
	chosen := choose(reports, os.Args[1:])
	if len(chosen) == 0 {
		fmt.Fprintln(os.Stderr, "strangers: no report contains any of these words")
		os.Exit(1)
	}
	results, err := run(chosen)
	if err != nil {
		fmt.Fprintln(os.Stderr, "strangers:", err)
		os.Exit(1)
	}
	if failed := show(os.Stdout, chosen, results); failed > 0 {
		fmt.Fprintf(os.Stderr, "strangers: %d of %d reports are not mended\n", failed, len(chosen))
		os.Exit(1)
	}
}

// choose returns the reports that contain one of some words, or all without words.
func choose(all []report, words []string) (chosen []report) {
	for _, r := range all {
		text := strings.ToLower(strings.Join([]string{r.what, r.before, r.now, r.pkg, r.test}, " "))
		contains := func(word string) bool { return strings.Contains(text, strings.ToLower(word)) }
		if len(words) == 0 || slices.ContainsFunc(words, contains) {
			chosen = append(chosen, r)
		}
	}
	return chosen
}

// run runs the tests of reports, package by package, and returns how each ended: by
// package and name, as pass, fail or skip.
func run(reports []report) (results map[string]string, err error) {
	tests := map[string][]string{} // the functions, by package
	for _, r := range reports {
		function, _, _ := strings.Cut(r.test, "/")
		if !slices.Contains(tests[r.pkg], function) {
			tests[r.pkg] = append(tests[r.pkg], function)
		}
	}
	results = map[string]string{}
	packages := make([]string, 0, len(tests))
	for pkg := range tests {
		packages = append(packages, pkg)
	}
	slices.Sort(packages)
	for _, pkg := range packages {
		if err := runPackage(pkg, tests[pkg], results); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// runPackage runs tests of a package, and adds how each ended.
func runPackage(pkg string, tests []string, results map[string]string) error {
	command := exec.Command("go", "test", "-json", "-short", "-count=1", "-vet=off", "-run", "^("+strings.Join(tests, "|")+")$", ".")
	command.Dir = pkg // which may be in a module of its own
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	var said []string // by the tests, shown if one fails
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var event struct{ Action, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &event) != nil {
			continue
		}
		switch event.Action {
		case "pass", "fail", "skip":
			results[pkg+" "+event.Test] = event.Action
		case "output", "build-output":
			said = append(said, event.Output)
		}
	}
	if err := command.Wait(); err != nil {
		fmt.Fprint(os.Stderr, strings.Join(said, ""))
	}
	return lines.Err()
}

// show prints the reports and how their tests ended, as a table in Markdown. It returns
// how many did not pass.
func show(to io.Writer, reports []report, results map[string]string) (failed int) {
	fmt.Fprintln(to, "| what | before | now | test | |\n|---|---|---|---|---|")
	for _, r := range reports {
		result := cmp.Or(results[r.pkg+" "+strings.ReplaceAll(r.test, " ", "_")], "there is no such test")
		if result != "pass" {
			failed++
		}
		fmt.Fprintf(to, "| %s | %s | %s | %s %s | %s |\n", r.what, r.before, r.now, r.pkg, r.test, result)
	}
	fmt.Fprintf(to, "\n%d of %d are mended\n", len(reports)-failed, len(reports))
	return failed
}

//go:build unix

package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// toolLog is the environment variable with the file to which each tool that the Go
// command runs (compile, link, vet, …) is added. The Go command runs them through this
// program, with -toolexec.
const toolLog = "FIRSTRUN_TOOLS"

// A toolRun is one run of a tool of the Go command.
type toolRun struct {
	Tool       string
	Package    string
	Start, End time.Time
}

// runTool runs a tool with its arguments, and adds it to the log. It returns the exit
// code of the tool.
func runTool(log string, args []string) int {
	command := exec.Command(args[0], args[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	start := time.Now()
	err := command.Run()
	line, _ := json.Marshal(toolRun{filepath.Base(args[0]), os.Getenv("TOOLEXEC_IMPORTPATH"), start, time.Now()})
	// A line that is not written makes a figure wrong, and must not fail a build.
	if file, openErr := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); openErr == nil {
		_, _ = file.Write(append(line, '\n'))
		_ = file.Close()
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	} else if err != nil {
		return 1
	}
	return 0
}

// readTools returns the runs in a log that began between two times.
func readTools(log string, from, to time.Time) ([]toolRun, error) {
	file, err := os.Open(log)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer file.Close()
	var runs []toolRun
	for lines := json.NewDecoder(file); lines.More(); {
		var run toolRun
		if err := lines.Decode(&run); err != nil {
			return nil, err
		}
		if !run.Start.Before(from) && run.Start.Before(to) {
			runs = append(runs, run)
		}
	}
	return runs, nil
}

// what returns what the tool does.
func (r toolRun) what() string {
	switch r.Tool {
	case "link", "vet":
		return r.Tool
	}
	return "compile"
}

// share divides the time between from and to among the runs: of each moment, all runs
// that go on then get the same share. It returns what each of them got, and what is left
// when none goes on.
func share(runs []toolRun, from, to time.Time) (shares []time.Duration, rest time.Duration) {
	type change struct {
		at    time.Time
		index int
		ends  bool
	}
	var changes []change
	for i, run := range runs {
		end := run.End
		if end.After(to) {
			end = to
		}
		changes = append(changes, change{run.Start, i, false}, change{end, i, true})
	}
	slices.SortStableFunc(changes, func(a, b change) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.index, b.index))
	})
	shares = make([]time.Duration, len(runs))
	going := map[int]bool{}
	last := from
	for _, c := range changes {
		passed := c.at.Sub(last)
		if len(going) == 0 {
			rest += passed
		}
		for i := range going {
			shares[i] += passed / time.Duration(len(going))
		}
		last = c.at
		if c.ends {
			delete(going, c.index)
		} else {
			going[c.index] = true
		}
	}
	return shares, rest + to.Sub(last)
}

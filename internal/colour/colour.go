// Package colour colours what a person reads on a terminal, and only there. Of the
// libraries for this the smallest is larger than what is used: four codes of
// ECMA-48, which every terminal knows.
package colour

import (
	"io"
	"os"
	"regexp"
	"runtime"
	"strings"

	"golang.org/x/term"
)

const (
	bold   = "\x1b[1m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	cyan   = "\x1b[36m"
	reset  = "\x1b[0m"
)

// Wanted reports whether a file is a terminal whose user has not declined colour: by
// NO_COLOR (no-color.org), TERM=dumb, or CI, whose terminals are logs. Nothing forces
// colour upon a pipe or a file, not even CLICOLOR_FORCE. On Windows it has to be Windows
// Terminal: older consoles print the codes.
func Wanted(file *os.File, getenv func(string) string) bool {
	switch {
	case getenv("NO_COLOR") != "", getenv("TERM") == "dumb", getenv("CI") != "":
		return false
	case runtime.GOOS == "windows" && getenv("WT_SESSION") == "":
		return false
	}
	return term.IsTerminal(int(file.Fd()))
}

// Lines returns a writer that changes each line that is written, and writes it to
// another. Each Write has to end with the end of a line.
func Lines(to io.Writer, change func(line string) string) io.Writer {
	return writer{to, change}
}

type writer struct {
	to     io.Writer
	change func(string) string
}

func (w writer) Write(p []byte) (int, error) {
	var text strings.Builder
	for line := range strings.Lines(string(p)) {
		content, ended := strings.CutSuffix(line, "\n")
		text.WriteString(w.change(content))
		if ended {
			text.WriteString("\n")
		}
	}
	if _, err := io.WriteString(w.to, text.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// place matches where in a file something is, at the beginning of a line or after the
// name of the program that prints it.
var place = regexp.MustCompile(`^(\S+: )?\s*([^\s:]+:\d+(?::\d+|-\d+)?):`)

// Warning colours a line that a program prints though nothing is wrong: the name of
// the program, and the place that the line is about.
func Warning(line string) string { return report(line, yellow) }

// Error colours a line of an error in the same way.
func Error(line string) string { return report(line, red) }

func report(line, code string) string {
	if at := place.FindStringSubmatchIndex(line); at != nil {
		line = line[:at[4]] + bold + line[at[4]:at[5]] + reset + line[at[5]:]
	}
	if rest, ok := strings.CutPrefix(line, program); ok {
		line = code + program + reset + rest
	}
	return line
}

const program = "protoc-gen-receiver:"

// Diff colours a line of a unified diff, and no other.
func Diff(line string) string {
	var code string
	switch {
	case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "):
		code = bold
	case strings.HasPrefix(line, "@@"):
		code = cyan
	case strings.HasPrefix(line, "+"):
		code = green
	case strings.HasPrefix(line, "-"):
		code = red
	default:
		return line
	}
	return code + line + reset
}

// Package report orders what a run prints though nothing is wrong: by cause, and what
// has to be done last, where it doesn't scroll past.
package report

import (
	"cmp"
	"fmt"
	"slices"
)

// Line is something for the user to read. It may go on in further lines that begin
// with a tab.
type Line struct {
	Kind Kind
	Text string
}

// Kind is why a line is printed. Kinds are in the order in which they are printed.
type Kind int

const (
	Done       Kind = iota // what the run did beside writing files
	Kept                   // files that were not written
	Gone                   // what is no longer generated
	NotCalled              // code of the user that nothing calls
	NoEvents               // RPCs that take no events, or not all of what is sent
	NotRead                // stored events that are no longer read
	Misread                // stored events that are read as what they were not
	NotServed              // services that are not served, and consumers that do not run
	Messages               // files of protoc-gen-go and protoc-gen-go-grpc that break the build
	GoMod                  // what go.mod lacks for the build
	NotFitting             // code of the user that no longer builds
	Steps                  // what leads the user's code to the events: the first line is their heading
)

// kinds has the heading of each kind, and what the line says that replaces all after
// the first of them.
var kinds = map[Kind]struct{ heading, rest string }{
	Done:       {"done:", ""},
	Kept:       {"left as they are, because of what is yours:", ""},
	Gone:       {"no longer generated:", untilDone + ", and protoc-gen-receiver generate deletes them"},
	NotCalled:  {"methods that no RPC calls:", untilDone},
	NoEvents:   {"RPCs that take no events, or not all that is sent; comments change that:", ": protoc-gen-receiver explain has all of them"},
	NotRead:    {"stored events that are not read:", untilDone},
	Misread:    {"stored events that would be misread:", untilDone},
	NotServed:  {"for the server to serve all there is:", untilDone},
	Messages:   {"for the build, files of protoc-gen-go and protoc-gen-go-grpc:", untilDone},
	GoMod:      {"for the build, go.mod:", untilDone},
	NotFitting: {"for the build, code of yours that does not fit the protos or the runtime:", untilDone},
}

const untilDone = ": the next run prints them when these are done"

// most is how many lines of one kind are printed.
const most = 10

// Of returns lines of one kind.
func Of(kind Kind, texts ...string) []Line {
	lines := make([]Line, len(texts))
	for i, text := range texts {
		lines[i] = Line{kind, text}
	}
	return lines
}

// Texts returns what to print of lines: grouped by kind, with a heading above several
// of one kind and their number in place of those after the tenth.
func Texts(lines []Line) (texts []string) {
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b Line) int { return cmp.Compare(a.Kind, b.Kind) })
	for len(lines) > 0 {
		kind := lines[0].Kind
		n := slices.IndexFunc(lines, func(line Line) bool { return line.Kind != kind })
		if n < 0 {
			n = len(lines)
		}
		texts = append(texts, group(kind, lines[:n])...)
		lines = lines[n:]
	}
	return texts
}

// group returns what to print of the lines of one kind.
func group(kind Kind, lines []Line) (texts []string) {
	indent := ""
	if of := kinds[kind]; of.heading != "" && len(lines) > 1 {
		texts, indent = append(texts, of.heading), "  "
		if more := len(lines) - most; more > 1 { // a single one takes as much room as its number
			defer func() { texts = append(texts, fmt.Sprintf("%sand %d more%s", indent, more, of.rest)) }()
			lines = lines[:most]
		}
	}
	for _, line := range lines {
		texts = append(texts, indent+line.Text)
	}
	return texts
}

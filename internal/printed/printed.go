// Package printed does literally what the program prints, and nothing else, as somebody
// would who does not know it. What it can't do is not written for people either.
package printed

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// place matches where a step is, and what it asks for.
var place = regexp.MustCompile(`^protoc-gen-receiver: ([^ :]+):(\d+)(?:-(\d+))?: .*; (replace these lines with:|replace this line with:|add below this line:|add above this line:|delete this line)$`)

// Steps does the steps in text, which the program printed about the module in dir. It
// passes commands to run. It returns how many steps there were.
func Steps(dir, text string, run func(command string) error) (steps int, err error) {
	all := strings.Split(text, "\n")
	for i := 0; i < len(all); {
		line := all[i]
		var code []string
		for i++; i < len(all) && strings.HasPrefix(all[i], "\t"); i++ {
			code = append(code, all[i][1:])
		}
		if strings.HasSuffix(line, "; run:") {
			if err := run(strings.Join(code, "\n")); err != nil {
				return steps, err
			}
			steps++
			continue
		}
		parts := place.FindStringSubmatch(line)
		if parts == nil {
			if len(code) > 0 {
				return steps, fmt.Errorf("no step begins with %q", line)
			}
			continue
		}
		steps++
		first, _ := strconv.Atoi(parts[2])
		last, _ := strconv.Atoi(parts[3])
		last = max(first, last)
		err := edit(filepath.Join(dir, parts[1]), last, func(lines []string) []string {
			switch parts[4] {
			case "add below this line:":
				return slices.Insert(lines, first, code...)
			case "add above this line:":
				return slices.Insert(lines, first-1, code...)
			}
			return slices.Replace(lines, first-1, last, code...)
		})
		if err != nil {
			return steps, err
		}
	}
	return steps, nil
}

// advice matches a comment that is to be written above an element of a proto.
var advice = regexp.MustCompile(`(// receiver:[^ ]+) above [a-z]+ [^ ]+ \(([^ :]+):(\d+):\d+\)`)

// A Comment is a line that a text advises to write into a proto.
type Comment struct {
	Text string // such as // receiver:event
	File string
	Line int // above which it is to be
}

// Comments writes the comments into the protos in dir that text advises to write there.
// It returns them in the order of the file, each once.
func Comments(dir, text string) ([]Comment, error) {
	var comments []Comment
	for _, parts := range advice.FindAllStringSubmatch(text, -1) {
		line, err := strconv.Atoi(parts[3])
		if err != nil {
			return nil, err
		}
		comments = append(comments, Comment{parts[1], parts[2], line})
	}
	slices.SortFunc(comments, func(a, b Comment) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Text, b.Text))
	})
	comments = slices.Compact(comments)
	for _, comment := range slices.Backward(comments) { // the lines above keep their numbers
		err := edit(filepath.Join(dir, comment.File), comment.Line, func(lines []string) []string {
			below := lines[comment.Line-1]
			indent := below[:len(below)-len(strings.TrimLeft(below, " \t"))]
			return slices.Insert(lines, comment.Line-1, indent+comment.Text)
		})
		if err != nil {
			return nil, err
		}
	}
	return comments, nil
}

// Next returns the commands that the text ends with when the program has made a module.
func Next(text string) (commands []string) {
	_, next, _ := strings.Cut(text, "\nNext:\n")
	for line := range strings.Lines(next) {
		if command, ok := strings.CutPrefix(line, "  "); ok {
			command, _, _ = strings.Cut(command, "   #") // what it is for
			commands = append(commands, strings.TrimSpace(command))
		}
	}
	return commands
}

// edit changes the lines of a file, which must have at least so many.
func edit(path string, least int, change func(lines []string) []string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	if least < 1 || least > len(lines) {
		return fmt.Errorf("%s has no line %d", path, least)
	}
	return os.WriteFile(path, []byte(strings.Join(change(lines), "\n")), 0o644)
}

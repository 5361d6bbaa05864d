package main

import (
	"regexp"
	"strings"
)

// A step is a command of a console block, and what it should print.
type step struct {
	line     int // of the page
	command  string
	expected []string // none: anything
}

// steps reads a console block: the lines after "$ " are commands, those after "> "
// continue one, all others are what it prints.
func (b *block) steps() (steps []step, err error) {
	for i, line := range b.lines {
		command, isCommand := strings.CutPrefix(line, "$ ")
		more, isMore := strings.CutPrefix(line, "> ")
		switch last := len(steps) - 1; {
		case isCommand:
			steps = append(steps, step{line: b.first + i, command: command})
		case last < 0:
			return nil, b.errorf("a console block begins with a command, after \"$ \"")
		case isMore && len(steps[last].expected) == 0:
			steps[last].command += "\n" + more
		default:
			steps[last].expected = append(steps[last].expected, line)
		}
	}
	if len(steps) == 0 {
		return nil, b.errorf("a console block without a command")
	}
	return steps, nil
}

// matches reports whether what was printed is as expected, where … is
// anything in a line, and any lines where it is all of one. With open, more may
// follow.
func matches(expected []string, printed string, open bool) bool {
	var pattern strings.Builder
	pattern.WriteString(`\A`)
	for _, line := range expected {
		line = strings.TrimRight(line, " ")
		if line == "…" {
			pattern.WriteString(`(?:.*\n)*?`)
			continue
		}
		parts := strings.Split(line, "…")
		for i, part := range parts {
			parts[i] = regexp.QuoteMeta(part)
		}
		pattern.WriteString(strings.Join(parts, ".*") + " *\n")
	}
	if !open {
		pattern.WriteString(`\n*\z`)
	}
	printed = strings.ReplaceAll(printed, "\r\n", "\n")
	if printed != "" && !strings.HasSuffix(printed, "\n") && !open {
		printed += "\n"
	}
	return regexp.MustCompile(pattern.String()).MatchString(printed)
}

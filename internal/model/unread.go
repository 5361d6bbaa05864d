package model

import (
	"strings"

	"google.golang.org/protobuf/types/descriptorpb"
)

// Unread complains about comments in the text of a proto that are meant for this
// plugin, but belong to no element, as after a closing brace. Compilers leave them out
// of what they pass to plugins.
func Unread(file *descriptorpb.FileDescriptorProto, text string) error {
	read := map[string]int{} // how often each line is passed on
	for _, location := range file.GetSourceCodeInfo().GetLocation() {
		comments := append(location.GetLeadingDetachedComments(), location.GetLeadingComments(), location.GetTrailingComments())
		for _, line := range meantForUs(strings.Join(comments, "\n")) {
			read[line.written()]++
		}
	}
	unread := map[string][]writtenComment{}
	var lines []string // in their order
	for _, comment := range commentsIn(text) {
		for i, text := range strings.Split(comment.text, "\n") {
			for _, line := range meantForUs(text) {
				if unread[line.written()] == nil {
					lines = append(lines, line.written())
				}
				unread[line.written()] = append(unread[line.written()], writtenComment{text, comment.line + i, comment.column, comment.closes})
			}
		}
	}
	var complaints Complaints
	for _, line := range lines {
		all := unread[line]
		for range len(all) - read[line] {
			at := len(all) - 1
			for i, one := range all {
				if one.closes {
					at = i
					break
				}
			}
			complaints.put(Complaint{File: file.GetName(), Line: all[at].line, Column: all[at].column},
				"the comment %s is attached to nothing: write it on a line of its own, directly above a message, a field or an rpc", line)
			all = append(all[:at:at], all[at+1:]...)
		}
	}
	return complaints.err()
}

// written returns a line as it is in the proto.
func (l line) written() string {
	if l.wrong != "" {
		return l.wrong
	}
	return prefix + l.text
}

// writtenComment is a comment in the text of a proto, without what marks it as one.
type writtenComment struct {
	text         string
	line, column int  // from 1
	closes       bool // whether it follows a closing brace on its line
}

// commentsIn returns the comments in the text of a proto that compiles.
func commentsIn(text string) (all []writtenComment) {
	line, begin := 1, 0 // of the line
	last := byte('\n')  // on the line, that is not a space
	for i := 0; i < len(text); {
		end := i + 1
		switch rest := text[i:]; {
		case strings.HasPrefix(rest, "//"):
			end = i + len(rest)
			if n := strings.IndexByte(rest, '\n'); n >= 0 {
				end = i + n
			}
			all = append(all, writtenComment{text[i+2 : end], line, i - begin + 1, last == '}'})
		case strings.HasPrefix(rest, "/*"):
			end = i + len(rest)
			if n := strings.Index(rest[2:], "*/"); n >= 0 {
				end = i + 2 + n + 2
			}
			inner := strings.TrimSuffix(text[i+2:end], "*/")
			all = append(all, writtenComment{withoutStars(inner), line, i - begin + 1, last == '}'})
		case rest[0] == '"' || rest[0] == '\'':
			for end < len(text) && text[end] != rest[0] && text[end] != '\n' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end+1, len(text))
			last = rest[0]
		case rest[0] != ' ' && rest[0] != '\t' && rest[0] != '\r' && rest[0] != '\n':
			last = rest[0]
		}
		for ; i < end; i++ {
			if text[i] == '\n' {
				line, begin, last = line+1, i+1, '\n'
			}
		}
	}
	return all
}

// withoutStars removes the stars with which the lines of a block begin.
func withoutStars(block string) string {
	lines := strings.Split(block, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(strings.TrimSpace(lines[i]), "*")
	}
	return strings.Join(lines, "\n")
}

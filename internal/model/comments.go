package model

import (
	"cmp"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// prefix begins a line of a comment that is meant for this plugin.
const prefix = "receiver:"

// The directives that are allowed, by what they are above.
var (
	onMethod  = []string{"event", "plain", "tail"}
	onMessage = []string{"event", "plain"}
	onField   = []string{"id", "source", "type", "subject", "time", "time=s", "time=ms", "time=us", "time=ns", "data", "none"}
)

// directive returns what the lines of an element's comment that are meant for
// this plugin say, without the prefix: one of those allowed, or "" for none. Any
// other line, and two that contradict each other, are complained about. It is ""
// where comments are not read.
func (b *builder) directive(d protoreflect.Descriptor, comments protogen.CommentSet, allowed []string) (directive string) {
	if b.events != EventsAuto {
		return ""
	}
	for _, detached := range comments.LeadingDetached {
		if _, lines := cut(string(detached)); len(lines) > 0 {
			b.complaints.add(d, "the comment %s%s is separated from %s by a blank line: remove that line", prefix, lines[0], named(d))
		}
	}
	_, lines := cut(string(comments.Leading) + "\n" + string(comments.Trailing))
	for _, line := range lines {
		switch {
		case len(allowed) == 0:
			b.complaints.add(d, "the comment %s%s has no meaning on %s", prefix, line, named(d))
		case !slices.Contains(allowed, line):
			b.complaints.add(d, "the comment %s%s is unknown on %s: want one of %s", prefix, line, named(d),
				prefix+strings.Join(allowed, ", "+prefix))
		case directive != "" && directive != line:
			b.complaints.add(d, "the comments %s%s and %s%s on %s contradict each other", prefix, directive, prefix, line, named(d))
		default:
			directive = line
		}
	}
	return directive
}

// doc returns what a proto says about an element, before it or else after it,
// without the lines that are meant for this plugin. What protobuf's own files say
// of theirs is not used: protoc, buf and generate have different releases of them,
// and what they make is to be the same.
func doc(d protoreflect.Descriptor, comments protogen.CommentSet) string {
	if strings.HasPrefix(d.ParentFile().Path(), "google/protobuf/") {
		return ""
	}
	leading, _ := cut(string(comments.Leading))
	trailing, _ := cut(string(comments.Trailing))
	return cmp.Or(leading, trailing)
}

// cut takes the lines out of a comment that are meant for this plugin, and
// returns them without the prefix.
func cut(comment string) (doc string, directives []string) {
	var rest []string
	for line := range strings.SplitSeq(comment, "\n") {
		if directive, found := strings.CutPrefix(strings.TrimSpace(line), prefix); found {
			directives = append(directives, strings.TrimSpace(directive))
		} else {
			rest = append(rest, strings.TrimPrefix(strings.TrimRight(line, " \t\r"), " "))
		}
	}
	return strings.Trim(strings.Join(rest, "\n"), "\n"), directives
}

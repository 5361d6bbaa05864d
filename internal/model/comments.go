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

// What such a line may say, by what it stands on.
var (
	onMethod  = []string{"event", "plain", "tail"}
	onMessage = []string{"event", "plain"}
	onField   = []string{"id", "source", "type", "subject", "time", "time=s", "time=ms", "time=us", "time=ns", "data", "none"}
)

// says reads the lines of an element's comment that are meant for this plugin:
// any of those allowed, and one that contradicts no other. Any other line is
// complained about. It is none where comments are not read.
func (b *builder) says(d protoreflect.Descriptor, comments protogen.CommentSet, allowed []string) (says string) {
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
		case says != "" && says != line:
			b.complaints.add(d, "the comments %s%s and %s%s on %s contradict each other", prefix, says, prefix, line, named(d))
		default:
			says = line
		}
	}
	return says
}

// doc is what a proto says about an element, before it or else behind it, less
// the lines that are meant for this plugin.
func doc(comments protogen.CommentSet) string {
	leading, _ := cut(string(comments.Leading))
	trailing, _ := cut(string(comments.Trailing))
	return cmp.Or(leading, trailing)
}

// cut takes the lines out of a comment that are meant for this plugin.
func cut(comment string) (doc string, says []string) {
	var rest []string
	for line := range strings.SplitSeq(comment, "\n") {
		if said, found := strings.CutPrefix(strings.TrimSpace(line), prefix); found {
			says = append(says, strings.TrimSpace(said))
		} else {
			rest = append(rest, strings.TrimPrefix(strings.TrimRight(line, " \t\r"), " "))
		}
	}
	return strings.Trim(strings.Join(rest, "\n"), "\n"), says
}

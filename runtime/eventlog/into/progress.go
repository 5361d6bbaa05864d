package into

import (
	"fmt"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// progress is what a consumer has done: all events up to a position, and some of those
// after it, which did not wait for one that fails or is of another message type.
type progress struct {
	position eventlog.Position
	ahead    []span // in their order, and none of them next to another or to position
}

// span is some consecutive positions.
type span struct{ first, last eventlog.Position }

// has reports whether the event at a position is done.
func (p progress) has(position eventlog.Position) bool {
	return position <= p.position || slices.ContainsFunc(p.ahead, func(s span) bool { return s.first <= position && position <= s.last })
}

// with returns the progress with the events at some positions.
func (p progress) with(positions ...eventlog.Position) progress {
	spans := slices.Clone(p.ahead)
	for _, position := range positions {
		spans = append(spans, span{position, position})
	}
	slices.SortFunc(spans, func(a, b span) int { return int(a.first - b.first) })
	return progress{position: p.position}.join(spans)
}

// upTo returns the progress with all events up to a position.
func (p progress) upTo(position eventlog.Position) progress {
	return progress{position: max(p.position, position)}.join(p.ahead)
}

// join adds spans, which are in the order of their first positions.
func (p progress) join(spans []span) progress {
	for _, s := range spans {
		last := len(p.ahead) - 1
		switch {
		case s.first <= p.position+1:
			p.position = max(p.position, s.last)
		case last >= 0 && s.first <= p.ahead[last].last+1:
			p.ahead[last].last = max(p.ahead[last].last, s.last)
		default:
			p.ahead = append(p.ahead, s)
		}
	}
	return p
}

// text returns what is ahead, as the table has it: "3 7-9", counted from the position.
func (p progress) text() string {
	var text strings.Builder
	for i, s := range p.ahead {
		if i > 0 {
			text.WriteByte(' ')
		}
		fmt.Fprint(&text, int64(s.first-p.position))
		if s.last > s.first {
			fmt.Fprintf(&text, "-%d", int64(s.last-p.position))
		}
	}
	return text.String()
}

// parseProgress returns the progress with a position, and the text of what is ahead.
func parseProgress(position eventlog.Position, text string) (progress, error) {
	p := progress{position: position}
	for field := range strings.FieldsSeq(text) {
		var first, last eventlog.Position
		from, to, isLong := strings.Cut(field, "-")
		if !isLong {
			to = from
		}
		if _, err := fmt.Sscan(from+" "+to, &first, &last); err != nil {
			return p, fmt.Errorf("%q is not what a consumer has written: %w", text, err)
		}
		p.ahead = append(p.ahead, span{position + first, position + last})
	}
	return p, nil
}

//runtime:with command.From command.Bench

package command

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// bar shows how far a run has come: on a terminal in one line that changes, elsewhere in
// a line every ten seconds.
type bar struct {
	out    io.Writer
	width  func() int // nil: out is not a terminal
	colour bool
	prefix string
	size   int64 // of the file; -1: that is not known

	shown   time.Time
	samples []sample // of the last seconds, the first when it began
}

type sample struct {
	at     time.Time
	events int64
	offset int64
}

const (
	barEvery  = 200 * time.Millisecond
	lineEvery = 10 * time.Second
)

// newBar returns a bar for what begins now, after what an earlier run did.
func newBar(env Env, prefix string, size int64, t tally, offset int64) *bar {
	b := &bar{out: env.Stderr, prefix: prefix, size: size, shown: time.Now()}
	b.samples = []sample{{b.shown, t.Acknowledged + t.Refused, offset}}
	if b.out == nil {
		b.out = io.Discard
	}
	if file, ok := env.Stderr.(*os.File); ok && term.IsTerminal(int(file.Fd())) && env.Getenv("TERM") != "dumb" {
		b.colour = coloured(file, env.Getenv)
		b.width = func() int { return terminalWidth(file) }
	}
	return b
}

// show shows what was counted, if it is time to.
func (b *bar) show(now time.Time, t tally, offset int64) {
	every := lineEvery
	if b.width != nil {
		every = barEvery
	}
	if now.Sub(b.shown) < every {
		return
	}
	b.shown = now
	defer func() {
		if b.samples = append(b.samples, sample{now, t.Acknowledged + t.Refused, offset}); len(b.samples) > 25 {
			b.samples = b.samples[1:]
		}
	}()
	if b.width == nil {
		fmt.Fprintf(b.out, "%s: %s\n", b.prefix, b.text(now, t, offset))
		return
	}
	text := b.text(now, t, offset)
	width := b.width() - 1
	if room := width - len([]rune(text)) - 3; b.size > 0 && room >= 8 {
		room = min(room, 30)
		full := int(int64(room) * min(offset, b.size) / b.size)
		text = "[" + strings.Repeat("#", full) + strings.Repeat("-", room-full) + "] " + text
	}
	text = cut(text, width)
	if b.colour && t.Refused > 0 {
		text = strings.Replace(text, fmt.Sprintf("%s refused", grouped(t.Refused)), fmt.Sprintf("\x1b[31m%s refused\x1b[0m", grouped(t.Refused)), 1)
	}
	fmt.Fprintf(b.out, "\r%s\x1b[K", text)
}

// text returns what is shown.
func (b *bar) text(now time.Time, t tally, offset int64) string {
	first := b.samples[0]
	seconds := max(now.Sub(first.at).Seconds(), 1e-3)
	rate := float64(t.Acknowledged+t.Refused-first.events) / seconds
	text := fmt.Sprintf("%s events/s, %s acknowledged, %s duplicates, %s refused",
		grouped(int64(rate)), grouped(t.Acknowledged), t.doubles(), grouped(t.Refused))
	if b.size <= 0 {
		return text
	}
	text = fmt.Sprintf("%d %%, %s", 100*min(offset, b.size)/b.size, text)
	if bytes := float64(offset-first.offset) / seconds; bytes > 0 && offset < b.size {
		left := time.Duration(float64(b.size-offset) / bytes * float64(time.Second))
		text += ", ETA " + left.Round(time.Second).String()
	}
	return text
}

// doubles returns how many lines were duplicates in words: a dash if the server does not
// say so.
func (t tally) doubles() string {
	if !t.Told {
		return "–"
	}
	return grouped(t.Duplicates)
}

// end removes what is shown.
func (b *bar) end() {
	if b.width != nil {
		fmt.Fprint(b.out, "\r\x1b[K")
	}
}

// grouped returns a number with a comma before each three digits.
func grouped(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

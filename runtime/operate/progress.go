package operate

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// progress shows on a terminal how many events were handled, and how long the rest takes.
type progress struct {
	out   io.Writer // nil: nobody sees it
	verb  string    // what was done with them, such as "copied"
	unit  string    // "events"
	total int64     // how many there are; 0: that is not known
	begin time.Time
	shown time.Time
}

func newProgress(out *os.File, verb string, total int64) *progress {
	p := &progress{verb: verb, unit: "events", total: total, begin: time.Now()}
	if isTerminal(out) {
		p.out = out
	}
	return p
}

// show shows how many events were handled by now, a few times a second.
func (p *progress) show(events int64) {
	if p.out == nil {
		return
	}
	now := time.Now()
	if now.Sub(p.shown) < 200*time.Millisecond {
		return
	}
	p.shown = now
	fmt.Fprintf(p.out, "\r%s\x1b[K", p.text(events, now.Sub(p.begin)))
}

// text returns what is shown.
func (p *progress) text(events int64, since time.Duration) string {
	rate := float64(events) / max(since.Seconds(), 1e-3)
	if p.total < events || events == 0 { // more came meanwhile
		return fmt.Sprintf("%s %d %s, %.0f a second", p.verb, events, p.unit, rate)
	}
	left := time.Duration(float64(p.total-events) / rate * float64(time.Second))
	return fmt.Sprintf("%s %d of %d %s, %.0f a second, %v left", p.verb, events, p.total, p.unit, rate, left.Round(time.Second))
}

// end removes what is shown.
func (p *progress) end() {
	if p.out != nil && !p.shown.IsZero() {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// watched yields the events of a log, and shows how many of them were read.
func watched(ctx context.Context, log eventlog.Log, from eventlog.From, progress *progress) iter.Seq2[eventlog.Record, error] {
	if progress.out == nil {
		return log.Read(ctx, from)
	}
	stats, _ := log.Stats(ctx) // without them it is not known how many there are
	return func(yield func(eventlog.Record, error) bool) {
		count := int64(0)
		for record, err := range log.Read(ctx, from) {
			if count++; count == 1 {
				progress.total = int64(stats.Last - record.Position + 1)
			}
			progress.show(count)
			if !yield(record, err) {
				return
			}
		}
	}
}

// isTerminal reports whether what is written is shown on a terminal.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	about, err := file.Stat()
	if err != nil || about.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(about, null)
}

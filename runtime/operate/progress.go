package operate

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress shows on a terminal how many events were handled.
type progress struct {
	out   io.Writer // nil: nobody sees it
	verb  string    // what was done with them, such as "copied"
	begin time.Time
	shown time.Time
}

func newProgress(out *os.File, verb string) *progress {
	p := &progress{verb: verb, begin: time.Now()}
	if isTerminal(out) {
		p.out = out
	}
	return p
}

// show shows how many events were handled by now, a few times a second.
func (p *progress) show(events int) {
	now := time.Now()
	if p.out == nil || now.Sub(p.shown) < 200*time.Millisecond {
		return
	}
	p.shown = now
	fmt.Fprintf(p.out, "\r%s %d events, %.0f a second\x1b[K", p.verb, events, float64(events)/now.Sub(p.begin).Seconds())
}

// end removes what is shown.
func (p *progress) end() {
	if p.out != nil && !p.shown.IsZero() {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// isTerminal reports whether what is written is shown on a terminal.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	about, err := file.Stat()
	return err == nil && about.Mode()&os.ModeCharDevice != 0
}

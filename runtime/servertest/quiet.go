//runtime:with eventlog

package servertest

import (
	"log"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// maxLines is how many lines are printed of what was logged.
const maxLines = 10

// quiet keeps what is logged by [slog.Default] from being printed, until what it returns
// is called. If the test fails, the last lines are printed then. What consumers log is left
// out: it is about failures that the test causes.
func quiet(t testing.TB) (end func()) {
	t.Helper()
	var lines lines
	restore := logTo(quietHandler{slog.NewTextHandler(&lines, nil)})
	return func() {
		restore()
		if kept := lines.take(); len(kept) > 0 && t.Failed() {
			t.Logf("the last lines that were logged:\n%s", strings.Join(kept, ""))
		}
	}
}

// lines keeps the last lines that are written.
type lines struct {
	mu   sync.Mutex
	last []string
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = append(l.last[max(0, len(l.last)+1-maxLines):], string(line))
	return len(line), nil
}

func (l *lines) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// unlogged drops all that is logged by [slog.Default], until what it returns is called.
func unlogged() (end func()) { return logTo(slog.DiscardHandler) }

// logTo sets the handler of [slog.Default]. What it returns restores the one before, and
// the output of package log, which slog changes.
func logTo(handler slog.Handler) (restore func()) {
	before, output, flags := slog.Default(), log.Writer(), log.Flags()
	slog.SetDefault(slog.New(handler))
	return func() {
		slog.SetDefault(before)
		log.SetOutput(output)
		log.SetFlags(flags)
	}
}

// quietHandler drops the lines of consumers.
type quietHandler struct{ slog.Handler }

// WithAttrs implements [slog.Handler].
func (h quietHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, attr := range attrs {
		if attr.Key == "consumer" {
			return slog.DiscardHandler
		}
	}
	return quietHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (h quietHandler) WithGroup(name string) slog.Handler {
	return quietHandler{h.Handler.WithGroup(name)}
}

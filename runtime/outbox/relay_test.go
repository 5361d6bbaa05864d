package outbox

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// What waits is logged when it begins to, and then once a minute.
func TestWhatWaitsIsLogged(t *testing.T) {
	var out strings.Builder
	r := &relay{waiting: map[string]*wait{}, logger: slog.New(slog.NewTextHandler(&out, nil))}
	lines := func() []string {
		defer out.Reset()
		return strings.Split(strings.TrimSpace(out.String()), "\n")
	}
	r.holdUp(t.Context(), row{number: 1, subject: "ann"}, errors.New("away"))
	r.holdUp(t.Context(), row{number: 2, subject: "bob"}, errors.New("too large"))
	r.holdUp(t.Context(), row{number: 2, subject: "bob"}, errors.New("too large"))
	if got := lines(); len(got) != 2 || !strings.Contains(got[0], "away") || !strings.Contains(got[1], "too large") {
		t.Errorf("the first failures are logged as %q", got)
	}
	delete(r.waiting, "ann")
	now := time.Now()
	for second := range 181 {
		r.report(t.Context(), now.Add(time.Duration(second)*time.Second))
	}
	got := lines()
	if len(got) != 3 || !strings.Contains(got[0], "subjects=1") || !strings.Contains(got[0], "number=2") || !strings.Contains(got[0], "too large") {
		t.Errorf("within three minutes it is logged as %q", got)
	}
}

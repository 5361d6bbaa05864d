//runtime:with eventlog

package servertest

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// handlerTimeout is how long a handler may take until its context ends, and again until it
// is given up on.
var handlerTimeout = 10 * time.Second

// shadowRun is a consumer that takes stored events.
type shadowRun struct {
	t      *testing.T
	name   string
	log    eventlog.Log
	shadow *shadowLog
	slow   time.Duration
	before before
	done   chan struct{}

	mu       sync.Mutex
	handed   int64
	running  map[eventlog.Position]*shadowed // by their first events
	findings []finding
	fixed    int // how many were dead letters, and are handled now
}

// shadowed is events that a handler has, and since when.
type shadowed struct {
	record eventlog.Record
	since  time.Time
}

// finding is an event that is not handled as it should be.
type finding struct {
	record eventlog.Record
	how    string // "fails", "panics", "takes longer than 1s" or "does not return"
	text   string // may be empty
}

// run prepares the run of a consumer.
func (taken *takenEvents) run(t *testing.T, s *Shadow, name string, before before) *shadowRun {
	r := &shadowRun{t: t, name: name, slow: s.Slow, before: before, done: make(chan struct{}), running: map[eventlog.Position]*shadowed{}}
	r.shadow = &shadowLog{takenEvents: taken, end: -1, done: sync.OnceFunc(func() { close(r.done) })}
	r.log = eventlog.Observe(r.shadow, eventlog.Observer{Handling: r.handling})
	return r
}

// handling measures a handler.
func (r *shadowRun) handling(ctx context.Context, _ string, records []eventlog.Record) (context.Context, func(error)) {
	first := records[0]
	first.Data = nil
	begun := &shadowed{first, time.Now()}
	r.mu.Lock()
	r.handed += int64(len(records))
	r.running[first.Position] = begun
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, handlerTimeout)
	return ctx, func(err error) {
		cancel()
		took := time.Since(begun.since)
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.running, first.Position)
		if took > r.slow*time.Duration(len(records)) {
			r.findings = append(r.findings, finding{first, fmt.Sprintf("takes longer than %s", r.slow), ""})
		}
		for _, record := range records {
			if err == nil && r.before.of(record.Position) == wasDead {
				r.fixed++
			}
		}
	}
}

// wait runs the consumer until it has handled everything, and reports what was found.
func (r *shadowRun) wait(consume func(context.Context) error) {
	r.t.Helper()
	begin := time.Now()
	ctx, stop := context.WithCancel(eventlog.Once(r.t.Context()))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- consume(ctx) }()
	watch := time.NewTicker(handlerTimeout / 10)
	defer watch.Stop()
	for over := false; !over; {
		select {
		case <-r.done:
			stop()
			if err := <-ended; err != nil {
				r.t.Error(err)
			}
			over = true
		case err := <-ended:
			r.t.Errorf("it has ended before it had taken all events%s", because(err))
			over = true
		case <-watch.C:
			if over = r.hangs(); over {
				r.t.Error("a handler does not return: the events after it were not tried")
			}
		}
	}
	r.report(time.Since(begin))
}

// hangs reports whether a handler runs on although its context has ended long ago.
func (r *shadowRun) hangs() (hangs bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, begun := range r.running {
		if time.Since(begun.since) > 2*handlerTimeout {
			r.findings = append(r.findings, finding{begun.record, "does not return", ""})
			hangs = true
		}
	}
	return hangs
}

// group is findings of one kind.
type group struct {
	how, text string
	findings  []finding
}

// report prints what was found, by kind.
func (r *shadowRun) report(took time.Duration) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shadow.mu.Lock()
	defer r.shadow.mu.Unlock()
	for _, letter := range r.shadow.letters {
		how, text := "fails", letter.Reason
		if what, ok := strings.CutPrefix(text, "panic: "); ok {
			how, text = "panics", what
		}
		r.findings = append(r.findings, finding{letter.Record, how, text})
	}
	if r.shadow.read == 0 {
		r.t.Errorf("%s took no events: the log has none, or none of that time, and so nothing was tried", r.name)
		return
	}
	groups := grouped(r.findings)
	r.t.Logf("%s took %s in %.1f s: %d of them are not handled as they should be, for %s", r.name, r.events(), took.Seconds(), len(r.findings), counted(len(groups), "reason"))
	if r.fixed > 0 {
		r.t.Logf("%s that were dead letters before are handled now", counted(r.fixed, "event"))
	}
	for _, g := range groups {
		text, regression := r.describe(g)
		if regression {
			r.t.Error(text)
		} else {
			r.t.Log(text)
		}
	}
}

// events returns which events were taken, in words.
func (r *shadowRun) events() string {
	l := r.shadow
	text := fmt.Sprintf("%s stored from %s to %s", counted(int(l.read), "event"), l.first.Format(time.DateTime), l.last.Format(time.DateTime))
	if l.share < 1 {
		text += fmt.Sprintf(" (those of %.2g %% of the subjects; -sample 0 takes all)", 100*l.share)
	}
	if r.handed < l.read {
		text += fmt.Sprintf(", %d of types that it passes over,", l.read-r.handed)
	}
	return text
}

// maxExamples is how many events of a group are listed.
const maxExamples = 5

// describe returns what is printed of a group, and whether it is a regression: some of its
// events were not dead letters before.
func (r *shadowRun) describe(g group) (text string, regression bool) {
	states := map[state]int{}
	for _, f := range g.findings {
		states[r.before.of(f.record.Position)]++
	}
	var were []string
	for _, state := range []state{wasFine, wasNew, wasDead} {
		if n := states[state]; n > 0 {
			were = append(were, fmt.Sprintf("%d %s", n, state))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "it %s", g.how)
	if g.text != "" {
		fmt.Fprintf(&b, ": %s", g.text)
	}
	fmt.Fprintf(&b, " (%s: %s)", counted(len(g.findings), "event"), strings.Join(were, ", "))
	for i, f := range g.findings {
		if i == maxExamples {
			last := g.findings[len(g.findings)-1].record
			fmt.Fprintf(&b, "\n    … and %d more, up to position %d", len(g.findings)-i, last.Position)
			break
		}
		fmt.Fprintf(&b, "\n    position %d, id %s, source %q, subject %q, type %s (%s)", f.record.Position, f.record.ID, f.record.Source, f.record.Subject, f.record.Type, r.before.of(f.record.Position))
		if f.text != g.text {
			fmt.Fprintf(&b, ": %s", f.text)
		}
	}
	return b.String(), states[wasFine]+states[wasNew] > 0
}

// grouped groups findings by their texts, without what differs from event to event. The
// largest group is first.
func grouped(findings []finding) []group {
	byText := map[[2]string]*group{}
	for _, f := range findings {
		text := general(f)
		key := [2]string{f.how, text}
		if byText[key] == nil {
			byText[key] = &group{how: f.how, text: text}
		}
		byText[key].findings = append(byText[key].findings, f)
	}
	groups := make([]group, 0, len(byText))
	for _, g := range byText {
		slices.SortFunc(g.findings, func(a, b finding) int { return cmp.Compare(a.record.Position, b.record.Position) })
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(a, b group) int {
		return cmp.Or(cmp.Compare(len(b.findings), len(a.findings)), cmp.Compare(a.how, b.how), cmp.Compare(a.text, b.text))
	})
	return groups
}

// variable matches what differs in an error from event to event: ids and numbers, but not
// those of lines of code.
var variable = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\S+\.go:\d+|\d+`)

// general returns the text of a finding with what is the event's own replaced.
func general(f finding) string {
	text := f.text
	for _, own := range []struct{ value, name string }{
		{f.record.ID, "ID"}, {f.record.Subject, "SUBJECT"}, {f.record.Source, "SOURCE"},
	} {
		if len(own.value) > 2 { // others may be in any word
			text = strings.ReplaceAll(text, own.value, own.name)
		}
	}
	return variable.ReplaceAllStringFunc(text, func(found string) string {
		switch {
		case strings.Contains(found, ".go:"):
			return found
		case strings.Contains(found, "-"):
			return "ID"
		}
		return "N"
	})
}

package sqlite

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

func TestEventsAreKeptForAnAge(t *testing.T) {
	url := newURL(t)
	log := mustOpen(t, url)
	mustAppend(t, log, event("old"))
	last := mustAppend(t, log, event("older"))[0].Position
	letter := eventlog.DeadLetter{Record: mustRead(t, log, 0)[0], Tries: 1, GaveUp: time.Now()}
	hold, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	if err := hold.PutDead(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	mustClose(t, log)
	onDatabase(t, log.path, "UPDATE events SET recorded = '2020-01-01T00:00:00.000000000Z'")

	log = mustOpen(t, url+"?max-age=720h")
	mustAppend(t, log, event("new"))
	await(t, "only the new one is kept", func() bool { return len(mustRead(t, log, 0)) == 1 })
	if got := mustAppend(t, log, event("old"))[0]; got.Duplicate || got.Position <= last {
		t.Errorf("what is no longer kept is new again: receipt %+v", got)
	}
	for letter, err := range log.Dead(t.Context(), "mailer") {
		if err != nil || letter.ID != "old" || string(letter.Data) != "data of old" {
			t.Errorf("the dead letter outlasts its event: got %v, %v", letter.ID, err)
		}
	}
	mustClose(t, log)
	if got := ids(mustRead(t, mustOpen(t, url), 0)); len(got) != 2 {
		t.Errorf("kept %v, want [new old]", got)
	}
}

func TestEventsAreKeptUpToASize(t *testing.T) {
	log := mustOpen(t, newURL(t)+"?max-bytes=1MB")
	data := []byte(strings.Repeat("x", 10_000))
	appended := 0
	appendSome := func() {
		for range 300 { // 3 MB
			one := event(fmt.Sprint(appended))
			one.Data = data
			mustAppend(t, log, one)
			appended++
		}
	}
	trimmed := func() bool {
		stats, err := log.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return stats.Bytes <= 1<<20
	}
	appendSome()
	await(t, "it is trimmed", trimmed)
	records := mustRead(t, log, 0)
	if len(records) == 0 || records[len(records)-1].ID != fmt.Sprint(appended-1) {
		t.Error("the newest is not kept")
	}
	for range 3 {
		appendSome()
		await(t, "it is trimmed", trimmed)
	}
	info, err := os.Stat(log.path)
	if err != nil || info.Size() > 8<<20 {
		t.Errorf("the file has %d bytes, %v: its space is not used again", info.Size(), err)
	}
}

// However many dead letters there are, they leave the events their room.
func TestDeadLettersLeaveEventsTheirRoom(t *testing.T) {
	log := mustOpen(t, newURL(t)+"?max-bytes=1MB")
	large := func(i int, bytes int) eventlog.Event {
		one := event(fmt.Sprint(i))
		one.Data = []byte(strings.Repeat("x", bytes))
		return one
	}
	hold, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 600 { // 2 MB, each in a page of its own
		letter := eventlog.DeadLetter{Record: eventlog.Record{Event: large(i, 3000), Position: eventlog.Position(i + 1)}, Tries: 1}
		if err := hold.PutDead(t.Context(), letter); err != nil {
			t.Fatal(err)
		}
	}
	trim := func() {
		t.Helper()
		for more := true; more; {
			if more, err = log.trimmer.trim(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 50 { // half a MB
		mustAppend(t, log, large(i, 10_000))
	}
	trim()
	if got := len(mustRead(t, log, 0)); got != 50 {
		t.Fatalf("%d of 50 events are kept", got)
	}
	for i := range 500 {
		mustAppend(t, log, large(1000+i, 10_000))
	}
	trim()
	records := mustRead(t, log, 0)
	if kept := len(records) * 10_000; kept < 500_000 || kept > 1<<20 || records[len(records)-1].ID != "1499" {
		t.Errorf("the events have %d bytes of the 1 MB they may have", kept)
	}
	if dead, err := log.Stats(t.Context()); err != nil || dead.Consumers[0].Dead != 600 {
		t.Errorf("%+v, %v; want 600 dead letters", dead, err)
	}
}

// Events that are too old are deleted many at a time, also where dead letters
// have most of the file.
func TestOldEventsAreDeletedManyAtATime(t *testing.T) {
	log := mustOpen(t, newURL(t))
	hold, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	letter := eventlog.DeadLetter{Record: eventlog.Record{Event: event("dead"), Position: 1}, Tries: 1}
	letter.Data = make([]byte, 4*trimBytes)
	if err := hold.PutDead(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	var small []eventlog.Event
	for i := range trimEvents {
		small = append(small, event(fmt.Sprint(i)))
	}
	mustAppend(t, log, small...)
	trimmer := newTrimmer(log, limits{age: 1})
	if _, err := trimmer.trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(mustRead(t, log, 0)); got != 0 {
		t.Errorf("%d of %d are left", got, trimEvents)
	}
	huge := event("huge")
	huge.Data = make([]byte, trimBytes)
	next := huge
	next.ID = "next"
	mustAppend(t, log, huge)
	mustAppend(t, log, next)
	if _, err := trimmer.trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := ids(mustRead(t, log, 0)); len(got) != 1 || got[0] != "next" {
		t.Errorf("%v are left, want only what is too much for one transaction", got)
	}
}

// await waits until something is so.
func await(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never comes that %s", what)
		}
	}
}

// recordedAt sets when an event was recorded.
func recordedAt(t *testing.T, log *fileLog, position int, at time.Time) {
	t.Helper()
	onDatabase(t, log.path, fmt.Sprintf("UPDATE events SET recorded = '%s' WHERE position = %d", formatTime(at), position))
}

// TestWrongTimesDeleteNothingElse checks that an event that was recorded by a wrong
// clock takes none with it that were recorded before it.
func TestWrongTimesDeleteNothingElse(t *testing.T) {
	old := time.Now().Add(-1000 * time.Hour)
	for name, test := range map[string]struct {
		recorded map[int]time.Time // the other events were recorded now
		want     string
	}{
		"one is from 1970":                   {map[int]time.Time{4: time.Unix(7, 0)}, "12345"},
		"the last is from 1970":              {map[int]time.Time{5: time.Unix(7, 0)}, "12345"},
		"one is from the future":             {map[int]time.Time{2: time.Now().AddDate(1, 0, 0)}, "12345"},
		"the last is from the future":        {map[int]time.Time{5: time.Now().AddDate(1, 0, 0)}, "12345"},
		"the first are old":                  {map[int]time.Time{1: old, 2: old}, "345"},
		"the first are old, one after 1970":  {map[int]time.Time{1: old, 2: old, 4: time.Unix(7, 0)}, "345"},
		"1970 comes after an old one":        {map[int]time.Time{1: old, 2: time.Unix(7, 0)}, "345"},
		"an old one comes after new ones":    {map[int]time.Time{3: old, 4: old}, "12345"},
		"all are old, so time may have come": {map[int]time.Time{1: old, 2: old, 3: old, 4: old, 5: old}, "12345"},
	} {
		t.Run(name, func(t *testing.T) {
			log := mustOpen(t, newURL(t)+"?max-age=720h")
			appendNumbered(t, log, "", 5, 0)
			mustClose(t, log)
			for position, at := range test.recorded {
				recordedAt(t, log, position, at)
			}
			log = mustOpen(t, "sqlite:"+log.path+"?max-age=720h")
			for range 3 {
				if _, err := log.trimmer.trim(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			got := ""
			for _, record := range mustRead(t, log, 0) {
				got += fmt.Sprint(record.Position)
			}
			if got != test.want {
				t.Errorf("kept %s, want %s", got, test.want)
			}
		})
	}
}

// wrongClock is a wall clock that can be set, and time that passes.
type wrongClock struct {
	passed time.Duration
	set    time.Duration
}

var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func (w *wrongClock) now() time.Time { return epoch.Add(w.passed + w.set) }

// restart returns the trimmer of a log that is opened now.
func (w *wrongClock) restart(t *testing.T, log *fileLog) *trimmer {
	t.Helper()
	trimmer := newTrimmer(log, limits{age: 720 * time.Hour})
	began := w.passed
	trimmer.clock.wall, trimmer.clock.elapsed = w.now, func() time.Duration { return w.passed - began }
	if err := log.use(t.Context(), func(r *reader) error { return trimmer.clock.open(t.Context(), r) }); err != nil {
		t.Fatal(err)
	}
	return trimmer
}

// record appends an event that is recorded by the clock.
func (w *wrongClock) record(t *testing.T, log *fileLog, id string) {
	t.Helper()
	position := mustAppend(t, log, event(id))[0].Position
	recordedAt(t, log, int(position), w.now())
}

// kept trims, and returns the events that are left.
func kept(t *testing.T, trimmer *trimmer) string {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = trimmer.trim(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return strings.Join(ids(mustRead(t, trimmer.log, 0)), "")
}

// TestEventsAgeByTheTimeThatPasses checks that an event is deleted once the time for
// which it is kept has passed, and neither sooner nor later because the wall clock was
// set.
func TestEventsAgeByTheTimeThatPasses(t *testing.T) {
	const day = 24 * time.Hour
	year := 365 * day
	for name, jump := range map[string]time.Duration{"ahead": year, "back": -year, "to 1970": -time.Duration(epoch.Unix()) * time.Second, "not": 0} {
		for _, restarts := range []bool{false, true} {
			for _, mended := range []string{"never", "while it is open", "while it is closed"} {
				t.Run(fmt.Sprintf("the clock is set %s, restarts %v, mended %s", name, restarts, mended), func(t *testing.T) {
					log := mustOpen(t, newURL(t))
					w := &wrongClock{}
					trimmer := w.restart(t, log)
					check := func(want string) {
						t.Helper()
						if got := kept(t, trimmer); got != want {
							t.Errorf("after %v: kept %q, want %q", w.passed, got, want)
						}
					}
					w.record(t, log, "a")
					check("a")
					w.passed += day
					w.record(t, log, "b")
					check("ab")
					w.set = jump
					check("ab")
					w.record(t, log, "c")
					check("abc")
					if restarts {
						trimmer = w.restart(t, log)
						check("abc")
					}
					w.passed += 10 * day
					w.record(t, log, "d")
					check("abcd")
					switch mended {
					case "while it is open":
						w.set = 0
						check("abcd")
					case "while it is closed":
						w.set = 0
						trimmer = w.restart(t, log)
						check("abcd")
					}
					w.record(t, log, "e")
					check("abcde")
					w.passed += 18 * day
					check("abcde")
					w.passed += 2*day - time.Hour
					check("bcde")
					w.passed += day
					check("de")
					w.passed += 12 * day
					check("")
				})
			}
		}
	}
}

// TestATimeInWhichTheLogIsClosedCounts checks that events are deleted after a log was
// closed for long, once an event shows that the time has really come.
func TestATimeInWhichTheLogIsClosedCounts(t *testing.T) {
	log := mustOpen(t, newURL(t))
	w := &wrongClock{}
	w.restart(t, log)
	w.record(t, log, "a")
	w.passed += 2000 * time.Hour
	trimmer := w.restart(t, log)
	if got := kept(t, trimmer); got != "a" {
		t.Errorf("kept %q, want a", got)
	}
	w.record(t, log, "b")
	if got := kept(t, trimmer); got != "b" {
		t.Errorf("kept %q, want b", got)
	}
	w.passed += 721 * time.Hour
	if got := kept(t, trimmer); got != "" {
		t.Errorf("kept %q of an old log to which nothing is appended", got)
	}
}

// TestWhatIsDeletedIsLogged checks that it is logged how much was deleted, and which
// consumers had not handled it.
func TestWhatIsDeletedIsLogged(t *testing.T) {
	log := mustOpen(t, newURL(t))
	w := &wrongClock{}
	trimmer := w.restart(t, log)
	for i := range 500 {
		mustAppend(t, log, event(fmt.Sprint(i)))
	}
	onDatabase(t, log.path, "UPDATE events SET recorded = '"+formatTime(w.now())+"'")
	for consumer, position := range map[string]eventlog.Position{"slow": 100, "fast": 450, "stuck": 0} {
		hold, err := log.Hold(t.Context(), consumer)
		if err != nil {
			t.Fatal(err)
		}
		if err := hold.Commit(t.Context(), position); err != nil {
			t.Fatal(err)
		}
	}
	w.passed += 719 * time.Hour
	w.record(t, log, "new")
	w.passed += 2 * time.Hour
	kept(t, trimmer)
	var out strings.Builder
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, nil)))
	defer slog.SetDefault(before)
	trimmer.logReport(false)
	trimmer.logReport(true) // nothing more
	for _, want := range []string{
		"level=INFO msg=\"events were deleted that the log no longer keeps\" log=" + log.path + " count=500 first=1 last=500\n",
		"level=WARN msg=\"events were deleted that a consumer has not handled\" log=" + log.path + " consumer=fast count=50\n",
		"consumer=slow count=400\n",
		"consumer=stuck count=500\n",
	} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("want %q in\n%s", want, out.String())
		}
	}
}

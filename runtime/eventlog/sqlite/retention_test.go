package sqlite

import (
	"fmt"
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
	trimmer := trimmer{log: log, retention: limits{age: 1}}
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
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never comes that %s", what)
		}
	}
}

package eventlog

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestEventsAreKeptForAnAge(t *testing.T) {
	url := newURL(t)
	log := mustOpen(t, url)
	mustAppend(t, log, event("old"))
	last := mustAppend(t, log, event("older"))[0].Position
	letter := DeadLetter{Record: mustRead(t, log, 0)[0], Tries: 1, Buried: time.Now()}
	hold, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	if err := hold.Bury(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	mustClose(t, log)
	onDatabase(t, log.path, "UPDATE events SET recorded = '2020-01-01T00:00:00.000000000Z'")

	log = mustOpen(t, url+"?max-age=720h")
	mustAppend(t, log, event("new"))
	await(t, "only the new one is kept", func() bool { return len(mustRead(t, log, 0)) == 1 })
	if got := mustAppend(t, log, event("old"))[0]; got.Duplicate || got.Position <= last {
		t.Errorf("what is kept no more is new again: receipt %+v", got)
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

// await waits until something is so.
func await(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never comes that %s", what)
		}
	}
}

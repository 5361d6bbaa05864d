package sqlite

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// giveUp moves an event to a consumer's dead letters.
func giveUp(t *testing.T, hold eventlog.Hold, record eventlog.Record) {
	t.Helper()
	if err := hold.PutDead(t.Context(), eventlog.DeadLetter{Record: record, Tries: 1, Reason: "no", GaveUp: time.Now()}); err != nil {
		t.Fatal(err)
	}
}

// TestALetterThatIsRetriedWhileItIsErasedIsGone, also if its event is deleted, so that there
// is nothing but the letter to erase.
func TestALetterThatIsRetriedWhileItIsErasedIsGone(t *testing.T) {
	log := mustOpen(t, newURL(t))
	first := event("1")
	first.Subject = "tom"
	mustAppend(t, log, first, event("2"))
	hold, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	record := mustRead(t, log, 0)[0]
	giveUp(t, hold, record)
	onDatabase(t, log.path, "DELETE FROM events WHERE position = 1") // as max-age does
	if erased, err := log.Erase(t.Context(), first.Source, "tom"); err != nil || erased != (eventlog.Erasure{Letters: 1}) {
		t.Fatalf("%+v was erased, %v", erased, err)
	}
	giveUp(t, hold, record) // by the consumer, which has been trying it again
	for letter, err := range log.Dead(t.Context(), "") {
		t.Errorf("the dead letter %+v is there, %v", letter, err)
	}
	if stats, err := log.Stats(t.Context()); err != nil || stats.Erased != 0 {
		t.Errorf("%d events of the log are erased, %v, want 0: it was deleted before", stats.Erased, err)
	}
}

// TestOfLettersThatAreGoneNoByteIsLeft, neither in the file nor in its write-ahead log, once
// something is erased: it finds only what is still there.
func TestOfLettersThatAreGoneNoByteIsLeft(t *testing.T) {
	log := mustOpen(t, newURL(t))
	person := event("1")
	person.Subject, person.Data = "tom", bytes.Repeat([]byte("what tom has done, "), 1000)
	mustAppend(t, log, person)
	record := mustRead(t, log, 0)[0]
	for name, end := range map[string]func(eventlog.Hold) error{
		"handled":   func(hold eventlog.Hold) error { return hold.RemoveDead(t.Context(), 1) },
		"deleted":   func(hold eventlog.Hold) error { return hold.Delete(t.Context()) },
		"discarded": func(eventlog.Hold) error { _, err := log.Discard(t.Context(), "discarded"); return err },
		"replaced": func(hold eventlog.Hold) error {
			other := record
			other.Subject, other.Data = "", nil
			return hold.PutDead(t.Context(), eventlog.DeadLetter{Record: other, Tries: 2, Reason: "no", GaveUp: time.Now()})
		},
	} {
		t.Run(name, func(t *testing.T) {
			hold, err := log.Hold(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			giveUp(t, hold, record)
			if err := end(hold); err != nil {
				t.Fatal(err)
			}
			copied := image(t, log.path)
			erasing := mustOpen(t, "sqlite:"+copied)
			if _, err := erasing.Erase(t.Context(), person.Source, "tom"); err != nil {
				t.Fatal(err)
			}
			mustClose(t, erasing)
			content, err := os.ReadFile(copied)
			if err != nil || bytes.Contains(content, []byte("what tom has done")) {
				t.Errorf("the file still has it, or %v", err)
			}
		})
	}
}

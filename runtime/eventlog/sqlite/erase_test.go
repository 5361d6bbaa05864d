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

package sqlite

import (
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

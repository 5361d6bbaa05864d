package memory_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/eventlogtest"
)

// memories counts those that were asked for: no two tests share one.
var memories atomic.Int64

func TestMemoryKeepsTheContract(t *testing.T) {
	eventlogtest.Run(t, eventlogtest.Engine{
		URL:        func(t testing.TB) string { return fmt.Sprint("memory:", memories.Add(1)) },
		Durability: eventlog.None,
	})
}

func TestMemoryCountsNoBytesOfWhatItRefuses(t *testing.T) {
	log, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	one := eventlog.Event{ID: "1", Type: "order.placed", Schema: "shop.v1.OrderEvent", Data: []byte("some")}
	bytes := func() int64 {
		stats, err := log.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return stats.Bytes
	}
	if _, err := log.Append(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	before := bytes()
	two, conflict := one, one
	two.ID, conflict.Data = "2", []byte("something else")
	if _, err := log.Append(t.Context(), two, conflict); !errors.Is(err, eventlog.ErrConflict) {
		t.Fatalf("got %v, want a conflict", err)
	}
	if after := bytes(); after != before {
		t.Errorf("%d bytes, want %d", after, before)
	}
	if _, err := log.Append(t.Context(), one, two); err != nil || bytes() <= before {
		t.Errorf("%d bytes with one more, %v; want more than %d", bytes(), err, before)
	}
}

// TestMemoryGivesDeadLettersAway checks that who reads a dead letter may change its
// data: the log has its own.
func TestMemoryGivesDeadLettersAway(t *testing.T) {
	log, err := eventlog.Open(t.Context(), fmt.Sprint("memory:", memories.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	event := eventlog.Event{ID: "1", Type: "order.placed", Schema: "shop.v1.OrderEvent", Data: []byte("some")}
	receipts, err := log.Append(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	hold, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	letter := eventlog.DeadLetter{Record: eventlog.Record{Event: event, Position: receipts[0].Position}}
	if err := hold.PutDead(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	for letter, err := range log.Dead(t.Context(), "mailer") {
		if err != nil {
			t.Fatal(err)
		}
		copy(letter.Data, "dead")
	}
	if _, err := log.Retry(t.Context(), "mailer"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		letters, err := hold.Retries(t.Context())
		if err != nil || len(letters) != 1 || string(letters[0].Data) != "some" {
			t.Fatalf("got %v, %v; want one letter with the data that was stored", letters, err)
		}
		copy(letters[0].Data, "again")
	}
}

package nats_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Appends of one event share batches. Each gets its own answer all the same, if others of
// its batch are duplicates or in conflict, or their callers leave.
func TestAppendsThatShareABatchGetTheirOwnAnswers(t *testing.T) {
	s := start(t, &server.Options{SyncAlways: true, HTTPHost: "127.0.0.1", HTTPPort: -1})
	log := open(t, "nats://"+hosts(s)+"/EVENTS?monitor=http://"+s.MonitorAddr().String())
	event := func(id int, data string) eventlog.Event {
		return eventlog.Event{ID: fmt.Sprint(id), Source: "shop", Type: "order.placed", Schema: "shop.v1.OrderEvent", Data: []byte(data)}
	}
	const callers = 600
	for id := range callers {
		if id%3 == 0 {
			if _, err := log.Append(t.Context(), event(id, "first")); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := stored(t, log)
	var all sync.WaitGroup
	for id := range callers {
		all.Go(func() {
			ctx, data := t.Context(), "first"
			if id%30 == 0 {
				data = "other"
			}
			if id%7 == 1 {
				leaving, cancel := context.WithCancel(ctx)
				go cancel()
				_, err := log.Append(leaving, event(id, data))
				if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, eventlog.ErrConflict) {
					return
				}
			}
			receipts, err := log.Append(ctx, event(id, data))
			switch {
			case id%30 == 0:
				if !errors.Is(err, eventlog.ErrConflict) {
					t.Errorf("event %d, which is in conflict: %v", id, err)
				}
			case err != nil:
				t.Errorf("event %d: %v", id, err)
			case id%3 == 0 && !receipts[0].Duplicate:
				t.Errorf("event %d is stored a second time, at %d", id, receipts[0].Position)
			case id%3 == 0 && before[fmt.Sprint(id)] != receipts[0].Position:
				t.Errorf("event %d is a duplicate of %d, want %d", id, receipts[0].Position, before[fmt.Sprint(id)])
			}
		})
	}
	all.Wait()
	after := stored(t, log)
	for id := range callers {
		if _, ok := after[fmt.Sprint(id)]; !ok && id%7 != 1 {
			t.Errorf("event %d is not stored", id)
		}
	}
}

// stored returns the positions of all events of a log, each of which must be there once.
func stored(t *testing.T, log eventlog.Log) map[string]eventlog.Position {
	t.Helper()
	positions := map[string]eventlog.Position{}
	for record, err := range log.Read(t.Context(), eventlog.From{}) {
		if err != nil {
			t.Fatal(err)
		}
		if before, ok := positions[record.ID]; ok {
			t.Errorf("event %s is stored at %d and at %d", record.ID, before, record.Position)
		}
		positions[record.ID] = record.Position
	}
	return positions
}

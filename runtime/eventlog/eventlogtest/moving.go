package eventlogtest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// movedRecords returns events as another log has them, at positions from a first one on.
func movedRecords(prefix string, first eventlog.Position, count int) []eventlog.Record {
	records := make([]eventlog.Record, count)
	for i, event := range events(prefix, count) {
		event.Time = time.Date(2020, 1, 1, 0, 0, i, 123, time.UTC)
		records[i] = eventlog.Record{Event: event, Position: first + eventlog.Position(i), Recorded: time.Date(2021, 1, 1, 0, 0, int(first)+i, 456, time.UTC)}
	}
	return records
}

// imports: events of another log are stored as they were there, in their order, and only
// after those that are here. An engine need not take any.
func (e Engine) imports(t *testing.T) {
	log, ok := e.empty(t).(eventlog.ImportLog)
	if !ok {
		t.Skip("this log takes no events of others")
	}
	known := withSchema("versioned", orderSchema("id"))
	first := movedRecords("a", 5, 3)
	first[1].Version, first[1].Schema = known.Version, known.Schema
	first[2].Erased, first[2].Subject, first[2].Data = true, "", nil
	positions, err := log.Import(within(t), 0, first)
	if err != nil || len(positions) != 3 || positions[0] < 1 || positions[1] != positions[0]+1 || positions[2] != positions[0]+2 {
		t.Fatalf("the positions are %v, %v", positions, err)
	}
	_, err = log.Import(within(t), positions[1], movedRecords("b", 8, 1))
	if !errors.Is(err, eventlog.ErrConflict) {
		t.Errorf("an import after an event that is not the last: %v, want ErrConflict", err)
	}
	again := append([]eventlog.Record{first[0]}, movedRecords("c", 8, 2)...)
	more, err := log.Import(within(t), positions[2], again)
	if err != nil || !slices.Equal(more, []eventlog.Position{0, positions[2] + 1, positions[2] + 2}) {
		t.Errorf("the positions of events one of which is there already are %v, %v, want none and the next ones", more, err)
	}
	other := movedRecords("a", 11, 1)
	other[0].Data = []byte("something else")
	if _, err = log.Import(within(t), more[2], other); !errors.Is(err, eventlog.ErrConflict) {
		t.Errorf("an import of another event with an id that is there: %v, want ErrConflict", err)
	}
	if receipts := mustAppend(t, log, first[1].Event, event("later")); !receipts[0].Duplicate || receipts[0].Position != positions[1] || receipts[1].Position != more[2]+1 {
		t.Errorf("the receipts after an import are %+v", receipts)
	}
	want := append(first, again[1:]...)
	records := mustRead(t, log, eventlog.From{})
	if len(records) != len(want)+1 {
		t.Fatalf("there are the events %v", idsOf(records))
	}
	for i, record := range want {
		got := records[i]
		if got.ID != record.ID || !got.Time.Equal(record.Time) || !got.Recorded.Equal(record.Recorded) || got.Erased != record.Erased ||
			got.Version != record.Version || !got.Same(&record.Event) {
			t.Errorf("event %d is %+v, want %+v", i, got, record)
		}
	}
	if schemas := mustSchemas(t, log); len(schemas) != 1 || schemas[0].Version != known.Version {
		t.Errorf("the log has the schemas %v", versionsOf(schemas))
	}
	since := mustRead(t, log, eventlog.Since(first[1].Recorded))
	if len(since) != len(want) || since[0].ID != first[1].ID {
		t.Errorf("the events since the second was recorded are %v", idsOf(since))
	}
	if late := mustRead(t, log, eventlog.Since(time.Now().Add(time.Hour))); len(late) > 0 {
		t.Errorf("the events since the future are %v", idsOf(late))
	}
	stats, err := log.Stats(within(t))
	if err != nil || !stats.Oldest.Equal(first[0].Recorded) || stats.Events != 6 || stats.Erased != 1 {
		t.Errorf("the figures are %+v, %v", stats, err)
	}
}

// erases: what events say of a subject is gone, and that they were there is known. An
// engine need not erase.
func (e Engine) erases(t *testing.T) {
	log, ok := e.empty(t).(eventlog.EraseLog)
	if !ok {
		t.Skip("nothing can be erased from this log")
	}
	other, elsewhere := event("other"), event("elsewhere")
	other.Subject, elsewhere.Source = "tom", "app"
	receipts := mustAppend(t, log, event("a"), other, event("b"), elsewhere)
	if some, err := log.Erase(within(t), "shop", "jerry", receipts[1].Position, receipts[3].Position); err != nil || some != (eventlog.Erasure{}) {
		t.Errorf("%+v was erased of others, %v", some, err)
	}
	hold := mustHold(t, log, "mailer")
	read := mustRead(t, log, eventlog.From{})
	for _, record := range read[:3] {
		if err := hold.PutDead(within(t), eventlog.DeadLetter{Record: record, Tries: 1, Reason: "no", GaveUp: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	if some, err := log.Erase(within(t), "shop", "jerry", receipts[2].Position, receipts[1].Position); err != nil || some != (eventlog.Erasure{Events: 1, Letters: 1}) {
		t.Errorf("%+v was erased at one position, %v", some, err)
	}
	if records := mustRead(t, log, eventlog.From{}); records[0].Erased || len(letters(t, log, "")) != 2 {
		t.Errorf("more was erased than what is at one position: %+v", records)
	}
	erased, err := log.Erase(within(t), "shop", "jerry")
	if err != nil || erased != (eventlog.Erasure{Events: 1, Letters: 1}) {
		t.Errorf("%+v was erased, %v", erased, err)
	}
	if again, err := log.Erase(within(t), "shop", "jerry"); err != nil || again != (eventlog.Erasure{}) {
		t.Errorf("%+v was erased the second time, %v", again, err)
	}
	stats, err := log.Stats(within(t))
	if err != nil || stats.Erased != 2 {
		t.Errorf("%d events are erased, %v", stats.Erased, err)
	}
	for _, record := range mustRead(t, log, eventlog.From{}) {
		isErased := record.ID == "a" || record.ID == "b"
		if record.Erased != isErased || isErased && (record.Subject != "" || len(record.Data) > 0 || record.Schema == "") || !isErased && len(record.Data) == 0 {
			t.Errorf("the log has %+v", record)
		}
	}
	for _, record := range read { // as consumers do that read them before
		if err := hold.PutDead(within(t), eventlog.DeadLetter{Record: record, Tries: 1, Reason: "no", GaveUp: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	if dead := letters(t, log, ""); len(dead) != 2 || dead[0].ID != "other" || dead[1].ID != "elsewhere" {
		t.Errorf("the dead letters are %+v, want those of events that are not erased", dead)
	}
	sent := event("a")
	sent.Data = []byte("with another encoding")
	if got := mustAppend(t, log, sent); !got[0].Duplicate || got[0].Position != receipts[0].Position {
		t.Errorf("an event that is sent again is %+v, want a duplicate at position %d", got[0], receipts[0].Position)
	}
	mustAppend(t, log, event("last"))
	var handled seen
	consumer := consume(t, func(ctx context.Context) error {
		return eventlog.Consume(ctx, log, "counter", handled.handle, fast(eventlog.Concurrency(1))...)
	})
	eventually(t, "the last event is handled", func() bool { return slices.Contains(handled.all(), "last") })
	consumer.stop(t)
	if got := handled.all(); !slices.Equal(got, []string{"other", "elsewhere", "last"}) {
		t.Errorf("a consumer handled %v", got)
	}
}

// erasesLettersOfDeletedEvents: a letter that a consumer is trying again while it is erased
// does not come back, also if its event is deleted, so that nothing else of it is left.
func (e Engine) erasesLettersOfDeletedEvents(t *testing.T) {
	if e.Delete == nil {
		t.Skip("this engine keeps everything")
	}
	url := e.URL(t)
	log, ok := open(t, url).(eventlog.EraseLog)
	if !ok {
		t.Skip("nothing can be erased from this log")
	}
	receipts := mustAppend(t, log, event("a"), event("b"))
	hold := mustHold(t, log, "mailer")
	letter := eventlog.DeadLetter{Record: mustRead(t, log, eventlog.From{})[0], Tries: 1, Reason: "no", GaveUp: time.Now()}
	must(t, hold.PutDead(within(t), letter))
	e.Delete(t, url, receipts[0].Position)
	if erased, err := log.Erase(within(t), "shop", "jerry"); err != nil || erased != (eventlog.Erasure{Events: 1, Letters: 1}) {
		t.Errorf("%+v was erased, %v", erased, err)
	}
	must(t, hold.PutDead(within(t), letter))
	if dead := letters(t, log, ""); len(dead) > 0 {
		t.Errorf("the dead letters are %+v, want none", dead)
	}
}

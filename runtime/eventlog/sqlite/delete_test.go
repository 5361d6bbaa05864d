package sqlite_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

func TestDeleteDeletesTheEventsAtSomePositions(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "events.db")
	log, err := eventlog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	event := func(id string) eventlog.Event {
		return eventlog.Event{ID: id, Type: "t", Schema: "s", Data: []byte(id)}
	}
	receipts, err := log.Append(t.Context(), event("a"), event("b"), event("c"), event("d"), event("e"))
	if err != nil {
		t.Fatal(err)
	}
	deleting := log.(eventlog.DeleteLog)
	if err := deleting.Delete(t.Context(), receipts[1].Position, receipts[3].Position, receipts[4].Position+100); err != nil {
		t.Fatal(err)
	}
	if err := deleting.Delete(t.Context()); err != nil {
		t.Error(err)
	}
	again, err := log.Append(t.Context(), event("d"), event("e"))
	if err != nil || again[0].Duplicate || !again[1].Duplicate {
		t.Errorf("a deleted event and another one are appended again: %+v, %v", again, err)
	}
	var ids []string
	for record, err := range log.Read(t.Context(), eventlog.From{}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, record.ID)
	}
	if !slices.Equal(ids, []string{"a", "c", "e", "d"}) {
		t.Errorf("the log has %q", ids)
	}
	reader, err := eventlog.OpenReader(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	if err := reader.(eventlog.DeleteLog).Delete(t.Context(), receipts[0].Position); !errors.Is(err, eventlog.ErrReadOnly) {
		t.Errorf("in a log that is read: %v", err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := deleting.Delete(t.Context(), receipts[0].Position); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("in a closed log: %v", err)
	}
}

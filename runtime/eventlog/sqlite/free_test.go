package sqlite

import (
	"bytes"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// What is free is on the device and, after events were deleted, in the file.
func TestStatsHaveWhatIsFree(t *testing.T) {
	defer func() { deviceFree = statFree }()
	log := mustOpen(t, newURL(t))
	defer mustClose(t, log)
	free := func() *int64 {
		t.Helper()
		stats, err := log.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return stats.Free
	}
	if got := free(); got == nil || *got <= 0 {
		t.Errorf("on this machine %v is free", got)
	}
	deviceFree = func(string) (int64, bool) { return 12345, true }
	if got := free(); got == nil || *got != 12345 {
		t.Errorf("%v is free, want what the device has", got)
	}
	event := eventlog.Event{ID: "a", Type: "t", Schema: "s", Data: bytes.Repeat([]byte("x"), 1<<20)}
	if _, err := log.Append(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	if _, err := log.changes.ExecContext(t.Context(), "DELETE FROM events"); err != nil {
		t.Fatal(err)
	}
	if got := free(); got == nil || *got < 12345+1<<20 {
		t.Errorf("%v is free, want also what the deleted event took", got)
	}
	deviceFree = func(string) (int64, bool) { return 0, false }
	if got := free(); got != nil {
		t.Errorf("%d is free, want that it is not known", *got)
	}
}

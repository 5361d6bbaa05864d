package sqlite

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// version1 made the files of schema version 1, word for word.
const version1 = `
	CREATE TABLE events (
		position INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice
		source   TEXT NOT NULL,
		id       TEXT NOT NULL,
		type     TEXT NOT NULL,
		subject  TEXT NOT NULL,
		time     TEXT NOT NULL, -- when it happened: 2006-01-02T15:04:05.000000000Z
		recorded TEXT NOT NULL, -- when it was stored, in the same format
		schema   TEXT NOT NULL, -- full name of the protobuf message in data
		data     BLOB NOT NULL,
		UNIQUE (source, id)
	);
	PRAGMA application_id = 1702259815;
	PRAGMA user_version = 1;
	PRAGMA journal_mode = wal;
	INSERT INTO events (position, recorded, source, id, type, subject, time, schema, data) VALUES
		(7, '2026-11-01T00:00:00.000000000Z', 'shop', 'a', 'order.placed', 'jerry', '2026-11-01T00:00:00.000000000Z', 'shop.v1.OrderEvent', CAST('data of a' AS BLOB));`

func TestAFileOfVersion1IsBroughtUpToDate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	onDatabase(t, path, version1)
	log := mustOpen(t, "sqlite:"+path)
	if got := mustAppend(t, log, event("a"), event("b")); !got[0].Duplicate || got[0].Position != 7 || got[1].Position != 8 {
		t.Errorf("receipts %+v", got)
	}
	hold, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	if err := hold.Commit(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	mustClose(t, log)
	log = mustOpen(t, "sqlite:"+path)
	if got := ids(mustRead(t, log, 0)); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("stored %v, want [a b]", got)
	}
}

func TestOneOfManyMakesTheSchema(t *testing.T) {
	url := newURL(t)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			log, err := eventlog.Open(t.Context(), url)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { _ = log.Close() })
			mustAppend(t, log, event(fmt.Sprint(i)))
		})
	}
	group.Wait()
	if got := len(mustRead(t, mustOpen(t, url), 0)); got != 8 {
		t.Errorf("%d events, want 8", got)
	}
}

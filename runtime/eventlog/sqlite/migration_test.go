package sqlite

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// version4 is what made the files of schema version 4 out of those of version 1, word for
// word, and a dead letter of then.
const version4 = `
	CREATE TABLE consumers (
		number INTEGER PRIMARY KEY, -- names the file that is locked while it runs
		name   TEXT NOT NULL UNIQUE,
		place  INTEGER -- the position up to which it has handled everything; NULL: it is new
	);
	CREATE TABLE dead_letters ( -- whole, so that they outlast the events
		consumer TEXT NOT NULL,
		position INTEGER NOT NULL, -- this and the next as in events
		source   TEXT NOT NULL,
		id       TEXT NOT NULL,
		type     TEXT NOT NULL,
		subject  TEXT NOT NULL,
		time     TEXT NOT NULL,
		recorded TEXT NOT NULL,
		schema   TEXT NOT NULL,
		data     BLOB NOT NULL,
		tries    INTEGER NOT NULL,
		reason   TEXT NOT NULL, -- the error of the last try
		buried   TEXT NOT NULL, -- when the consumer gave up
		retrying INTEGER NOT NULL, -- 1: to be tried again
		UNIQUE (consumer, position)
	);
	CREATE INDEX dead_letters_retrying ON dead_letters (consumer, position) WHERE retrying;
	ALTER TABLE consumers ADD COLUMN failure TEXT;
	CREATE TABLE clock ( -- by which max-age counts; it has rows once the wall clock has jumped while the log was open
		position INTEGER NOT NULL, -- of the last event then
		time     TEXT NOT NULL, -- that the clock showed, in the format of events
		ahead    INTEGER NOT NULL -- by how many nanoseconds the wall clock was ahead of it from then on
	);
	PRAGMA user_version = 4;
	INSERT INTO dead_letters (consumer, position, recorded, source, id, type, subject, time, schema, data, tries, reason, buried, retrying) VALUES
		('mailer', 7, '2026-11-01T00:00:00.000000000Z', 'shop', 'a', 'order.placed', 'jerry', '2026-11-01T00:00:00.000000000Z', 'shop.v1.OrderEvent', CAST('data of a' AS BLOB),
		10, 'no route', '2026-11-02T00:00:00.000000000Z', 0);`

// TestAFileOfVersion4GetsTraceParents: what was stored without one has none, and what is
// appended then is stored with its own.
func TestAFileOfVersion4GetsTraceParents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	onDatabase(t, path, version1+version4)
	log := mustOpen(t, "sqlite:"+path)
	traced := event("b")
	traced.Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if got := mustAppend(t, log, event("a"), traced); !got[0].Duplicate || got[1].Position != 8 {
		t.Errorf("receipts %+v", got)
	}
	records := mustRead(t, log, 0)
	if len(records) != 2 || records[0].Traceparent != "" || string(records[0].Data) != "data of a" || records[1].Traceparent != traced.Traceparent {
		t.Errorf("stored %+v", records)
	}
	for letter, err := range log.Dead(t.Context(), "mailer") {
		if err != nil || letter.Traceparent != "" || string(letter.Data) != "data of a" || letter.Reason != "no route" {
			t.Errorf("the dead letter is %+v, %v", letter, err)
		}
	}
}

// TestANewLayoutIsLogged: once, and only for a file that had another.
func TestANewLayoutIsLogged(t *testing.T) {
	var out strings.Builder
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, nil)))
	defer slog.SetDefault(before)
	path := filepath.Join(t.TempDir(), "events.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	onDatabase(t, path, version1+version4)
	mustClose(t, mustOpen(t, "sqlite:"+path))
	want := fmt.Sprintf("log=%s layout=%d before=4\n", path, len(migrations))
	if got := out.String(); !strings.Contains(got, "level=INFO") || !strings.HasSuffix(got, want) || strings.Count(got, "\n") != 1 {
		t.Errorf("logged %q, want a line with %q", got, want)
	}
	out.Reset()
	mustClose(t, mustOpen(t, "sqlite:"+path))
	mustClose(t, mustOpen(t, newURL(t)))
	if out.Len() > 0 {
		t.Errorf("without a change it logs %q", out.String())
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

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

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

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

// version5 is what made the files of schema version 5 out of those of version 4, and events
// of messages that this program knows, knows by a former name, and does not know.
const version5 = `
	ALTER TABLE events ADD COLUMN traceparent TEXT NOT NULL DEFAULT '';
	ALTER TABLE dead_letters ADD COLUMN traceparent TEXT NOT NULL DEFAULT '';
	PRAGMA user_version = 5;
	INSERT INTO events (position, recorded, source, id, type, subject, time, schema, data)
		SELECT 7 + value, '2026-11-01T00:00:00.000000000Z', 'shop', 'id' || value, 't', '', '2026-11-01T00:00:00.000000000Z',
			iif(value % 2, 'google.protobuf.Duration', 'shop.v1.Pause'), CAST('data' AS BLOB)
		FROM (WITH RECURSIVE numbers (value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM numbers WHERE value < 4) SELECT value FROM numbers);`

// TestAFileOfVersion5GetsSchemas of what this program knows, which are marked as assumed.
func TestAFileOfVersion5GetsSchemas(t *testing.T) {
	eventlog.RegisterMessage[*durationpb.Duration]("shop.v1.Pause")
	duration := eventlog.SchemaOf((&durationpb.Duration{}).ProtoReflect().Descriptor())
	path := filepath.Join(t.TempDir(), "events.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	onDatabase(t, path, version1+version4+version5)
	mustClose(t, mustOpen(t, "sqlite:"+path))
	log := mustOpen(t, "sqlite:"+path) // which changes nothing more
	raw, one, two := event("raw"), event("one"), event("two")
	raw.Schema, one.Schema, two.Schema = "google.protobuf.Duration", "shop.v1.OrderEvent", "google.protobuf.Duration"
	two.Version = duration.Version
	mustAppend(t, log, raw, one, two)
	var got []string
	for _, record := range mustRead(t, log, 0) {
		got = append(got, fmt.Sprint(record.Position, record.Version))
	}
	want := []string{"7", "8" + duration.Version, "9" + duration.Version, "10" + duration.Version, "11" + duration.Version, "12", "13", "14" + duration.Version}
	if !slices.Equal(got, want) {
		t.Errorf("the events have the versions %q, want %q", got, want)
	}
	schemas, err := log.Schemas(t.Context())
	if err != nil || len(schemas) != 1 || !schemas[0].Assumed || schemas[0].Version != duration.Version || !proto.Equal(schemas[0].Files, duration.Files) {
		t.Errorf("the schemas are %v (%v), want that of a Duration, assumed", schemas, err)
	}
	// What nobody knew before, another program knows.
	mustClose(t, log)
	eventlog.RegisterMessage[*emptypb.Empty]("shop.v1.OrderEvent")
	empty := eventlog.SchemaOf((&emptypb.Empty{}).ProtoReflect().Descriptor())
	log = mustOpen(t, "sqlite:"+path)
	if records := mustRead(t, log, 0); records[0].Version != empty.Version || records[6].Version != "" {
		t.Errorf("the events of a message that is known later have the versions %q and %q, want %q and none", records[0].Version, records[6].Version, empty.Version)
	}
	for letter, err := range log.Dead(t.Context(), "mailer") {
		if err != nil || letter.Version != empty.Version {
			t.Errorf("the dead letter has the version %q (%v), want %q", letter.Version, err, empty.Version)
		}
	}
	if schemas, err := log.Schemas(t.Context()); err != nil || len(schemas) != 2 {
		t.Errorf("the schemas are %v (%v), want two", schemas, err)
	}
}

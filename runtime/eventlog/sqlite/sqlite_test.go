package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// newURL names a log that does not exist yet.
func newURL(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "events.db")
}

func mustOpen(t testing.TB, url string) *fileLog {
	t.Helper()
	log, err := eventlog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log.(*fileLog)
}

func mustAppend(t testing.TB, log eventlog.Log, events ...eventlog.Event) []eventlog.Receipt {
	t.Helper()
	receipts, err := log.Append(t.Context(), events...)
	if err != nil {
		t.Fatal(err)
	}
	return receipts
}

func mustClose(t testing.TB, log eventlog.Log) {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t testing.TB, log eventlog.Log, after eventlog.Position) (records []eventlog.Record) {
	t.Helper()
	for record, err := range log.Read(t.Context(), eventlog.After(after)) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	return records
}

// event is a valid event with an id.
func event(id string) eventlog.Event {
	return eventlog.Event{ID: id, Source: "shop", Type: "order.placed", Subject: "jerry", Schema: "shop.v1.OrderEvent", Data: []byte("data of " + id)}
}

// other is another event with the same id.
func other(id string) eventlog.Event {
	event := event(id)
	event.Data = []byte("something else")
	return event
}

func ids(records []eventlog.Record) []string {
	var ids []string
	for _, record := range records {
		ids = append(ids, record.ID)
	}
	return ids
}

// onDatabase runs a statement on the log's file, as any SQLite tool could.
func onDatabase(t testing.TB, path, statement string) {
	t.Helper()
	db := newPool(path, "mode=rw")
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// holdLock keeps the log's appends waiting until the returned function is called.
func holdLock(t testing.TB, log *fileLog) (release func()) {
	t.Helper()
	db := newPool(log.path, "mode=rw")
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() {
		_ = conn.Close()
		_ = db.Close()
	})
	t.Cleanup(release)
	return release
}

// waitFor waits until that many appends are in the queue.
func (l *fileLog) waitFor(t testing.TB, appends int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		l.appender.mu.Lock()
		waiting := len(l.appender.waiting)
		l.appender.mu.Unlock()
		if waiting == appends {
			return
		}
	}
	t.Fatalf("there are never %d appends waiting", appends)
}

// occupy makes the log's writer wait with an append of its own, so that the
// next ones stay in the queue.
func occupy(t testing.TB, log *fileLog) (release func()) {
	t.Helper()
	release = holdLock(t, log)
	occupant := newAppendCall([]eventlog.Event{event("occupant")}, 0)
	if err := log.appender.enqueue(occupant); err != nil {
		t.Fatal(err)
	}
	log.waitFor(t, 0) // the writer has taken it
	return release
}

func TestPositionsAreNeverUsedAgain(t *testing.T) {
	url := newURL(t)
	log := mustOpen(t, url)
	last := mustAppend(t, log, event("1"), event("2"))[1].Position
	onDatabase(t, log.path, "DELETE FROM events")
	if got := mustAppend(t, log, event("3"))[0].Position; got <= last {
		t.Errorf("position %d after %d was deleted", got, last)
	}
}

// What events of one statement have in common is given once, so each must get it, and
// nothing that is another's.
func TestEventsOfATransactionHaveTheirOwnValues(t *testing.T) {
	log := mustOpen(t, newURL(t))
	version := eventlog.SchemaOf((&wrapperspb.StringValue{}).ProtoReflect().Descriptor()).Version
	var appended []eventlog.Event
	for i := range 2*maxInsert + 7 {
		event := event(fmt.Sprint(i))
		event.Time = time.Unix(int64(i), 7).UTC()
		if i%2 == 0 {
			event.Source, event.Traceparent = "", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		}
		if i%3 == 0 {
			event.Type, event.Version = "order.paid", version
		}
		if i%5 == 0 {
			event.Schema, event.Subject = "google.protobuf.StringValue", ""
		}
		appended = append(appended, event)
	}
	mustAppend(t, log, appended...)
	records := mustRead(t, log, 0)
	if len(records) != len(appended) {
		t.Fatalf("%d events, want %d", len(records), len(appended))
	}
	for i, record := range records {
		if !reflect.DeepEqual(record.Event, appended[i]) || record.Position != eventlog.Position(i+1) {
			t.Errorf("event %d is %+v, want %+v", i, record, appended[i])
		}
	}
}

// Appends that share a transaction must not notice each other.
func TestNeighboursInATransaction(t *testing.T) {
	type outcome struct {
		duplicates []bool // nil: a conflict
	}
	stored := func(duplicates ...bool) outcome { return outcome{duplicates} }
	conflict := outcome{}
	many := func(prefix string, count int) (events []eventlog.Event) {
		for i := range count {
			events = append(events, event(fmt.Sprint(prefix, i)))
		}
		return events
	}
	tests := []struct {
		name    string
		appends [][]eventlog.Event // in this order in one transaction; "known" is stored before
		want    []outcome
		stored  []string
	}{
		{"nothing in common", [][]eventlog.Event{{event("a")}, {event("b"), event("c")}},
			[]outcome{stored(false), stored(false, false)}, []string{"a", "b", "c"}},
		{"no events", [][]eventlog.Event{{}, {event("a")}},
			[]outcome{stored([]bool{}...), stored(false)}, []string{"a"}},
		{"the same event twice", [][]eventlog.Event{{event("a")}, {event("a")}},
			[]outcome{stored(false), stored(true)}, []string{"a"}},
		{"the same event twice in one append", [][]eventlog.Event{{event("a"), event("a"), event("b")}},
			[]outcome{stored(false, true, false)}, []string{"a", "b"}},
		{"a known event among new ones", [][]eventlog.Event{{event("a"), event("known"), event("b")}, {event("c")}},
			[]outcome{stored(false, true, false), stored(false)}, []string{"a", "b", "c"}},
		{"two events with one id", [][]eventlog.Event{{event("a")}, {other("a")}, {event("b")}},
			[]outcome{stored(false), conflict, stored(false)}, []string{"a", "b"}},
		{"a conflict in the middle", [][]eventlog.Event{{event("a")}, {event("b"), other("known"), event("c")}, {event("d")}},
			[]outcome{stored(false), conflict, stored(false)}, []string{"a", "d"}},
		{"an event of an append with a conflict is new in the next", [][]eventlog.Event{{event("a"), other("known")}, {event("a")}, {other("a")}},
			[]outcome{conflict, stored(false), conflict}, []string{"a"}},
		{"another one takes the id of an append with a conflict", [][]eventlog.Event{{event("a"), other("known")}, {other("a")}},
			[]outcome{conflict, stored(false)}, []string{"a"}},
		{"a conflict behind more than one statement", [][]eventlog.Event{append(many("x", 200), other("known")), {event("a")}},
			[]outcome{conflict, stored(false)}, []string{"a"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			log := mustOpen(t, newURL(t))
			known := mustAppend(t, log, event("known"))[0].Position
			release := occupy(t, log)
			outcomes := make([]outcome, len(test.appends))
			receipts := make([][]eventlog.Receipt, len(test.appends))
			var group sync.WaitGroup
			for i, events := range test.appends {
				group.Go(func() {
					var err error
					receipts[i], err = log.Append(t.Context(), events...)
					switch {
					case errors.Is(err, eventlog.ErrConflict):
					case err != nil:
						t.Error(err)
					default:
						outcomes[i].duplicates = make([]bool, len(events))
						for j, receipt := range receipts[i] {
							outcomes[i].duplicates[j] = receipt.Duplicate
						}
					}
				})
				log.waitFor(t, i+1)
			}
			release()
			group.Wait()
			positions := map[string]eventlog.Position{"known": known}
			var got []string
			for _, record := range mustRead(t, log, known) {
				positions[record.ID] = record.Position
				if record.ID != "occupant" {
					got = append(got, record.ID)
				}
			}
			if !slices.Equal(got, test.stored) {
				t.Errorf("stored %v, want %v", got, test.stored)
			}
			for i, want := range test.want {
				if !slices.Equal(outcomes[i].duplicates, want.duplicates) || (outcomes[i].duplicates == nil) != (want.duplicates == nil) {
					t.Errorf("append %d: %v, want %v", i, outcomes[i], want)
				}
				for j, receipt := range receipts[i] {
					if id := test.appends[i][j].ID; receipt.Position != positions[id] {
						t.Errorf("append %d: %s has receipt %+v and is at %d", i, id, receipt, positions[id])
					}
				}
			}
		})
	}
}

func TestContextEndsWhileWaiting(t *testing.T) {
	log := mustOpen(t, newURL(t))
	release := occupy(t, log)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	leaving := event("left")
	if _, err := log.Append(ctx, leaving); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v, want that the deadline has passed", err)
	}
	copy(leaving.Data, "overwritten") // it is the caller's again
	release()
	mustAppend(t, log, event("a"))
	if got := ids(mustRead(t, log, 0)); !slices.Equal(got, []string{"occupant", "a"}) {
		t.Errorf("stored %v, want that nobody waits for what is not begun", got)
	}
}

func TestContextEndsDuringTheCommit(t *testing.T) {
	log := mustOpen(t, newURL(t))
	release := holdLock(t, log)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := event("begun")
	if _, err := log.Append(ctx, begun); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v, want that the deadline has passed", err)
	}
	copy(begun.Data, "overwritten")
	release()
	mustAppend(t, log, event("a"))
	for _, record := range mustRead(t, log, 0) {
		if want := event(record.ID).Data; !bytes.Equal(record.Data, want) {
			t.Errorf("%s: data %q, want %q", record.ID, record.Data, want)
		}
	}
}

func TestQueueIsBounded(t *testing.T) {
	large := event("large")
	large.Data = make([]byte, maxWaitingBytes/4)
	for name, test := range map[string]struct {
		event eventlog.Event
		fits  int
	}{
		"appends": {event("a"), maxWaitingAppends},
		"bytes":   {large, 3},
	} {
		t.Run(name, func(t *testing.T) {
			log := mustOpen(t, newURL(t))
			release := occupy(t, log)
			var group sync.WaitGroup
			for range test.fits {
				group.Go(func() {
					if _, err := log.Append(t.Context(), test.event); err != nil {
						t.Error(err)
					}
				})
			}
			log.waitFor(t, test.fits)
			if _, err := log.Append(t.Context(), test.event); !errors.Is(err, eventlog.ErrFull) || status.Code(err) != codes.ResourceExhausted {
				t.Errorf("got %v, want that the log is full", err)
			}
			release()
			group.Wait()
			mustAppend(t, log, event("there is room again"))
		})
	}
}

func TestClosingTidiesUp(t *testing.T) {
	log := mustOpen(t, newURL(t))
	mustAppend(t, log, event("a"))
	mustClose(t, log)
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(log.path + suffix); err == nil {
			t.Errorf("%s is left", suffix)
		}
	}
}

func TestDiskFull(t *testing.T) {
	log := mustOpen(t, newURL(t))
	before := event("before")
	mustAppend(t, log, before)
	limit := func(pages int) {
		t.Helper()
		var got int
		if err := log.appender.writer.conn.QueryRowContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)).Scan(&got); err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // SQLite makes that the present number of pages
	large := event("large")
	large.Data = make([]byte, 64<<10)
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			large := large
			large.ID = fmt.Sprint(large.ID, i)
			_, err := log.Append(t.Context(), large)
			if !errors.Is(err, eventlog.ErrFull) || status.Code(err) != codes.ResourceExhausted {
				t.Errorf("got %v, want that the log is full", err)
			}
			if text := status.Convert(err).Message(); strings.Contains(text, "SQL") {
				t.Errorf("callers see %q", text)
			}
		})
	}
	group.Wait()
	if got := ids(mustRead(t, log, 0)); !slices.Equal(got, []string{"before"}) {
		t.Errorf("stored %v, want [before]", got)
	}
	limit(1 << 30)
	if mustAppend(t, log, large)[0].Duplicate || !mustAppend(t, log, before)[0].Duplicate {
		t.Error("want the large one to be new and the first to be a duplicate")
	}
}

func TestStorageFails(t *testing.T) {
	log := mustOpen(t, newURL(t))
	mustAppend(t, log, event("a"))
	if _, err := log.appender.writer.conn.ExecContext(t.Context(), "PRAGMA query_only = 1"); err != nil {
		t.Fatal(err)
	}
	_, err := log.Append(t.Context(), event("b"))
	if !errors.Is(err, eventlog.ErrUnavailable) || status.Code(err) != codes.Unavailable {
		t.Errorf("got %v, want that the log is unavailable", err)
	}
	mustAppend(t, log, event("c"))
	if got := ids(mustRead(t, log, 0)); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("stored %v, want [a c]", got)
	}
}

// A device that hangs lets no call fail: only the time that it takes shows it.
func TestALogIsUnavailableWhileACommitTakesTooLong(t *testing.T) {
	for name, test := range map[string]struct {
		underWay func(*fileLog) *stopwatch
		commit   func(*fileLog, eventlog.Hold) error
	}{
		"an append": {
			func(log *fileLog) *stopwatch { return &log.appender.underWay },
			func(log *fileLog, _ eventlog.Hold) error { _, err := log.Append(t.Context(), event("a")); return err },
		},
		"a change": {
			func(log *fileLog) *stopwatch { return &log.underWay },
			func(_ *fileLog, place eventlog.Hold) error { return place.Commit(t.Context(), 1) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			log := mustOpen(t, newURL(t))
			place, err := log.Hold(t.Context(), "mailer")
			if err != nil {
				t.Fatal(err)
			}
			release := holdLock(t, log)
			ended := make(chan error, 1)
			go func() { ended <- test.commit(log, place) }()
			underWay := test.underWay(log)
			await(t, "it is under way", func() bool {
				underWay.mu.Lock()
				defer underWay.mu.Unlock()
				if underWay.since.IsZero() {
					return false
				}
				underWay.since = underWay.since.Add(-maxWait) // as if it had been for so long
				return true
			})
			if err := log.Check(t.Context()); !errors.Is(err, eventlog.ErrUnavailable) {
				t.Errorf("got %v, want that the log is unavailable", err)
			}
			release()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if err := log.Check(t.Context()); err != nil {
				t.Errorf("it has ended, and the log is not well: %v", err)
			}
		})
	}
}

// Dead letters that are tried again are asked for twice a second, as long as
// that takes, and may be large.
func TestRetriesAreReadOnce(t *testing.T) {
	log := mustOpen(t, newURL(t))
	place, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	const letterSize = eventlog.MaxTakenBytes/2 + 1
	for position := range eventlog.Position(3) {
		letter := eventlog.DeadLetter{Record: eventlog.Record{Event: event(fmt.Sprint(position)), Position: 1 + position}}
		letter.Data = make([]byte, letterSize)
		if err := place.PutDead(t.Context(), letter); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := log.Retry(t.Context(), "mailer"); n != 3 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	retries := func(want ...eventlog.Position) (allocated uint64) {
		t.Helper()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		letters, err := place.Retries(t.Context())
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		var got []eventlog.Position
		for _, letter := range letters {
			if got = append(got, letter.Position); len(letter.Data) != letterSize || !letter.Retrying {
				t.Errorf("the letter at %d has %d bytes; retrying: %v", letter.Position, len(letter.Data), letter.Retrying)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	retries(1, 2) // the third exceeds what may be taken
	if allocated := retries(1, 2); allocated > letterSize/10 {
		t.Errorf("%d bytes for letters that were read before", allocated)
	}
	if err := place.RemoveDead(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	retries(2, 3)
	if got, err := log.letters(t.Context(), "true"); err != nil || len(got) != 1 {
		t.Errorf("%d letters at once, %v; want as many as have %d bytes", len(got), err, letterBytes)
	}
	var dead []eventlog.Position
	for letter, err := range log.Dead(t.Context(), "mailer") {
		if err != nil {
			t.Fatal(err)
		}
		dead = append(dead, letter.Position)
	}
	if want := []eventlog.Position{2, 3}; !slices.Equal(dead, want) {
		t.Errorf("dead letters %v, want %v", dead, want)
	}
}

// What comes before an event that somebody damaged is read, and the error names it.
func TestReadingStopsAtADamagedEvent(t *testing.T) {
	log := mustOpen(t, newURL(t))
	mustAppend(t, log, event("1"), event("2"), event("3"))
	for damage, reason := range map[string]string{
		"recorded = 'yesterday'":                    `"yesterday" is not a time`,
		"time = '2026-11-22'":                       `"2026-11-22" is not a time`,
		"recorded = recorded, time = char(0) || id": `"" is not a time`,
	} {
		onDatabase(t, log.path, "UPDATE events SET "+damage+" WHERE position = 2")
		var read []string
		var last error
		for record, err := range log.Read(t.Context(), eventlog.From{}) {
			if last = err; err == nil {
				read = append(read, record.ID)
			}
		}
		if !slices.Equal(read, []string{"1"}) || !errors.Is(last, eventlog.ErrUnavailable) ||
			!strings.Contains(fmt.Sprint(last), "the event at position 2: ") || !strings.Contains(fmt.Sprint(last), reason) {
			t.Errorf("%s: read %q, then %v", damage, read, last)
		}
		onDatabase(t, log.path, "UPDATE events SET recorded = (SELECT recorded FROM events WHERE position = 1), time = (SELECT time FROM events WHERE position = 1) WHERE position = 2")
	}
}

func TestReaderBesideAWriter(t *testing.T) {
	url := newURL(t)
	log := mustOpen(t, url)
	mustAppend(t, log, event("a"))
	reader, err := eventlog.OpenReader(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { mustClose(t, reader) }()
	mustAppend(t, log, event("b"))
	if got := ids(mustRead(t, reader, 0)); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("read %v, want [a b]", got)
	}
	if _, err := reader.Append(t.Context(), event("c")); !errors.Is(err, eventlog.ErrReadOnly) || status.Code(err) != codes.FailedPrecondition {
		t.Errorf("got %v, want that it is for reading only", err)
	}
	mustClose(t, log)
	log = mustOpen(t, url) // beside the reader, which may have kept the files in use
	mustAppend(t, log, event("c"))
	if got := ids(mustRead(t, reader, 0)); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("read %v, want [a b c]", got)
	}
}

func TestReaderOfAClosedLog(t *testing.T) {
	url := newURL(t)
	log := mustOpen(t, url)
	mustAppend(t, log, event("a"))
	mustClose(t, log)
	reader, err := eventlog.OpenReader(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if got := ids(mustRead(t, reader, 0)); !slices.Equal(got, []string{"a"}) {
		t.Errorf("read %v, want [a]", got)
	}
	mustClose(t, reader)
}

func TestFilesArePrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "directory", "events.db")
	log := mustOpen(t, "sqlite:"+path)
	mustAppend(t, log, event("a"))
	if _, err := log.Hold(t.Context(), "mailer"); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm", "-consumer-1"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%q has mode %v", suffix, info.Mode())
		}
	}
	for dir := filepath.Dir(path); filepath.Base(dir) != "001"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", dir, info.Mode(), err)
		}
	}
}

// A file is only as safe as the directories that lead to it.
func TestNewDirectoriesAreSynced(t *testing.T) {
	sync := syncDirectory
	t.Cleanup(func() { syncDirectory = sync })
	var synced []string
	syncDirectory = func(dir string) error {
		synced = append(synced, dir)
		return sync(dir)
	}
	dir := t.TempDir()
	for _, test := range []struct {
		path string
		want []string
	}{
		{"events.db", nil},
		{"a/b/c/events.db", []string{".", "a", "a/b"}},
		{"a/b/c/again.db", nil},
		{"a/b/d/events.db", []string{"a/b"}},
	} {
		synced = nil
		mustClose(t, mustOpen(t, "sqlite:"+filepath.Join(dir, test.path)))
		var want []string
		for _, below := range test.want {
			want = append(want, filepath.Join(dir, below))
		}
		if !slices.Equal(synced, want) {
			t.Errorf("%s: synced %v, want %v", test.path, synced, want)
		}
	}
}

func TestPaths(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for url, path := range map[string]string{
		"sqlite:plain.db":                     "plain.db",
		"sqlite:./down/../relative.db":        "relative.db",
		"sqlite:" + dir + "/absolute.db":      "absolute.db",
		"sqlite://" + dir + "/slashes.db":     "slashes.db",
		"sqlite:kept.db?max-age=720h":         "kept.db",
		"sqlite:#%20 with 50% 'quotes\".db":   "#%20 with 50% 'quotes\".db",
		"sqlite:größe:x.db":                   "größe:x.db",
		"sqlite::memory:":                     ":memory:",
		"sqlite:no extension/but a directory": "no extension/but a directory",
	} {
		t.Run(path, func(t *testing.T) {
			log := mustOpen(t, url)
			mustAppend(t, log, event("a"))
			t.Chdir(t.TempDir()) // the log stays where it is
			if got := len(mustRead(t, log, 0)); got != 1 {
				t.Errorf("%d records, want 1", got)
			}
			if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Size() == 0 {
				t.Errorf("%v, %v", info, err)
			}
		})
	}
}

func TestRefusedURLs(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	database := func(name, statements string) string {
		path := file(name, "")
		onDatabase(t, path, statements)
		return path
	}
	own := fmt.Sprintf("PRAGMA application_id = %d;", applicationID)
	for name, test := range map[string]struct{ url, says string }{
		"no path":                  {"sqlite:", "want sqlite:PATH"},
		"host":                     {"sqlite://events.db", "want sqlite:PATH"},
		"host and password":        {"sqlite://me:s3cret@host/events", "want sqlite:PATH"},
		"a secret parameter":       {"sqlite:" + dir + "/p.db?password=s3cret", "/p.db: there is no parameter \"password\""},
		"unknown parameter":        {"sqlite:" + dir + "/p.db?mode=memory", `no parameter "mode", only max-age, max-bytes and filesystem`},
		"an age without a unit":    {"sqlite:" + dir + "/p.db?max-age=30", "max-age=30: want a duration, such as 720h"},
		"a size below zero":        {"sqlite:" + dir + "/p.db?max-bytes=-1GB", "max-bytes=-1GB: want a number of bytes, such as 10GB"},
		"a size beyond all":        {"sqlite:" + dir + "/p.db?max-bytes=9999999999TB", "want a number of bytes"},
		"directory":                {"sqlite:" + dir, "is a directory; name a file in it"},
		"below a file":             {"sqlite:" + file("plain", "") + "/x/events.db", "choose a path that this user can use"},
		"not a database":           {"sqlite:" + file("text", "This is not a database."), "is not a SQLite database"},
		"not a database at length": {"sqlite:" + file("longer", strings.Repeat("This is not a database.", 1000)), "is not a SQLite database"},
		"another application's":    {"sqlite:" + database("foreign", "PRAGMA application_id = 1; CREATE TABLE t (x)"), "database of another application"},
		"an anonymous one":         {"sqlite:" + database("anonymous", "CREATE TABLE t (x)"), "database of another application"},
		"newer schema":             {"sqlite:" + database("newer", own+"PRAGMA user_version = 999"), "has version 999 and this program knows versions up to 7"},
	} {
		for open, log := range map[string]func(context.Context, string) (eventlog.Log, error){"to append": eventlog.Open, "to read": eventlog.OpenReader} {
			t.Run(name+"/"+open, func(t *testing.T) {
				path := strings.TrimPrefix(test.url, "sqlite:")
				before, _ := os.ReadFile(path)
				_, err := log(t.Context(), test.url)
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Fatalf("got %v, want that it %s", err, test.says)
				}
				if strings.Contains(err.Error(), "s3cret") {
					t.Errorf("a secret is in %v", err)
				}
				if strings.Count(err.Error(), "\n") > 0 || strings.Contains(err.Error(), "failed to") {
					t.Errorf("not one sentence: %v", err)
				}
				if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
					t.Error("the file has changed")
				}
				if _, err := os.Stat(path + "-wal"); err == nil {
					t.Error("there is a file beside it")
				}
			})
		}
	}
}

// Whoever makes a file closes it, and so ends the locks of all who have opened
// it in this process: they must wait until then.
func TestNobodyOpensAFileThatIsBeingMade(t *testing.T) {
	url := newURL(t)
	log := mustOpen(t, url)
	place, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	with := func(open func(context.Context, string) (eventlog.Log, error)) func() error {
		return func() error {
			log, err := open(t.Context(), url)
			if err != nil {
				return err
			}
			return log.Close()
		}
	}
	for name, open := range map[string]func() error{
		"to append":              with(eventlog.Open),
		"to read":                with(eventlog.OpenReader),
		"to see who has a place": func() error { _, err := log.Stats(t.Context()); return err },
		"to take a place": func() error {
			if _, err := log.Hold(t.Context(), "mailer"); !errors.Is(err, eventlog.ErrHeld) {
				return fmt.Errorf("got %w, want that it is held", err)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			creating.Lock()
			opened := make(chan error, 1)
			go func() { opened <- open() }()
			select {
			case err := <-opened:
				t.Errorf("it is open already: %v", err)
				opened <- nil
			case <-time.After(100 * time.Millisecond):
			}
			creating.Unlock()
			if err := <-opened; err != nil {
				t.Error(err)
			}
		})
	}
	if err := place.Release(); err != nil {
		t.Error(err)
	}
}

func TestReaderCreatesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.db")
	if _, err := eventlog.OpenReader(t.Context(), "sqlite:"+path); err == nil || !strings.Contains(err.Error(), path+": there is no event log here") {
		t.Errorf("got %v, want that there is none", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("made %v", entries)
	}
}

func TestDirectoryThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		t.Skip("root can write everywhere")
	}
	path := filepath.Join(dir, "events.db")
	if _, err := eventlog.Open(t.Context(), "sqlite:"+path); err == nil || !strings.Contains(err.Error(), path+": choose a path that this user can use") {
		t.Errorf("got %v, want that it can't be written", err)
	}
}

// What SQL tools see is part of the promise.
func TestTable(t *testing.T) {
	log := mustOpen(t, newURL(t))
	one := event("a")
	one.Time = time.Date(2026, 11, 22, 17, 5, 0, 70, time.FixedZone("", 3600))
	mustAppend(t, log, one)
	db := newPool(log.path, "mode=ro")
	defer func() { _ = db.Close() }()
	var got struct {
		application, version      int
		position                  int64
		source, id, kind, subject string
		time, recorded, schema    string
		data                      sql.RawBytes
		dataType                  string
	}
	rows, err := db.QueryContext(t.Context(), `SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),
		position, source, id, type, subject, time, recorded, schema, data, typeof(data) FROM events`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		t.Fatal("no row")
	}
	if err := rows.Scan(&got.application, &got.version, &got.position, &got.source, &got.id, &got.kind, &got.subject,
		&got.time, &got.recorded, &got.schema, &got.data, &got.dataType); err != nil {
		t.Fatal(err)
	}
	if got.application != applicationID || got.version != 7 || got.position != 1 || got.source != "shop" || got.id != "a" ||
		got.kind != "order.placed" || got.subject != "jerry" || got.time != "2026-11-22T16:05:00.000000070Z" ||
		len(got.recorded) != len(timeFormat) || got.schema != "shop.v1.OrderEvent" || string(got.data) != "data of a" || got.dataType != "blob" {
		t.Errorf("the row is %+v", got)
	}
	if rows.Next() || rows.Err() != nil {
		t.Errorf("there is another row, or %v", rows.Err())
	}
}

// No test can cut the power, so this one looks at SQLite's settings.
func TestCommitsAreSynced(t *testing.T) {
	log := mustOpen(t, newURL(t))
	for pragma, want := range map[string]string{
		"synchronous":  "2", // full: each commit
		"journal_mode": "wal",
	} {
		var got string
		if err := log.appender.writer.conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", pragma, got, err, want)
		}
	}
}

// The write-ahead log must not grow with the number of events.
func TestWriteAheadLogStaysBounded(t *testing.T) {
	log := mustOpen(t, newURL(t))
	data := make([]byte, 32<<10)
	for i := range 1000 { // 32 MiB
		one := event(fmt.Sprint(i))
		one.Data = data
		mustAppend(t, log, one)
	}
	info, err := os.Stat(log.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 8<<20 {
		t.Errorf("it has %d bytes", info.Size())
	}
}

// TestNothingIsAcknowledgedIntoAFileThatIsGone checks that a log notices that its file
// was removed, or replaced.
func TestNothingIsAcknowledgedIntoAFileThatIsGone(t *testing.T) {
	for name, lose := range map[string]func(path string) error{
		"removed":            os.Remove,
		"its folder removed": func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
		"replaced": func(path string) error {
			backup := path + "-backup"
			return errors.Join(os.WriteFile(backup, nil, 0o600), os.Rename(backup, path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data", "events.db")
			log, err := eventlog.Open(t.Context(), "sqlite:"+path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = log.Close() }()
			mustAppend(t, log, eventlog.Event{ID: "1", Type: "t", Schema: "s"})
			if err := lose(path); err != nil {
				t.Fatal(err)
			}
			check := log.Check(t.Context())
			_, append := log.Append(t.Context(), eventlog.Event{ID: "2", Type: "t", Schema: "s"})
			for what, err := range map[string]error{"check": check, "append": append} {
				if !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), "its file was removed or replaced") {
					t.Errorf("%s: %v, want that the file is gone", what, err)
				}
			}
		})
	}
}

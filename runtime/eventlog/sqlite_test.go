package eventlog

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// newURL names a log that does not exist yet.
func newURL(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "events.db")
}

func mustOpen(t testing.TB, url string) *sqliteLog {
	t.Helper()
	log, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log.(*sqliteLog)
}

func mustAppend(t testing.TB, log Log, events ...Event) []Receipt {
	t.Helper()
	receipts, err := log.Append(t.Context(), events...)
	if err != nil {
		t.Fatal(err)
	}
	return receipts
}

func mustClose(t testing.TB, log Log) {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t testing.TB, log Log, after Position) (records []Record) {
	t.Helper()
	for record, err := range log.Read(t.Context(), after) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	return records
}

// event is a valid event with an id.
func event(id string) Event {
	return Event{ID: id, Source: "shop", Type: "order.placed", Subject: "jerry", Schema: "shop.v1.OrderEvent", Data: []byte("data of " + id)}
}

// other is another event with the same id.
func other(id string) Event {
	event := event(id)
	event.Data = []byte("something else")
	return event
}

func ids(records []Record) []string {
	var ids []string
	for _, record := range records {
		ids = append(ids, record.ID)
	}
	return ids
}

// onDatabase runs a statement on the log's file, as any SQLite tool could.
func onDatabase(t testing.TB, path, statement string) {
	t.Helper()
	db := newSQLitePool(path, "mode=rw")
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// hold keeps the log's appends waiting until the returned function is called.
func hold(t testing.TB, log *sqliteLog) (release func()) {
	t.Helper()
	db := newSQLitePool(log.path, "mode=rw")
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
func (l *sqliteLog) waitFor(t testing.TB, appends int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
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
func occupy(t testing.TB, log *sqliteLog) (release func()) {
	t.Helper()
	release = hold(t, log)
	occupant := newSQLiteAppend([]Event{event("occupant")}, 0)
	if err := log.appender.enqueue(occupant); err != nil {
		t.Fatal(err)
	}
	log.waitFor(t, 0) // the writer has taken it
	return release
}

func TestStoredIsReadBack(t *testing.T) {
	url := newURL(t)
	log := mustOpen(t, url)
	everyByte := make([]byte, 256)
	for i := range everyByte {
		everyByte[i] = byte(i)
	}
	zone := time.FixedZone("", 2*60*60)
	events := []Event{
		event("1"),
		{ID: "2", Type: "t", Schema: "s"}, // only what is required
		{ID: "3", Source: "größe ✓ ' \" ;--", Type: "t", Subject: "\n\t", Schema: "s", Data: everyByte},
		{ID: "4", Source: strings.Repeat("x", maxAttribute), Type: "t", Schema: "s", Data: bytes.Repeat(everyByte, 8192)},
		{ID: "5", Type: "t", Schema: "s", Time: time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)},
		{ID: "6", Type: "t", Schema: "s", Time: time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)},
		{ID: "7", Type: "t", Schema: "s", Time: time.Date(2026, 11, 22, 1, 2, 3, 4, zone)},
	}
	began := time.Now()
	var receipts []Receipt
	for _, event := range events[:3] {
		receipts = append(receipts, mustAppend(t, log, event)...)
	}
	receipts = append(receipts, mustAppend(t, log, events[3:]...)...)
	ended := time.Now()

	check := func(log Log) {
		t.Helper()
		records := mustRead(t, log, 0)
		if len(records) != len(events) {
			t.Fatalf("%d records, want %d", len(records), len(events))
		}
		for i, record := range records {
			want := events[i]
			if receipts[i] != (Receipt{Position: record.Position, Durability: Fsync}) {
				t.Errorf("event %s: receipt %+v, stands at %d", want.ID, receipts[i], record.Position)
			}
			if i > 0 && record.Position <= records[i-1].Position {
				t.Errorf("event %s: position %d is not greater than %d", want.ID, record.Position, records[i-1].Position)
			}
			if record.Recorded.Before(began.Round(0)) || record.Recorded.After(ended) || record.Recorded.Location() != time.UTC {
				t.Errorf("event %s: recorded %v, want from %v to %v", want.ID, record.Recorded, began, ended)
			}
			if want.Time.IsZero() {
				want.Time = record.Recorded
			}
			if !record.Time.Equal(want.Time) {
				t.Errorf("event %s: time %v, want %v", want.ID, record.Time, want.Time)
			}
			if record.ID != want.ID || record.Source != want.Source || record.Type != want.Type ||
				record.Subject != want.Subject || record.Schema != want.Schema || !bytes.Equal(record.Data, want.Data) {
				t.Errorf("got %.200v, want %.200v", record.Event, want)
			}
		}
	}
	check(log)
	mustClose(t, log)
	check(mustOpen(t, url))
}

func TestReadBeginsBehindAPosition(t *testing.T) {
	log := mustOpen(t, newURL(t))
	var events []Event
	for i := range 2*pageEvents + 1 { // more than one page
		events = append(events, event(fmt.Sprint(i)))
	}
	receipts := mustAppend(t, log, events...)
	for _, after := range []int{0, 1, pageEvents, len(events) - 1} {
		want := len(events) - after
		position := receipts[0].Position - 1 + Position(after)
		if got := len(mustRead(t, log, position)); got != want {
			t.Errorf("behind %d: %d records, want %d", position, got, want)
		}
	}
	for record, err := range log.Read(t.Context(), 0) {
		if err != nil || record.ID != "0" {
			t.Errorf("first: %q, %v", record.ID, err)
		}
		break // and no more is yielded
	}
}

func TestReadKeepsUpWithAppends(t *testing.T) {
	log := mustOpen(t, newURL(t))
	mustAppend(t, log, event("first"))
	seen := 0
	for _, err := range log.Read(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		seen++
		mustAppend(t, log, event(fmt.Sprint(seen))) // one more for each: Read must end all the same
	}
	if seen != 1 {
		t.Errorf("%d records, want what was stored when Read began: 1", seen)
	}
	if got := len(mustRead(t, log, 0)); got != 2 {
		t.Errorf("%d records in all, want 2", got)
	}
}

func TestReadStops(t *testing.T) {
	log := mustOpen(t, newURL(t))
	mustAppend(t, log, event("1"), event("2"), event("3"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	var last error
	for record, err := range log.Read(ctx, 0) {
		if last = err; err == nil {
			got = append(got, record.ID)
		}
		cancel()
	}
	if !slices.Equal(got, []string{"1"}) || status.Code(last) != codes.Canceled {
		t.Errorf("read %v and then %v, want [1] and then that it was cancelled", got, last)
	}
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

func TestAnEventIsStoredOnce(t *testing.T) {
	url := newURL(t)
	log := mustOpen(t, url)
	first := mustAppend(t, log, event("a"))[0]
	later := event("a")
	later.Time = time.Now() // is not compared
	again := func(log Log) {
		t.Helper()
		if got, want := mustAppend(t, log, later)[0], (Receipt{first.Position, true, Fsync}); got != want {
			t.Errorf("receipt %+v, want %+v", got, want)
		}
	}
	again(log)
	again(log)
	elsewhere := event("a")
	elsewhere.Source = "another shop"
	if mustAppend(t, log, elsewhere)[0].Duplicate {
		t.Error("an event of another source is a duplicate")
	}
	mustClose(t, log)
	log = mustOpen(t, url)
	again(log)
	if got := len(mustRead(t, log, 0)); got != 2 {
		t.Errorf("%d records, want 2", got)
	}
}

func TestAnEventIsStoredOnceByManyCallers(t *testing.T) {
	log := mustOpen(t, newURL(t))
	const callers, rounds = 64, 20
	var fresh [rounds]atomic.Int64
	var positions [rounds]sync.Map
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for round := range rounds {
				receipts, err := log.Append(t.Context(), event(fmt.Sprint(round)))
				if err != nil {
					t.Error(err)
					return
				}
				if !receipts[0].Duplicate {
					fresh[round].Add(1)
				}
				positions[round].Store(receipts[0].Position, true)
			}
		})
	}
	group.Wait()
	for round := range rounds {
		count := 0
		positions[round].Range(func(any, any) bool { count++; return true })
		if fresh := fresh[round].Load(); fresh != 1 || count != 1 {
			t.Errorf("event %d: %d times new, at %d positions", round, fresh, count)
		}
	}
	if got := len(mustRead(t, log, 0)); got != rounds {
		t.Errorf("%d records, want %d", got, rounds)
	}
}

func TestConflicts(t *testing.T) {
	for name, change := range map[string]func(*Event){
		"type":    func(e *Event) { e.Type = "order.cancelled" },
		"subject": func(e *Event) { e.Subject = "tom" },
		"schema":  func(e *Event) { e.Schema = "shop.v2.OrderEvent" },
		"data":    func(e *Event) { e.Data = []byte("data of b") },
		"no data": func(e *Event) { e.Data = nil },
	} {
		t.Run(name, func(t *testing.T) {
			log := mustOpen(t, newURL(t))
			mustAppend(t, log, event("a"))
			changed := event("a")
			change(&changed)
			_, err := log.Append(t.Context(), changed)
			if !errors.Is(err, ErrConflict) || status.Code(err) != codes.AlreadyExists || !strings.Contains(err.Error(), `source "shop", id "a"`) {
				t.Errorf("got %v, want a conflict that names source and id", err)
			}
			if _, err := log.Append(t.Context(), event("b"), changed); !errors.Is(err, ErrConflict) {
				t.Errorf("got %v, want a conflict", err)
			}
			if _, err := log.Append(t.Context(), event("c"), func() Event { e := event("c"); change(&e); return e }()); !errors.Is(err, ErrConflict) {
				t.Errorf("within one call: got %v, want a conflict", err)
			}
			if got := ids(mustRead(t, log, 0)); !slices.Equal(got, []string{"a"}) {
				t.Errorf("stored %v, want [a]", got)
			}
		})
	}
}

// Appends that share a transaction must not notice each other.
func TestNeighboursInATransaction(t *testing.T) {
	type outcome struct {
		duplicates []bool // nil: a conflict
	}
	stored := func(duplicates ...bool) outcome { return outcome{duplicates} }
	conflict := outcome{}
	many := func(prefix string, count int) (events []Event) {
		for i := range count {
			events = append(events, event(fmt.Sprint(prefix, i)))
		}
		return events
	}
	tests := []struct {
		name    string
		appends [][]Event // in this order in one transaction; "known" is stored before
		want    []outcome
		stored  []string
	}{
		{"nothing in common", [][]Event{{event("a")}, {event("b"), event("c")}},
			[]outcome{stored(false), stored(false, false)}, []string{"a", "b", "c"}},
		{"no events", [][]Event{{}, {event("a")}},
			[]outcome{stored([]bool{}...), stored(false)}, []string{"a"}},
		{"the same event twice", [][]Event{{event("a")}, {event("a")}},
			[]outcome{stored(false), stored(true)}, []string{"a"}},
		{"the same event twice in one append", [][]Event{{event("a"), event("a"), event("b")}},
			[]outcome{stored(false, true, false)}, []string{"a", "b"}},
		{"a known event among new ones", [][]Event{{event("a"), event("known"), event("b")}, {event("c")}},
			[]outcome{stored(false, true, false), stored(false)}, []string{"a", "b", "c"}},
		{"two events with one id", [][]Event{{event("a")}, {other("a")}, {event("b")}},
			[]outcome{stored(false), conflict, stored(false)}, []string{"a", "b"}},
		{"a conflict in the middle", [][]Event{{event("a")}, {event("b"), other("known"), event("c")}, {event("d")}},
			[]outcome{stored(false), conflict, stored(false)}, []string{"a", "d"}},
		{"an event of an append with a conflict is new in the next", [][]Event{{event("a"), other("known")}, {event("a")}, {other("a")}},
			[]outcome{conflict, stored(false), conflict}, []string{"a"}},
		{"another one takes the id of an append with a conflict", [][]Event{{event("a"), other("known")}, {other("a")}},
			[]outcome{conflict, stored(false)}, []string{"a"}},
		{"a conflict behind more than one statement", [][]Event{append(many("x", 200), other("known")), {event("a")}},
			[]outcome{conflict, stored(false)}, []string{"a"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			log := mustOpen(t, newURL(t))
			known := mustAppend(t, log, event("known"))[0].Position
			release := occupy(t, log)
			outcomes := make([]outcome, len(test.appends))
			receipts := make([][]Receipt, len(test.appends))
			var group sync.WaitGroup
			for i, events := range test.appends {
				group.Go(func() {
					var err error
					receipts[i], err = log.Append(t.Context(), events...)
					switch {
					case errors.Is(err, ErrConflict):
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
			positions := map[string]Position{"known": known}
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
						t.Errorf("append %d: %s has receipt %+v and stands at %d", i, id, receipt, positions[id])
					}
				}
			}
		})
	}
}

func TestInvalid(t *testing.T) {
	log := mustOpen(t, newURL(t))
	for name, test := range map[string]struct {
		change func(*Event)
		says   string
	}{
		"empty id":        {func(e *Event) { e.ID = "" }, "id is empty"},
		"empty type":      {func(e *Event) { e.Type = "" }, "type is empty"},
		"empty schema":    {func(e *Event) { e.Schema = "" }, "schema is empty"},
		"long id":         {func(e *Event) { e.ID = strings.Repeat("x", maxAttribute+1) }, "id has 1025 bytes, at most 1024"},
		"long source":     {func(e *Event) { e.Source = strings.Repeat("x", maxAttribute+1) }, "source has 1025 bytes"},
		"NUL in subject":  {func(e *Event) { e.Subject = "a\x00b" }, "subject has a NUL byte"},
		"not UTF-8":       {func(e *Event) { e.Source = "a\xff" }, "source is not valid UTF-8"},
		"before year 1":   {func(e *Event) { e.Time = time.Date(0, 12, 31, 23, 0, 0, 0, time.UTC) }, "time is in the year 0"},
		"after year 9999": {func(e *Event) { e.Time = time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -7200)) }, "time is in the year 10000"},
		"too much data":   {func(e *Event) { e.Data = make([]byte, maxAppend) }, "append them in parts"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := event("a")
			test.change(&changed)
			_, err := log.Append(t.Context(), event("b"), changed)
			if !errors.Is(err, ErrInvalid) || status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want that %s", err, test.says)
			}
		})
	}
	if got := mustRead(t, log, 0); got != nil {
		t.Errorf("stored %v", ids(got))
	}
}

func TestContextEndedBefore(t *testing.T) {
	log := mustOpen(t, newURL(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := log.Append(ctx, event("a")); status.Code(err) != codes.Canceled {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	mustAppend(t, log, event("b"))
	if got := ids(mustRead(t, log, 0)); !slices.Equal(got, []string{"b"}) {
		t.Errorf("stored %v, want [b]", got)
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
	release := hold(t, log)
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
		event Event
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
			if _, err := log.Append(t.Context(), test.event); !errors.Is(err, ErrFull) || status.Code(err) != codes.ResourceExhausted {
				t.Errorf("got %v, want that the log is full", err)
			}
			release()
			group.Wait()
			mustAppend(t, log, event("there is room again"))
		})
	}
}

func TestCloseKeepsWhatItAccepted(t *testing.T) {
	url := newURL(t)
	log := mustOpen(t, url)
	var acknowledged sync.Map
	var group sync.WaitGroup
	var count atomic.Int64
	for caller := range 32 {
		group.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d/%d", caller, i)
				receipts, err := log.Append(t.Context(), event(id), event(id+"+"))
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("got %v, want that the log is closed", err)
					return
				}
				count.Add(1)
				acknowledged.Store(id, receipts[0].Position)
				acknowledged.Store(id+"+", receipts[1].Position)
			}
		})
	}
	for count.Load() < 200 {
		time.Sleep(time.Millisecond)
	}
	var closers sync.WaitGroup
	for range 3 {
		closers.Go(func() { mustClose(t, log) })
	}
	closers.Wait()
	group.Wait()
	mustClose(t, log)

	records := mustRead(t, mustOpen(t, url), 0)
	for _, record := range records {
		position, found := acknowledged.LoadAndDelete(record.ID)
		if !found || position != record.Position {
			t.Errorf("%s stands at %d, acknowledged at %v", record.ID, record.Position, position)
		}
	}
	acknowledged.Range(func(id, position any) bool {
		t.Errorf("%v was acknowledged at %v and is not there", id, position)
		return true
	})
}

func TestOpenOutlivesItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	log, err := Open(ctx, newURL(t))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	mustAppend(t, log, event("a"))
	if got := ids(mustRead(t, log, 0)); !slices.Equal(got, []string{"a"}) {
		t.Errorf("read %v, want [a]", got)
	}
	mustClose(t, log)
}

func TestClosed(t *testing.T) {
	log := mustOpen(t, newURL(t))
	mustAppend(t, log, event("a"))
	mustClose(t, log)
	if _, err := log.Append(t.Context(), event("b")); !errors.Is(err, ErrClosed) || status.Code(err) != codes.Unavailable {
		t.Errorf("append: %v, want that the log is closed", err)
	}
	var last error
	for _, err := range log.Read(t.Context(), 0) {
		last = err
	}
	if !errors.Is(last, ErrClosed) {
		t.Errorf("read: %v, want that the log is closed", last)
	}
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
		if err := log.writer.QueryRowContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)).Scan(&got); err != nil {
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
			if !errors.Is(err, ErrFull) || status.Code(err) != codes.ResourceExhausted {
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
	if _, err := log.writer.ExecContext(t.Context(), "PRAGMA query_only = 1"); err != nil {
		t.Fatal(err)
	}
	_, err := log.Append(t.Context(), event("b"))
	if !errors.Is(err, ErrUnavailable) || status.Code(err) != codes.Unavailable {
		t.Errorf("got %v, want that the log is unavailable", err)
	}
	if _, err := log.writer.ExecContext(t.Context(), "PRAGMA query_only = 0"); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, log, event("c"))
	if got := ids(mustRead(t, log, 0)); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("stored %v, want [a c]", got)
	}
}

func TestReaderBesideAWriter(t *testing.T) {
	url := newURL(t)
	log := mustOpen(t, url)
	mustAppend(t, log, event("a"))
	reader, err := OpenReader(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { mustClose(t, reader) }()
	mustAppend(t, log, event("b"))
	if got := ids(mustRead(t, reader, 0)); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("read %v, want [a b]", got)
	}
	if _, err := reader.Append(t.Context(), event("c")); !errors.Is(err, ErrReadOnly) || status.Code(err) != codes.FailedPrecondition {
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
	reader, err := OpenReader(t.Context(), url)
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
	for _, suffix := range []string{"", "-wal", "-shm", "-lock"} {
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

func TestPaths(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for url, path := range map[string]string{
		"sqlite:plain.db":                     "plain.db",
		"sqlite:./down/../relative.db":        "relative.db",
		"sqlite:" + dir + "/absolute.db":      "absolute.db",
		"sqlite://" + dir + "/slashes.db":     "slashes.db",
		"sqlite:a?mode=memory&b.db":           "a?mode=memory&b.db",
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
	own := fmt.Sprintf("PRAGMA application_id = %d;", sqliteApplication)
	for name, test := range map[string]struct{ url, says string }{
		"no path":                  {"sqlite:", "want sqlite:PATH"},
		"host":                     {"sqlite://events.db", "want sqlite:PATH"},
		"unknown engine":           {"mysql:x", "want sqlite:…"},
		"directory":                {"sqlite:" + dir, "is a directory; name a file in it"},
		"below a file":             {"sqlite:" + file("plain", "") + "/x/events.db", "choose a path that this user can use"},
		"not a database":           {"sqlite:" + file("text", "This is not a database."), "is not a SQLite database"},
		"not a database at length": {"sqlite:" + file("longer", strings.Repeat("This is not a database.", 1000)), "is not a SQLite database"},
		"another application's":    {"sqlite:" + database("foreign", "PRAGMA application_id = 1; CREATE TABLE t (x)"), "database of another application"},
		"an anonymous one":         {"sqlite:" + database("anonymous", "CREATE TABLE t (x)"), "database of another application"},
		"newer schema":             {"sqlite:" + database("newer", own+"PRAGMA user_version = 999"), "has version 999 and this program knows versions up to 1"},
	} {
		for open, log := range map[string]func(context.Context, string) (Log, error){"to append": Open, "to read": OpenReader} {
			t.Run(name+"/"+open, func(t *testing.T) {
				path := strings.TrimPrefix(test.url, "sqlite:")
				before, _ := os.ReadFile(path)
				_, err := log(t.Context(), test.url)
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Fatalf("got %v, want that it %s", err, test.says)
				}
				if strings.Count(err.Error(), "\n") > 0 || strings.Contains(err.Error(), "failed to") {
					t.Errorf("not one sentence: %v", err)
				}
				if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
					t.Error("the file has changed")
				}
				if _, err := os.Stat(path + "-lock"); err == nil {
					t.Error("there is a lock beside it")
				}
			})
		}
	}
}

func TestReaderCreatesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.db")
	if _, err := OpenReader(t.Context(), "sqlite:"+path); err == nil || !strings.Contains(err.Error(), path+": there is no event log here") {
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
	if _, err := Open(t.Context(), "sqlite:"+path); err == nil || !strings.Contains(err.Error(), path+": choose a path that this user can use") {
		t.Errorf("got %v, want that it can't be written", err)
	}
}

// What SQL tools see is part of the promise.
func TestTable(t *testing.T) {
	log := mustOpen(t, newURL(t))
	one := event("a")
	one.Time = time.Date(2026, 11, 22, 17, 5, 0, 70, time.FixedZone("", 3600))
	mustAppend(t, log, one)
	db := newSQLitePool(log.path, "mode=ro")
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
	if got.application != sqliteApplication || got.version != 1 || got.position != 1 || got.source != "shop" || got.id != "a" ||
		got.kind != "order.placed" || got.subject != "jerry" || got.time != "2026-11-22T16:05:00.000000070Z" ||
		len(got.recorded) != len(sqliteTime) || got.schema != "shop.v1.OrderEvent" || string(got.data) != "data of a" || got.dataType != "blob" {
		t.Errorf("the row is %+v", got)
	}
}

// No test can cut the power, so this one looks at what SQLite was told.
func TestCommitsAreSynced(t *testing.T) {
	log := mustOpen(t, newURL(t))
	for pragma, want := range map[string]string{
		"synchronous":  "2", // full: each commit
		"journal_mode": "wal",
	} {
		var got string
		if err := log.writer.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
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

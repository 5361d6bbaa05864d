// Package intotest tests what package into promises, on any database.
package intotest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/dialect"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/into"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/memory" // the logs of these tests
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite" //
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate"
)

// Run tests what is promised. connect makes an empty database, and returns what connects
// to it.
func Run(t *testing.T, connect func(testing.TB) driver.Connector) {
	for _, test := range []struct {
		name string
		test func(*testing.T, *fixture)
	}{
		{"EachEventHasItsEffectOnce", eachOnce},
		{"WhatFailsHasNoEffectUntilItIsTriedAgain", deadLetters},
		{"ADeadLetterOfAnEventThatHadItsEffectHasNone", strayLetter},
		{"OthersGoOnBesideOneThatFails", besideOneThatFails},
		{"ACommitWhoseAnswerIsLostIsNotRepeated", lostAnswer},
		{"AProcessThatWasTakenOverFromHasNoEffect", takenOver},
		{"ADatabaseThatIsAwayMakesNoDeadLetters", away},
		{"AnotherLogIsRefused", anotherLog},
		{"ACopyOfTheLogIsConsumedAfterItsPosition", copyOfTheLog},
		{"TheLogSaysWhereThePositionIsMoved", moved},
		{"AConsumerThatRunsIsMoved", movedWhileItRuns},
		{"ARowThatCanNotBeReadIsAnError", damagedRow},
		{"AConsumerWaitsForItsDatabaseNotForTheLog", awayAtFirst},
		{"AnEmptyDatabaseIsRefusedToAConsumerThatTheLogKnows", emptyDatabase},
		{"EventsOfOtherTypesArePassedOver", passedOver},
		{"ADeadLetterIsRetriedBesideAnEventThatChangesTheSameRow", retryBeside},
		{"OneConnectionIsEnough", oneConnection},
		{"OneConnectionIsEnoughToFindOutWhatWasCommitted", oneConnectionLost},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &fixture{connector: connect(t)}
			f.db = f.open(t)
			database, err := dialect.Of(t.Context(), f.db)
			if err != nil {
				t.Fatal(err)
			}
			f.dialect = database
			// No key makes an effect that comes twice fail: it is seen.
			if _, err := f.db.ExecContext(t.Context(), database.Create(dialect.Table{Name: "effects", Columns: "id NAME NOT NULL"})); err != nil {
				t.Fatal(err)
			}
			test.test(t, f)
		})
	}
}

// fixture is a database with a table for effects.
type fixture struct {
	connector driver.Connector
	db        *sql.DB
	dialect   dialect.Dialect
}

func (f *fixture) open(t testing.TB) *sql.DB {
	db := sql.OpenDB(f.connector)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

type stored = eventlog.Stored[*wrapperspb.StringValue]

// write is a handler that writes the ids of events.
func (f *fixture) write(ctx context.Context, tx *sql.Tx, events []stored) error {
	for _, event := range events {
		if _, err := tx.ExecContext(ctx, f.dialect.Bind("INSERT INTO effects (id) VALUES (?)"), event.ID); err != nil {
			return err
		}
	}
	return nil
}

// check checks that each of these events has had its effect once, and no other.
func (f *fixture) check(t *testing.T, want ...string) {
	t.Helper()
	rows, err := f.db.QueryContext(t.Context(), "SELECT id FROM effects ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var got []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		got = append(got, id)
	}
	slices.Sort(want)
	if !slices.Equal(got, want) || rows.Err() != nil {
		t.Errorf("effects are %q, want %q: %v", got, want, rows.Err())
	}
}

// memory opens a log with events of these ids: the subject of "b-2" is "b".
func memory(t *testing.T, ids ...string) eventlog.Log {
	t.Helper()
	log, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	appendTo(t, log, ids...)
	return log
}

func appendTo(t *testing.T, log eventlog.Log, ids ...string) {
	t.Helper()
	for _, id := range ids {
		_, err := eventlog.AppendMessages(t.Context(), log, []*wrapperspb.StringValue{{Value: id}}, func(*wrapperspb.StringValue) eventlog.Event {
			subject, _, _ := strings.Cut(id, "-")
			return eventlog.Event{ID: id, Type: "t", Subject: subject}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// ids returns n ids of one subject each.
func ids(prefix string, n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("%s%03d", prefix, i))
	}
	return ids
}

const consumer = "billing"

// consume runs a consumer in the background, and returns what stops it and returns its
// error.
func consume(ctx context.Context, log eventlog.Log, db *sql.DB, handle func(context.Context, *sql.Tx, []stored) error, options ...eventlog.ConsumeOption) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	options = append([]eventlog.ConsumeOption{eventlog.Tries(2), eventlog.Backoff(time.Millisecond, time.Millisecond), eventlog.Logger(slog.New(slog.DiscardHandler))}, options...)
	go func() { ended <- into.ConsumeMessages(ctx, log, db, consumer, handle, options...) }()
	return func() error {
		cancel()
		return <-ended
	}
}

// until runs a consumer until the log says that it has handled all.
func until(t *testing.T, log eventlog.Log, db *sql.DB, handle func(context.Context, *sql.Tx, []stored) error, options ...eventlog.ConsumeOption) {
	t.Helper()
	stop := consume(t.Context(), log, db, handle, options...)
	isHandled(t, log)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// isHandled waits until the consumer has handled all events of a log.
func isHandled(t *testing.T, log eventlog.Log) {
	t.Helper()
	eventually(t, "everything is handled", func() bool {
		stats, err := log.Stats(t.Context())
		return err == nil && len(stats.Consumers) == 1 && stats.Consumers[0].Lag == 0
	})
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for begin := time.Now(); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// dead returns the ids of the dead letters.
func dead(t *testing.T, log eventlog.Log) (ids []string) {
	t.Helper()
	for letter, err := range log.Dead(t.Context(), consumer) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, letter.ID)
	}
	return ids
}

func eachOnce(t *testing.T, f *fixture) {
	all := ids("a", 40)
	log := memory(t, all[:30]...)
	until(t, log, f.db, f.write, eventlog.BatchSize(7))
	appendTo(t, log, all[30:]...)
	until(t, log, f.open(t), f.write, eventlog.BatchSize(7)) // as after a restart
	f.check(t, all...)
}

func deadLetters(t *testing.T, f *fixture) {
	log := memory(t, "a", "bad", "c")
	var mended atomic.Bool
	handle := func(ctx context.Context, tx *sql.Tx, events []stored) error {
		if err := f.write(ctx, tx, events); err != nil { // which must not stay
			return err
		}
		if slices.ContainsFunc(events, func(event stored) bool { return event.ID == "bad" }) && !mended.Load() {
			return errors.New("bad")
		}
		return nil
	}
	until(t, log, f.db, handle)
	f.check(t, "a", "c")
	for range 2 { // and once more, though it was retried
		letters := dead(t, log)
		if _, err := log.Retry(t.Context(), consumer); err != nil || !mended.Load() && !slices.Equal(letters, []string{"bad"}) {
			t.Fatal(letters, err)
		}
		mended.Store(true)
		stop := consume(t.Context(), log, f.db, handle)
		eventually(t, "there is no dead letter", func() bool { return len(dead(t, log)) == 0 })
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	f.check(t, "a", "bad", "c")
}

// strayLetter has a letter in the log that the database does not know, as after a crash
// between the two.
func strayLetter(t *testing.T, f *fixture) {
	log := memory(t, "a")
	until(t, log, f.db, f.write)
	hold, err := log.Hold(t.Context(), consumer)
	if err != nil {
		t.Fatal(err)
	}
	for record, err := range log.Read(t.Context(), eventlog.From{}) {
		if err := errors.Join(err, hold.PutDead(t.Context(), eventlog.DeadLetter{Record: record, Tries: 1, Reason: "killed"}), hold.Release()); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := log.Retry(t.Context(), consumer); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	stop := consume(t.Context(), log, f.db, f.write)
	eventually(t, "there is no dead letter", func() bool { return len(dead(t, log)) == 0 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	f.check(t, "a")
}

// besideOneThatFails kills a consumer while one subject fails and the others are done.
func besideOneThatFails(t *testing.T, f *fixture) {
	const others = 20
	var all []string
	for i := range others {
		all = append(all, fmt.Sprintf("bad-%02d", i), fmt.Sprintf("good%02d-x", i))
	}
	log := memory(t, all...)
	var mended atomic.Bool
	var order []string
	var mu sync.Mutex
	handle := func(ctx context.Context, tx *sql.Tx, events []stored) error {
		for _, event := range events {
			if event.Subject == "bad" && !mended.Load() {
				return errors.New("bad")
			}
		}
		if err := f.write(ctx, tx, events); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, event := range events {
			if event.Subject == "bad" {
				order = append(order, event.ID)
			}
		}
		return nil
	}
	options := []eventlog.ConsumeOption{eventlog.Tries(1_000_000), eventlog.Concurrency(4), eventlog.BatchSize(3)}
	if f.dialect == dialect.SQLite {
		options[1] = eventlog.Concurrency(1)
	}
	stop := consume(t.Context(), log, f.db, handle, options...)
	eventually(t, "the others are handled, except a few that wait in the same queue", func() bool {
		var count int
		return f.db.QueryRowContext(t.Context(), "SELECT count(*) FROM effects").Scan(&count) == nil && count >= others-5
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	mended.Store(true)
	until(t, log, f.db, handle, options...)
	f.check(t, all...)
	if !slices.IsSorted(order) {
		t.Errorf("the events of one subject were handled as %q", order)
	}
}

// lostAnswer has one of six commits fail, and one whose answer is lost.
func lostAnswer(t *testing.T, f *fixture) {
	all := ids("a", 60)
	log := memory(t, all...)
	db := sql.OpenDB(&losing{Connector: f.connector, random: rand.New(rand.NewPCG(1, 2))})
	defer func() { _ = db.Close() }()
	until(t, log, db, f.write, eventlog.BatchSize(2), eventlog.Tries(1000))
	f.check(t, all...)
}

// takenOver has a second process run the consumer, which the log should not let it:
// there are two logs of the same events.
func takenOver(t *testing.T, f *fixture) {
	all := ids("a", 12)
	first, second := memory(t, all...), memory(t, all...)
	begun, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	stopFirst := consume(t.Context(), first, f.db, func(ctx context.Context, tx *sql.Tx, events []stored) error {
		err := f.write(ctx, tx, events)
		once.Do(func() {
			close(begun)
			<-goOn
		})
		return err
	}, eventlog.BatchSize(5))
	<-begun
	stopSecond := consume(t.Context(), second, f.open(t), f.write, eventlog.BatchSize(5))
	if f.dialect != dialect.SQLite { // whose only writer is the first
		isHandled(t, second)
	}
	close(goOn)
	isHandled(t, first)
	isHandled(t, second)
	if err := errors.Join(stopFirst(), stopSecond()); err != nil {
		t.Fatal(err)
	}
	f.check(t, all...)
}

// away has the database refuse connections for longer than an event is tried, and stops
// the consumer meanwhile.
func away(t *testing.T, f *fixture) {
	log := memory(t, "a", "b")
	connector := &refusing{Connector: f.connector}
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	db.SetMaxIdleConns(-1) // each transaction connects
	stop := consume(t.Context(), log, db, f.write)
	isHandled(t, log)
	connector.refuses.Store(true)
	appendTo(t, log, "c")
	eventually(t, "it has tried", func() bool { return connector.refused.Load() > 3 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	connector.refuses.Store(false)
	until(t, log, db, f.write)
	if letters := dead(t, log); len(letters) > 0 {
		t.Errorf("%q are dead letters", letters)
	}
	f.check(t, "a", "b", "c")
}

func anotherLog(t *testing.T, f *fixture) {
	until(t, memory(t, "a", "b", "c"), f.db, f.write)
	restored := memory(t, "a", "b")
	know(t, restored, 2)
	for name, log := range map[string]eventlog.Log{
		"shorter":      memory(t, "a", "b"),
		"restored":     restored,
		"other events": memory(t, "x", "y", "z", "a"),
		"empty":        memory(t),
	} {
		err := refusal(t, log, f)
		if !errors.Is(err, eventlog.ErrReplaced) || !strings.Contains(err.Error(), "UPDATE event_consumers") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What the error says to do about it.
	if _, err := f.db.ExecContext(t.Context(), f.dialect.MoveConsumer("billing", 0)); err != nil {
		t.Fatal(err)
	}
	until(t, memory(t, "x", "y", "z"), f.db, f.write)
	f.check(t, "a", "b", "c", "x", "y", "z")
}

// copied is the copy of a log, in an engine whose logs can be distinguished.
type copied struct{ eventlog.Log }

func (c copied) Hold(ctx context.Context, consumer string) (eventlog.Hold, error) {
	hold, err := c.Log.Hold(ctx, consumer)
	return copiedHold{hold}, err
}

type copiedHold struct{ eventlog.Hold }

func (c copiedHold) From(after eventlog.Position) eventlog.From {
	return eventlog.From{After: after, Log: "another"}
}

// copyOfTheLog has the events at other positions, and the position of the consumer in them.
func copyOfTheLog(t *testing.T, f *fixture) {
	until(t, memory(t, "x", "a", "b"), f.db, f.write)
	log := copied{memory(t, "a", "b", "c")}
	know(t, log, 2)
	err := refusal(t, log, f)
	if !errors.Is(err, eventlog.ErrReplaced) {
		t.Fatal(err)
	}
	f.do(t, err, "run there: ")
	until(t, log, f.db, f.write)
	f.check(t, "x", "a", "b", "c")
}

// untilIn runs a consumer until the database has so many effects.
func (f *fixture) untilIn(t *testing.T, log eventlog.Log, effects int) {
	t.Helper()
	stop := consume(t.Context(), log, f.db, f.write)
	eventually(t, "the database has the effects", func() bool {
		var count int
		err := f.db.QueryRowContext(t.Context(), "SELECT count(*) FROM effects").Scan(&count)
		return err == nil && count >= effects
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// do executes the statements that an error has after a text.
func (f *fixture) do(t *testing.T, err error, after string) {
	t.Helper()
	_, statements, ok := strings.Cut(err.Error(), after)
	if !ok {
		t.Fatalf("it says nothing to do: %v", err)
	}
	for statement := range strings.SplitSeq(statements, ";") {
		statement = strings.TrimSpace(statement)
		if !strings.HasPrefix(statement, "UPDATE ") && !strings.HasPrefix(statement, "DELETE ") {
			return
		}
		if _, err := f.db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// moved has the consumer begin elsewhere, and then deletes it, as the program says.
func moved(t *testing.T, f *fixture) {
	name := "memory:" + t.Name()
	log, err := eventlog.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	appendTo(t, log, "a", "b", "c")
	until(t, log, f.db, f.write)
	events := func(args string) (string, error) {
		var out strings.Builder
		err := operate.Events(t.Context(), "shop-server", append(strings.Fields(args), "--events", name), func(string) string { return "" }, &out)
		return out.String(), err
	}
	if out, err := events("consumers list"); err != nil || !strings.Contains(out, `"keeper":"`+string(f.dialect)+`"`) {
		t.Errorf("consumers list printed %s, %v", out, err)
	}
	_, err = events("consumers reset --consumer billing --after 1")
	if err == nil {
		t.Fatal("the log says that it has moved the consumer")
	}
	f.do(t, err, "run there: ")
	f.untilIn(t, log, 5)
	f.check(t, "a", "b", "b", "c", "c")
	_, err = events("consumers delete --consumer billing")
	if err == nil {
		t.Fatal("the log says that it has deleted the consumer")
	}
	f.do(t, err, "Run there: ")
	if out, err := events("consumers delete --consumer billing --copy"); err != nil || !strings.Contains(out, `"deleted":"billing"`) {
		t.Errorf("consumers delete printed %s, %v", out, err)
	}
	f.untilIn(t, log, 8)
	f.check(t, "a", "a", "b", "b", "b", "c", "c", "c")
}

// movedWhileItRuns has a consumer of a name with quotes and a backslash begin again while it runs.
func movedWhileItRuns(t *testing.T, f *fixture) {
	const name = `Ann's \ "bills"`
	log := memory(t, "a", "b")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- into.ConsumeMessages(ctx, log, f.db, name, f.write, eventlog.Logger(slog.New(slog.DiscardHandler)))
	}()
	isHandled(t, log)
	if _, err := f.db.ExecContext(t.Context(), f.dialect.MoveConsumer(name, 1)); err != nil {
		t.Fatal(err)
	}
	appendTo(t, log, "c")
	eventually(t, "it has begun again, and handled all", func() bool {
		var count int
		err := f.db.QueryRowContext(t.Context(), "SELECT count(*) FROM effects").Scan(&count)
		return err == nil && count >= 4
	})
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	f.check(t, "a", "b", "b", "c")
}

// damagedRow has somebody write into the table what no consumer would.
func damagedRow(t *testing.T, f *fixture) {
	log := memory(t, "a")
	until(t, log, f.db, f.write)
	if _, err := f.db.ExecContext(t.Context(), "UPDATE event_consumers SET ahead = '3,5', epoch = epoch + 1"); err != nil {
		t.Fatal(err)
	}
	err := refusal(t, log, f)
	if err == nil || !strings.Contains(err.Error(), `the row of consumer "billing" in table event_consumers can't be read: "3,5" is not`) {
		t.Errorf("%v", err)
	}
}

// awayAtFirst has a consumer begin while its database refuses connections.
func awayAtFirst(t *testing.T, f *fixture) {
	connector := &refusing{Connector: f.connector}
	connector.refuses.Store(true)
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	lines := make(chan string, 1)
	logger := slog.New(slog.NewTextHandler(writer(func(line string) {
		select {
		case lines <- line:
		default:
		}
	}), nil))
	stop := consume(t.Context(), memory(t, "a"), db, f.write, eventlog.Logger(logger))
	const want = `the database with the position of consumer \"billing\" does not answer: `
	if line := <-lines; !strings.Contains(line, want) || strings.Contains(line, "event log") {
		t.Errorf("it waits with %s", line)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// writer is a function that takes lines.
type writer func(string)

func (w writer) Write(line []byte) (int, error) {
	w(string(line))
	return len(line), nil
}

// know has a log know a position of the consumer.
func know(t *testing.T, log eventlog.Log, position eventlog.Position) {
	t.Helper()
	hold, err := log.Hold(t.Context(), consumer)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(hold.Commit(t.Context(), position), hold.Release()); err != nil {
		t.Fatal(err)
	}
}

// refusal returns the error with which a consumer does not begin, or nil if it does.
func refusal(t *testing.T, log eventlog.Log, f *fixture) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return into.ConsumeMessages(ctx, log, f.db, consumer, f.write)
}

func emptyDatabase(t *testing.T, f *fixture) {
	log := memory(t, "a", "b")
	know(t, log, 2)
	err := refusal(t, log, f)
	if !errors.Is(err, eventlog.ErrReplaced) || !strings.Contains(err.Error(), "events consumers delete --copy --consumer 'billing'") {
		t.Errorf("%v", err)
	}
	f.do(t, err, "run there: ")
	appendTo(t, log, "c")
	until(t, log, f.db, f.write)
	f.check(t, "c")
}

func passedOver(t *testing.T, f *fixture) {
	log, err := eventlog.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "events.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	for i := range 9 {
		if _, err := log.Append(t.Context(), eventlog.Event{ID: fmt.Sprint("other", i), Type: "t", Schema: "other.Type"}); err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			appendTo(t, log, fmt.Sprint("a", i))
		}
	}
	until(t, log, f.db, f.write)
	var position int64
	var ahead string
	if err := f.db.QueryRowContext(t.Context(), "SELECT position, ahead FROM event_consumers").Scan(&position, &ahead); err != nil || position != 12 || ahead != "" {
		t.Errorf("the position is %d, and %q is ahead of it, want 12 and none: %v", position, ahead, err)
	}
	until(t, log, f.db, f.write)
	f.check(t, "a0", "a3", "a6")
}

// mixed returns a log with events of these ids, and one of another type before each.
func mixed(t *testing.T, ids ...string) eventlog.Log {
	t.Helper()
	log := memory(t)
	for _, id := range ids {
		if _, err := log.Append(t.Context(), eventlog.Event{ID: "other " + id, Type: "t", Schema: "other.Type"}); err != nil {
			t.Fatal(err)
		}
		appendTo(t, log, id)
	}
	return log
}

// oneConnection has several calls, the passing over of events, dead letters and a stop
// share the only connection.
func oneConnection(t *testing.T, f *fixture) {
	good, bad := ids("a", 60), ids("bad", 10)
	var all []string
	for i, id := range good {
		all = append(all, id)
		if i%6 == 0 {
			all = append(all, bad[i/6])
		}
	}
	log := mixed(t, all...)
	db := f.open(t)
	db.SetMaxOpenConns(1)
	var mended atomic.Bool
	var calls atomic.Int64
	handle := func(ctx context.Context, tx *sql.Tx, events []stored) error {
		calls.Add(1)
		if strings.HasPrefix(events[0].ID, "bad") && !mended.Load() {
			return errors.New("bad")
		}
		return f.write(ctx, tx, events)
	}
	options := []eventlog.ConsumeOption{eventlog.Concurrency(4), eventlog.BatchSize(1), eventlog.Window(8), eventlog.Tries(1)}
	stop := consume(t.Context(), log, db, handle, options...)
	eventually(t, "the handler is called", func() bool { return calls.Load() >= 20 })
	stopped(t, stop)
	stop = consume(t.Context(), log, db, handle, options...)
	isHandled(t, log)
	if letters := dead(t, log); !slices.Equal(slices.Sorted(slices.Values(letters)), bad) {
		t.Errorf("dead letters are %q", letters)
	}
	mended.Store(true)
	if _, err := log.Retry(t.Context(), consumer); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is no dead letter", func() bool { return len(dead(t, log)) == 0 })
	stopped(t, stop)
	f.check(t, all...)
}

// oneConnectionLost is lostAnswer with several calls that share the only connection.
func oneConnectionLost(t *testing.T, f *fixture) {
	all := ids("a", 60)
	log := mixed(t, all...)
	db := sql.OpenDB(&losing{Connector: f.connector, random: rand.New(rand.NewPCG(1, 2))})
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	stop := consume(t.Context(), log, db, f.write, eventlog.Concurrency(4), eventlog.BatchSize(1), eventlog.Window(8), eventlog.Tries(1000))
	isHandled(t, log)
	stopped(t, stop)
	f.check(t, all...)
}

// stopped stops a consumer, which must not wait for itself.
func stopped(t *testing.T, stop func() error) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the consumer has not stopped within a minute")
	}
}

// retryBeside has a dead letter retried while the handler of another event has locked the
// row that both change.
func retryBeside(t *testing.T, f *fixture) {
	if f.dialect == dialect.SQLite {
		t.Skip("SQLite has one writer at a time: no handler runs beside another")
	}
	if _, err := f.db.ExecContext(t.Context(), f.dialect.Create(dialect.Table{Name: "totals", Columns: "total BIGINT NOT NULL"})); err != nil {
		t.Fatal(err)
	}
	if _, err := f.db.ExecContext(t.Context(), "INSERT INTO totals (total) VALUES (0)"); err != nil {
		t.Fatal(err)
	}
	log := memory(t, "bad-1")
	retried, locked := make(chan struct{}), make(chan struct{})
	lock := sync.OnceFunc(func() { close(locked) })
	add := func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE totals SET total = total + 1")
		return err
	}
	handle := func(ctx context.Context, tx *sql.Tx, events []stored) error {
		switch {
		case eventlog.IsRetry(ctx):
			close(retried)
			<-locked
			return add(ctx, tx)
		case events[0].Subject == "bad":
			return errors.New("bad")
		}
		err := add(ctx, tx)
		lock()
		<-retried
		return err
	}
	stop := consume(t.Context(), log, f.db, handle, eventlog.Concurrency(4), eventlog.BatchSize(1), eventlog.Tries(1))
	isHandled(t, log)
	if _, err := log.Retry(t.Context(), consumer); err != nil {
		t.Fatal(err)
	}
	appendTo(t, log, "good1-1", "good2-1", "good3-1") // of which one may wait in the same queue
	isHandled(t, log)
	eventually(t, "there is no dead letter", func() bool { return len(dead(t, log)) == 0 })
	stopped(t, stop)
	var total int
	if err := f.db.QueryRowContext(t.Context(), "SELECT total FROM totals").Scan(&total); err != nil || total != 4 {
		t.Errorf("the total is %d, want 4: %v", total, err)
	}
}

// Package outboxtest tests what package outbox promises, on any database.
package outboxtest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/dialect"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/outbox"
)

// Run tests what is promised. connect makes an empty database, and returns what connects
// to it.
func Run(t *testing.T, connect func(testing.TB) driver.Connector) {
	for _, test := range []struct {
		name string
		test func(*testing.T, *fixture)
	}{
		{"AnEventIsSentIfItsTransactionCommits", committed},
		{"ATransactionThatCommitsLateIsNotLeftOut", late},
		{"EventsOfASubjectAreSentInTheirOrder", inOrder},
		{"WhatIsRefusedStaysWithTheReason", refused},
		{"TwoRelaysSendUnderTheSameIDs", twice},
		{"WhatCanNotBeDeletedIsNotSentAgain", notDeleted},
		{"ATypeThatTheRelayCanNotSendIsAnError", unknownType},
	} {
		t.Run(test.name, func(t *testing.T) {
			connector := &keeping{Connector: connect(t)}
			f := &fixture{connector: connector, db: sql.OpenDB(connector), fails: map[string]error{}}
			t.Cleanup(func() { _ = f.db.Close() })
			for range 2 { // the second time, there is the table
				box, err := outbox.Open(t.Context(), f.db)
				if err != nil {
					t.Fatal(err)
				}
				f.outbox = box
			}
			test.test(t, f)
		})
	}
}

// fixture is a database with an outbox, and a service that events are sent to.
type fixture struct {
	connector *keeping
	db        *sql.DB
	outbox    *outbox.Outbox

	mu    sync.Mutex
	fails map[string]error // by the values of events
	sent  []string         // values of events that were acknowledged
	ids   []string         // and the ids that came with them
}

// take is the RPC of the service.
func (f *fixture) take(ctx context.Context, event *wrapperspb.StringValue, _ ...grpc.CallOption) (*emptypb.Empty, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fails[event.Value]; err != nil {
		return nil, err
	}
	f.sent = append(f.sent, event.Value)
	md, _ := metadata.FromOutgoingContext(ctx)
	f.ids = append(f.ids, md.Get(eventid.Key)...)
	return &emptypb.Empty{}, nil
}

// set has the service fail with an event, or not any longer.
func (f *fixture) set(event string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fails[event] = err
}

// acknowledged returns the events that the service has acknowledged, in their order.
func (f *fixture) acknowledged() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sent)
}

func (f *fixture) begin(t *testing.T) *sql.Tx {
	t.Helper()
	tx, err := f.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// append appends events, each of the subject before the dash, and returns their ids.
func (f *fixture) append(t *testing.T, tx *sql.Tx, events ...string) (ids []string) {
	t.Helper()
	for _, event := range events {
		subject, _, _ := strings.Cut(event, "-")
		id, err := f.outbox.Append(t.Context(), tx, wrapperspb.String(event), outbox.Subject(subject))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func commit(t *testing.T, tx *sql.Tx) {
	t.Helper()
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// relay runs a relay until the test ends, or the function that it returns is called.
func (f *fixture) relay(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- f.outbox.Relay(ctx, outbox.Send(f.take), outbox.Logger(slog.New(slog.DiscardHandler)))
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// isEmpty waits until all events are acknowledged, and deleted.
func (f *fixture) isEmpty(t *testing.T) {
	t.Helper()
	eventually(t, "the outbox is empty", func() bool {
		count := 1
		err := f.db.QueryRowContext(t.Context(), "SELECT count(*) FROM event_outbox").Scan(&count)
		return err == nil && count == 0
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

func committed(t *testing.T, f *fixture) {
	tx := f.begin(t)
	ids := f.append(t, tx, "a", "b")
	commit(t, tx)
	tx = f.begin(t)
	f.append(t, tx, "never")
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	f.relay(t)
	f.isEmpty(t)
	tx = f.begin(t)
	given, err := f.outbox.Append(t.Context(), tx, wrapperspb.String("c"), outbox.ID("mine"))
	if err != nil || given != "mine" {
		t.Fatal(given, err)
	}
	commit(t, tx)
	f.isEmpty(t)
	slices.Sort(f.sent)
	slices.Sort(f.ids)
	if want := append(ids, "mine"); !slices.Equal(f.sent, []string{"a", "b", "c"}) || !slices.Equal(f.ids, want) {
		t.Errorf("sent %q under %q, want a b c under %q", f.sent, f.ids, want)
	}
}

// late has a transaction whose event has the smaller number commit after another one.
// Whoever reads on from the greatest number that was seen never sees it: that is shown,
// too.
func late(t *testing.T, f *fixture) {
	if database, err := dialect.Of(t.Context(), f.db); err != nil || database == dialect.SQLite {
		t.Skip("SQLite has one writer at a time: numbers are in the order of commits", err)
	}
	naive, last := []string{}, int64(0)
	readOn := func() {
		rows, err := f.db.QueryContext(t.Context(), fmt.Sprintf("SELECT number, subject FROM event_outbox WHERE number > %d ORDER BY number", last))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var subject string
			if err := rows.Scan(&last, &subject); err != nil {
				t.Fatal(err)
			}
			naive = append(naive, subject)
		}
		if rows.Err() != nil {
			t.Fatal(rows.Err())
		}
	}
	slow, fast := f.begin(t), f.begin(t)
	f.append(t, slow, "slow")
	f.append(t, fast, "fast")
	commit(t, fast)
	readOn()
	stop := f.relay(t)
	eventually(t, "the first is sent", func() bool { return slices.Equal(f.acknowledged(), []string{"fast"}) })
	stop()
	commit(t, slow)
	readOn()
	f.relay(t)
	f.isEmpty(t)
	if !slices.Equal(f.sent, []string{"fast", "slow"}) {
		t.Errorf("sent %q", f.sent)
	}
	if !slices.Equal(naive, []string{"fast"}) {
		t.Errorf("by the greatest number %q were read: was there no late commit?", naive)
	}
}

func inOrder(t *testing.T, f *fixture) {
	var want []string
	for i := range 30 {
		want = append(want, fmt.Sprintf("s-%02d", i))
	}
	tx := f.begin(t)
	f.append(t, tx, want...)
	f.append(t, tx, "other-1", "other-2")
	commit(t, tx)
	f.set("s-07", status.Error(codes.Unavailable, "not now"))
	f.relay(t)
	eventually(t, "the others are sent", func() bool {
		sent := f.acknowledged()
		return slices.Contains(sent, "s-06") && slices.Contains(sent, "other-2")
	})
	f.set("s-07", nil)
	f.isEmpty(t)
	got := slices.DeleteFunc(slices.Clone(f.sent), func(event string) bool { return !strings.HasPrefix(event, "s-") })
	if !slices.Equal(got, want) {
		t.Errorf("sent %q", got)
	}
}

func refused(t *testing.T, f *fixture) {
	tx := f.begin(t)
	f.append(t, tx, "s-1", "s-2")
	commit(t, tx)
	f.set("s-1", status.Error(codes.InvalidArgument, "no amount"))
	f.relay(t)
	var reason sql.NullString
	eventually(t, "the reason is there", func() bool {
		err := f.db.QueryRowContext(t.Context(), "SELECT refused FROM event_outbox").Scan(&reason)
		return err == nil && reason.Valid && len(f.acknowledged()) == 1
	})
	if !strings.Contains(reason.String, "no amount") {
		t.Errorf("it is refused for %q", reason.String)
	}
	f.set("s-1", nil)
	if _, err := f.db.ExecContext(t.Context(), "UPDATE event_outbox SET refused = NULL"); err != nil {
		t.Fatal(err)
	}
	f.isEmpty(t)
	if !slices.Equal(f.sent, []string{"s-2", "s-1"}) {
		t.Errorf("sent %q", f.sent)
	}
}

func twice(t *testing.T, f *fixture) {
	var ids []string
	f.relay(t)
	f.relay(t)
	for i := range 20 {
		tx := f.begin(t)
		ids = append(ids, f.append(t, tx, fmt.Sprint("s-", i))...)
		commit(t, tx)
	}
	f.isEmpty(t)
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := map[string]bool{}
	var first []string // the ids, when they came first
	for _, id := range f.ids {
		if !seen[id] {
			first = append(first, id)
		}
		seen[id] = true
	}
	if !slices.Equal(first, ids) {
		t.Errorf("sent under %q, want %q", first, ids)
	}
}

// notDeleted has the database refuse to delete what was sent, for some rounds.
func notDeleted(t *testing.T, f *fixture) {
	f.connector.keeps.Store(true)
	tx := f.begin(t)
	f.append(t, tx, "a", "b")
	commit(t, tx)
	f.relay(t)
	eventually(t, "it has tried to delete them again", func() bool { return f.connector.kept.Load() > 1 })
	f.connector.keeps.Store(false)
	f.isEmpty(t)
	if sent := f.acknowledged(); len(sent) != 2 {
		t.Errorf("sent %q", sent)
	}
}

// keeping connects to a database that refuses to delete rows while keeps is set.
type keeping struct {
	driver.Connector
	keeps atomic.Bool
	kept  atomic.Int64
}

func (k *keeping) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := k.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &keepingConn{conn, k}, nil
}

// keepingConn prepares each statement, which is what all drivers can do.
type keepingConn struct {
	driver.Conn
	*keeping
}

func (c *keepingConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, options)
}

func (c *keepingConn) PrepareContext(ctx context.Context, statement string) (driver.Stmt, error) {
	if c.keeps.Load() && strings.HasPrefix(statement, "DELETE ") {
		c.kept.Add(1)
		return nil, errors.New("the table is locked")
	}
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, statement)
}

// unknownType has an event of a type that the relay has no function for.
func unknownType(t *testing.T, f *fixture) {
	tx := f.begin(t)
	f.append(t, tx, "a")
	if _, err := f.outbox.Append(t.Context(), tx, wrapperspb.Bool(true)); err != nil {
		t.Fatal(err)
	}
	commit(t, tx)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := f.outbox.Relay(ctx, outbox.Send(f.take))
	if err == nil || !strings.Contains(err.Error(), "google.protobuf.BoolValue") || !strings.Contains(err.Error(), "outbox.Send") {
		t.Errorf("%v", err)
	}
	if sent := f.acknowledged(); !slices.Equal(sent, []string{"a"}) {
		t.Errorf("sent %q", sent)
	}
}

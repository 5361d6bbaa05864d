package once_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/exactlyonce/outboxtest"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/into"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/outbox"
)

func TestOutboxPostgreSQL(t *testing.T) {
	server := startPostgreSQL(t)
	outboxtest.Run(t, server.create)
	t.Run("ATransactionOfPgx", func(t *testing.T) { inPgx(t, server) })
	t.Run("AUserWhoMayMakeNoTablesGetsTheStatements", func(t *testing.T) { mayMakeNone(t, server) })
}

func TestOutboxMariaDB(t *testing.T) { outboxtest.Run(t, startMariaDB(t).create) }

func inPgx(t *testing.T, server database) {
	db := sql.OpenDB(server.create(t))
	defer func() { _ = db.Close() }()
	box, err := outbox.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	var id string
	err = conn.Raw(func(raw any) error {
		tx, err := raw.(*stdlib.Conn).Conn().Begin(t.Context())
		if err != nil {
			return err
		}
		if id, err = outbox.AppendPgx(t.Context(), tx, wrapperspb.String("a"), outbox.Subject("s")); err != nil {
			return errors.Join(err, tx.Rollback(t.Context()))
		}
		var _ pgx.Tx = tx
		return tx.Commit(t.Context())
	})
	if err != nil || id == "" {
		t.Fatal(id, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sent := ""
	err = box.Relay(ctx, outbox.Send(func(_ context.Context, event *wrapperspb.StringValue, _ ...grpc.CallOption) (*emptypb.Empty, error) {
		sent = event.Value
		cancel()
		return &emptypb.Empty{}, nil
	}))
	if err != nil || sent != "a" {
		t.Errorf("sent %q: %v", sent, err)
	}
}

// mayMakeNone has a user who can't make tables do what the errors say.
func mayMakeNone(t *testing.T, server database) {
	connector := server.create(t)
	admin := sql.OpenDB(connector)
	defer func() { _ = admin.Close() }()
	if _, err := admin.ExecContext(t.Context(), "CREATE ROLE modest; GRANT USAGE ON SCHEMA public TO modest; REVOKE CREATE ON SCHEMA public FROM public; "+
		"ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO modest"); err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // that has the role
	if _, err := db.ExecContext(t.Context(), "SET ROLE modest"); err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	open := func() error {
		_, err := outbox.Open(t.Context(), db)
		return err
	}
	consume := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		return into.ConsumeMessages(ctx, log, db, "billing", func(context.Context, *sql.Tx, []eventlog.Stored[*wrapperspb.StringValue]) error { return nil })
	}
	if _, err := admin.ExecContext(t.Context(), "CREATE TABLE event_outbox (secret TEXT); REVOKE ALL ON event_outbox FROM modest"); err != nil {
		t.Fatal(err)
	}
	if err := open(); err == nil || !strings.Contains(err.Error(), "permission denied for table event_outbox") || !strings.Contains(err.Error(), "ask for the right to read") {
		t.Errorf("for a table that can't be read: %v", err)
	}
	if _, err := admin.ExecContext(t.Context(), "DROP TABLE event_outbox"); err != nil {
		t.Fatal(err)
	}
	for name, needs := range map[string]func() error{"outbox": open, "consumer": consume} {
		err := needs()
		if err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Fatalf("%s: %v", name, err)
		}
		_, statements, _ := strings.Cut(err.Error(), "\n\n")
		if _, err := admin.ExecContext(t.Context(), statements); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, statements)
		}
		if err := needs(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

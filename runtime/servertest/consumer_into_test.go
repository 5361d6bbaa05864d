package servertest_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/types/known/apipb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/into"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
)

// A consumer that has its position in a database keeps the contract: if the log forgets
// the position, it handles nothing again.
func TestConsumersIntoADatabasePass(t *testing.T) {
	c := consumer(true, right)
	c.New = func(t testing.TB, log eventlog.Log) servertest.Consuming {
		// The folder above is the same for each start of the service in a test.
		path := filepath.Join(filepath.Dir(t.TempDir()), "effects.db")
		db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		if _, err := db.ExecContext(t.Context(), "CREATE TABLE IF NOT EXISTS effects (id TEXT NOT NULL)"); err != nil {
			t.Fatal(err)
		}
		return servertest.Consuming{
			Run: func(ctx context.Context) error {
				return into.ConsumeMessages(ctx, log, db, "registry", func(ctx context.Context, tx *sql.Tx, events []eventlog.Stored[*apipb.Api]) error {
					for _, event := range events {
						if _, err := tx.ExecContext(ctx, "INSERT INTO effects VALUES (?)", event.ID); err != nil {
							return err
						}
					}
					return nil
				})
			},
			Effects: func() (ids []string) {
				rows, err := db.Query("SELECT id FROM effects")
				if err != nil {
					t.Error(err)
					return nil
				}
				defer func() { _ = rows.Close() }()
				for rows.Next() {
					var id string
					if err := rows.Scan(&id); err != nil {
						t.Error(err)
					}
					ids = append(ids, id)
				}
				if rows.Err() != nil {
					t.Error(rows.Err())
				}
				return ids
			},
		}
	}
	c.Test(t)
}

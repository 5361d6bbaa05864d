package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/eventlogtest"
)

func TestSQLiteKeepsTheContract(t *testing.T) {
	eventlogtest.Run(t, eventlogtest.Engine{
		URL:        func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "events.db") },
		Durability: eventlog.Fsync,
		Delete: func(t testing.TB, url string, last eventlog.Position) {
			db, err := sql.Open("sqlite", strings.TrimPrefix(url, "sqlite:"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			if _, err := db.ExecContext(t.Context(), "PRAGMA busy_timeout = 5000; DELETE FROM events WHERE position <= "+strconv.Itoa(int(last))); err != nil {
				t.Fatal(err)
			}
		},
	})
}

package outbox_test

import (
	"database/sql/driver"
	"path/filepath"
	"testing"

	"modernc.org/sqlite"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/exactlyonce/outboxtest"
)

func TestSQLite(t *testing.T) {
	outboxtest.Run(t, func(t testing.TB) driver.Connector {
		connector, err := sqlite.NewConnector("file:" + filepath.Join(t.TempDir(), "orders.db") + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)")
		if err != nil {
			t.Fatal(err)
		}
		return connector
	})
}

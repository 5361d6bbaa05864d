package into_test

import (
	"database/sql/driver"
	"path/filepath"
	"testing"

	"modernc.org/sqlite"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/exactlyonce/intotest"
)

func TestSQLite(t *testing.T) {
	intotest.Run(t, func(t testing.TB) driver.Connector {
		connector, err := sqlite.NewConnector("file:" + filepath.Join(t.TempDir(), "billing.db") + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)")
		if err != nil {
			t.Fatal(err)
		}
		return connector
	})
}

package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/eventlogtest"
)

func TestSQLiteKeepsTheContract(t *testing.T) {
	eventlogtest.Run(t, eventlogtest.Engine{
		URL:        func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "events.db") },
		Durability: eventlog.Fsync,
	})
}

package exactlyonce_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/exactlyonce"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
)

func open(path string) (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_txlock=immediate")
}

func TestMain(m *testing.M) {
	exactlyonce.Main(open)
	os.Exit(m.Run())
}

func TestKilledSQLite(t *testing.T) {
	kills, err := strconv.Atoi(os.Getenv("ONCE_KILLS"))
	if err != nil {
		kills = 5
	}
	dir := t.TempDir()
	exactlyonce.Trial{
		Open:   open,
		Sender: filepath.Join(dir, "orders.db"), Consumer: filepath.Join(dir, "billing.db"),
		Log:   "sqlite:" + filepath.Join(dir, "events.db"),
		Kills: kills,
	}.Run(t)
}

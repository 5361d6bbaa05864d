package exactlyonce_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/exactlyonce"
)

func TestKilledSQLite(t *testing.T) {
	kills, err := strconv.Atoi(os.Getenv("ONCE_KILLS"))
	if err != nil {
		kills = 5
	}
	exactlyonce.Trial{
		Sender: exactlyonce.SQLite(t), Consumer: exactlyonce.SQLite(t),
		Log:   "sqlite:" + filepath.Join(t.TempDir(), "events.db"),
		Kills: kills,
	}.Run(t)
}

package exactlyonce_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/exactlyonce"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := exactlyonce.Clean(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func TestKilledSQLite(t *testing.T) {
	kills := kills()
	exactlyonce.Trial{
		Sender: exactlyonce.SQLite(t), Consumer: exactlyonce.SQLite(t),
		Log:   "sqlite:" + filepath.Join(t.TempDir(), "events.db"),
		Kills: kills,
	}.Run(t)
}

func TestPublishedByLane(t *testing.T) {
	exactlyonce.Published{Lane: true, Log: "sqlite:" + filepath.Join(t.TempDir(), "events.db"), Kills: kills()}.Run(t)
}

func TestPublishedInBatches(t *testing.T) {
	if os.Getenv("ONCE_KILLS") == "" {
		t.Skip("make publisher tries it: TestPublishedByLane does the same")
	}
	exactlyonce.Published{Log: "sqlite:" + filepath.Join(t.TempDir(), "events.db"), Kills: kills()}.Run(t)
}

// kills returns how often each process is killed.
func kills() int {
	if kills, err := strconv.Atoi(os.Getenv("ONCE_KILLS")); err == nil {
		return kills
	}
	return 5
}

package operate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/memory"
)

func TestABackupIsVerifiedAndRestored(t *testing.T) {
	log, url := openLog(t)
	mustAppend(t, log, known(t, "a"), known(t, "b"))
	dir := t.TempDir()
	file := filepath.Join(dir, "backup.db")
	made := lines(t, url, "backup", file)
	if len(made) != 1 || made[0]["backup"] != file || made[0]["events"] != 2.0 || made[0]["last"] != 2.0 {
		t.Errorf("backup printed %v", made)
	}
	if equal := lines(t, url, "verify", file, strings.TrimPrefix(url, "sqlite:")); len(equal) != 3 || equal[2]["equal"] != true || equal[0]["sha256"] != equal[1]["sha256"] || equal[0]["events"] != 2.0 {
		t.Errorf("verify printed %v", equal)
	}
	mustAppend(t, log, known(t, "c"))
	_, err := run(t, url, "verify", file, url)
	if err == nil || !strings.Contains(err.Error(), "only the second has the event at position 3") || !strings.Contains(err.Error(), "not equal") {
		t.Errorf("%v, want that the log has one more", err)
	}
	if equal := lines(t, url, "verify", "--until", "2", file, url); len(equal) != 3 {
		t.Errorf("verify --until printed %v", equal)
	}
	if one := lines(t, url, "verify"); len(one) != 1 || one[0]["events"] != 3.0 {
		t.Errorf("verify of the log printed %v", one)
	}
	if _, err := run(t, url, "restore", file); err == nil || !strings.Contains(err.Error(), "the log is in use") {
		t.Errorf("%v, want that the log is in use", err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	restored := lines(t, url, "restore", file)
	kept, _ := restored[0]["before"].(string)
	if got := lines(t, url, "replay"); len(got) != 2 {
		t.Errorf("%d events were restored", len(got))
	}
	if got := lines(t, "sqlite:"+kept, "replay"); len(got) != 3 {
		t.Errorf("%d events were kept", len(got))
	}
}

func TestABackupInADirectoryHasATime(t *testing.T) {
	log, url := openLog(t)
	mustAppend(t, log, known(t, "a"))
	dir := t.TempDir()
	made := lines(t, url, "backup", dir)
	file, _ := made[0]["backup"].(string)
	at, err := time.Parse("20060102T150405.000Z", strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "events-"), ".db"))
	if err != nil || filepath.Dir(file) != dir || time.Since(at) > time.Hour {
		t.Errorf("the backup is %s, %v", file, err)
	}
}

func TestVerifySaysWhereLogsDiffer(t *testing.T) {
	log, url := openLog(t)
	other, otherURL := openLog(t)
	changed := known(t, "b")
	changed.Subject = "else"
	mustAppend(t, log, known(t, "a"), known(t, "b"))
	mustAppend(t, other, known(t, "a"), changed)
	_, err := run(t, url, "verify", url, otherURL)
	if err == nil || !strings.Contains(err.Error(), "differ first in the events at position 1") { // which have other times
		t.Errorf("%v", err)
	}
	for name, want := range map[string]string{
		"nats://user:secret@a,b/ORDERS?creds=x": "nats://a,b/ORDERS",
		"backup.db":                             "backup.db",
	} {
		if got := publicName(name); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestDamageIsFound damages a page in the middle of a backup.
func TestDamageIsFound(t *testing.T) {
	log, url := openLog(t)
	for range 20 {
		large := known(t, time.Now().String())
		large.Data = make([]byte, 10_000)
		mustAppend(t, log, large)
	}
	file := filepath.Join(t.TempDir(), "backup.db")
	lines(t, url, "backup", file)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	copy(content[3*4096:], make([]byte, 4096))
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", file}, {"restore", "--events", "sqlite:" + filepath.Join(t.TempDir(), "new.db"), file}} {
		if _, err := run(t, url, args...); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v, want that it is damaged", args[0], err)
		}
	}
}

func TestMistakesOfTasksAreReported(t *testing.T) {
	_, url := openLog(t)
	if _, err := eventlog.Open(t.Context(), "memory:shop"); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"backup":                              "want shop-server events backup FILE|DIRECTORY",
		"restore":                             "want shop-server events restore BACKUP",
		"verify a b c":                        `unexpected argument "c"`,
		"backup --events memory:shop a":       "make a backup of it by events copy --to sqlite:FILE",
		"backup --events sqlite:missing.db a": "there is no event log here",
		"restore --events memory:shop a":      "use events copy",
		"verify missing.db":                   "there is no event log here",
	} {
		if _, err := run(t, url, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
	for _, name := range []string{"backup", "restore", "verify"} {
		if help, err := run(t, url, name, "--help"); err == nil || !strings.Contains(help, "Usage: shop-server events "+name+" ") {
			t.Errorf("%s --help: %q, %v", name, help, err)
		}
	}
}

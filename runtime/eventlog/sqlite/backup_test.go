package sqlite

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// documentedSQL finds the statements that docs/operations.md gives to the program
// sqlite3, and documentedRestore the commands by which a backup is restored.
var (
	documentedSQL     = regexp.MustCompile(`(?m)^sqlite3 -readonly data/orders\.db (?:'([^']+)'|"([^"]+)")`)
	documentedRestore = regexp.MustCompile(`(?m)^mkdir before .*\n(?:.+\n)*?cp .*$`)
)

// runSQL runs a statement on data/orders.db in a directory as the documentation does:
// with the program sqlite3 or, where that is missing, with the driver.
func runSQL(t *testing.T, dir, statement string) (lines int) {
	t.Helper()
	if program, err := exec.LookPath("sqlite3"); err == nil {
		command := exec.CommandContext(t.Context(), program, "-readonly", "data/orders.db", statement)
		command.Dir = dir
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", statement, err, output)
		}
		return strings.Count(string(output), "\n")
	}
	pool := newPool(filepath.Join(dir, "data", "orders.db"), "mode=ro", "_pragma=busy_timeout(5000)")
	defer func() { _ = pool.Close() }()
	rows, err := pool.QueryContext(t.Context(), strings.ReplaceAll(statement, "'backup.db'", "'"+filepath.Join(dir, "backup.db")+"'"))
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		lines++
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return lines
}

// TestDocumentedBackupIsRestored checks that what docs/operations.md says of SQLite
// works beside a log to which is appended all the time, and that the backup is whole.
func TestDocumentedBackupIsRestored(t *testing.T) {
	page, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var statements []string
	for _, match := range documentedSQL.FindAllStringSubmatch(string(page), -1) {
		statements = append(statements, match[1]+match[2])
	}
	restore := documentedRestore.FindString(string(page))
	if len(statements) != 2 || !strings.HasPrefix(statements[1], "VACUUM INTO") || restore == "" {
		t.Fatalf("the page has the statements %q and the commands %q", statements, restore)
	}

	dir := t.TempDir()
	log := mustOpen(t, "sqlite:"+filepath.Join(dir, "data", "orders.db"))
	before := appendNumbered(t, log, "before", 500, 3000)
	stop := make(chan struct{})
	var group sync.WaitGroup
	for writer := range 4 {
		group.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					mustAppend(t, log, event(fmt.Sprint(writer, "-", i)))
				}
			}
		})
	}
	if lines := runSQL(t, dir, statements[0]); lines != 10 {
		t.Errorf("%d lines, want 10", lines)
	}
	runSQL(t, dir, statements[1])
	close(stop)
	group.Wait()
	after := ids(mustRead(t, log, 0))
	mustClose(t, log)

	command := exec.CommandContext(t.Context(), "sh", "-ec", restore)
	command.Dir = dir
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	log = mustOpen(t, "sqlite:"+log.path)
	checkIntegrity(t, log)
	got := ids(mustRead(t, log, 0))
	if len(got) < len(before) || !slices.Equal(got, after[:len(got)]) {
		t.Errorf("the backup has %d events, want the first of %d and at least %d", len(got), len(after), len(before))
	}
	mustAppend(t, log, event("later"))
	if names := stale(t, log.path); len(names) > 0 {
		t.Errorf("set aside: %v", names)
	}
}

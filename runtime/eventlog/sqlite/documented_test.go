package sqlite

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// documentedSQL finds the statement that docs/operations.md gives to the program sqlite3.
var documentedSQL = regexp.MustCompile(`(?m)^sqlite3 -readonly data/orders\.db '([^']+)'`)

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
	rows, err := pool.QueryContext(t.Context(), statement)
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

// TestDocumentedStatementWorksUnderLoad checks that what docs/operations.md says of SQLite
// works beside a log to which is appended all the time.
func TestDocumentedStatementWorksUnderLoad(t *testing.T) {
	page, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	statements := documentedSQL.FindAllStringSubmatch(string(page), -1)
	if len(statements) != 1 {
		t.Fatalf("the page has the statements %q", statements)
	}
	dir := t.TempDir()
	log := mustOpen(t, "sqlite:"+filepath.Join(dir, "data", "orders.db"))
	appendNumbered(t, log, "before", 500, 3000)
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
	if lines := runSQL(t, dir, statements[0][1]); lines != 10 {
		t.Errorf("%d lines, want 10", lines)
	}
	close(stop)
	group.Wait()
}

package acceptance

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestAFileIsStoredOnce sends a file with the generated client to the generated server, as
// a whole, and another with a client that is interrupted and resumed, three times by Ctrl-C
// and once by SIGKILL. Each line is stored once. MILLION sets how many lines there are, and has the memory of the
// client checked: it does not grow with the file.
func TestAFileIsStoredOnce(t *testing.T) {
	t.Parallel()
	lines, _ := strconv.Atoi(os.Getenv("MILLION"))
	measured := lines > 0
	if !measured {
		lines = 20_000
	}
	dir, err := demo()
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	log := filepath.Join(work, "events.db")
	addr := startServer(t, "sqlite:"+log)
	stored := func(file string, want int) {
		t.Helper()
		db, err := sql.Open("sqlite", "file:"+log+"?mode=ro")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		var count, different int
		if err := db.QueryRow(`SELECT count(*), count(DISTINCT subject) FROM events WHERE source = ?`, filepath.Base(file)).Scan(&count, &different); err != nil {
			t.Fatal(err)
		}
		if count != want || different != want {
			t.Fatalf("of the %d lines of %s %d are stored, %d different ones", want, filepath.Base(file), count, different)
		}
	}
	client := func(args ...string) (*exec.Cmd, *bytes.Buffer) {
		command := exec.Command(filepath.Join(dir, "receiver-client"), append([]string{"receive", "--addr", addr, "--json"}, args...)...)
		var out bytes.Buffer
		command.Stdout, command.Stderr = &out, &out
		return command, &out
	}

	whole := linesFile(t, filepath.Join(work, "whole"), lines)
	command, out := client("--from", whole)
	if err := command.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	stored(whole, lines)
	usage := command.ProcessState.SysUsage().(*syscall.Rusage)
	t.Logf("%s, and the client had at most %d MB", bytes.TrimSpace(out.Bytes()), usage.Maxrss>>10)
	if measured && usage.Maxrss>>10 > 64 {
		t.Errorf("the client had %d MB", usage.Maxrss>>10)
	}

	// Each run is ended when it has sent about a sixth more.
	parts := linesFile(t, filepath.Join(work, "parts"), lines)
	for i, signal := range []os.Signal{os.Interrupt, os.Kill, os.Interrupt, os.Interrupt} {
		command, out := client("--from", parts, "--resume")
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- command.Wait() }()
		for done, deadline := 0, time.Now().Add(10*time.Minute); done < lines*(i+1)/6; {
			select {
			case err := <-ended:
				t.Fatalf("it ended before it was interrupted: %v\n%s", err, out)
			case <-time.After(20 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				t.Fatalf("it has sent %d lines", done)
			}
			done = lastPosition(t, log) - lines // those of the first file
		}
		if err := command.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		err := <-ended
		if code := command.ProcessState.ExitCode(); signal == os.Interrupt && code != 4 {
			t.Fatalf("interrupted, it ends with %v\n%s", err, out)
		}
	}
	command, out = client("--from", parts, "--resume")
	if err := command.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	stored(parts, lines)
	t.Logf("after four interruptions: %s", bytes.TrimSpace(out.Bytes()))
}

// lastPosition returns the position of the last event of a log.
func lastPosition(t *testing.T, log string) (position int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+log+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(`SELECT max(position) FROM events`).Scan(&position); err != nil {
		t.Fatal(err)
	}
	return position
}

// linesFile writes a file with events, whose source is its name, each of a subject of its
// own.
func linesFile(t *testing.T, path string, lines int) string {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	buffered := bufio.NewWriter(file)
	for i := range lines {
		line, err := json.Marshal(map[string]any{
			"appid": filepath.Base(path), "xwho": fmt.Sprintf("user-%d", i), "xwhat": "install", "xwhen": 1_764_000_000 + i,
			"xcontext": map[string]any{"amount": i % 1000, "sku": fmt.Sprintf("sku-%d", i%77)},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := buffered.Write(append(line, '\n')); err != nil {
			t.Fatal(err)
		}
	}
	if err := buffered.Flush(); err != nil {
		t.Fatal(err)
	}
	return path
}

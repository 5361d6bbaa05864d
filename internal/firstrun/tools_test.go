//go:build unix

package main

import (
	"path/filepath"
	"testing"
	"time"
)

func TestShare(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	shares, rest := share([]toolRun{
		{Tool: "compile", Start: at(1), End: at(7)},
		{Tool: "vet", Start: at(3), End: at(5)},
		{Tool: "link", Start: at(8), End: at(20)}, // goes on after the end
		{Tool: "asm", Start: at(2), End: at(2)},
	}, at(0), at(10))
	for i, want := range []time.Duration{5 * time.Second, time.Second, 2 * time.Second, 0} {
		if shares[i] != want {
			t.Errorf("run %d gets %v, want %v", i, shares[i], want)
		}
	}
	if rest != 2*time.Second {
		t.Errorf("the rest is %v, want 2s", rest)
	}
}

func TestRunTool(t *testing.T) {
	log := filepath.Join(t.TempDir(), "tools.json")
	t.Setenv("TOOLEXEC_IMPORTPATH", "example.com/orders")
	before := time.Now()
	if code := runTool(log, []string{"/bin/sh", "-c", "exit 3"}); code != 3 {
		t.Errorf("the exit code is %d, want that of the tool, 3", code)
	}
	if code := runTool(log, []string{"/bin/sh", "-c", "exit 0"}); code != 0 {
		t.Errorf("the exit code is %d, want 0", code)
	}
	runs, err := readTools(log, before, time.Now())
	if err != nil || len(runs) != 2 {
		t.Fatalf("the log has %v (%v), want two runs", runs, err)
	}
	if runs[0].Tool != "sh" || runs[0].Package != "example.com/orders" || runs[0].End.Before(runs[0].Start) {
		t.Errorf("the log has %v", runs[0])
	}
	if earlier, err := readTools(log, before.Add(-time.Hour), before); err != nil || len(earlier) != 0 {
		t.Errorf("before it ran anything the log has %v (%v)", earlier, err)
	}
}

//go:build unix

package main

import (
	"testing"
)

// TestNoCallFailsWhileCertificatesAndKeysAreReplaced is a short sample of make rotate.
func TestNoCallFailsWhileCertificatesAndKeysAreReplaced(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a program and replaces its files for ten seconds")
	}
	dir := t.TempDir()
	built, err := buildModule(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	results, err := rotate(t.Context(), built, dir, 1, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, r := range results {
		if len(r.failed) > 0 {
			t.Errorf("%s: %d calls failed, the first with: %s", r.step, len(r.failed), r.failed[0])
		}
		if r.kept == "server-1" {
			refused++
		}
	}
	if refused != len(wrong()) {
		t.Errorf("of %d steps %d kept the first certificate, want %d", len(results), refused, len(wrong()))
	}
}

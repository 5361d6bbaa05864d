//go:build unix

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// TestMain makes the test's program a server too, as the command is one.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == serveArgument {
		exit(serve(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// TestCompareMeasuresAll is a sample: each server answers, and has its rows. How they
// compare is not looked at, since a moment says nothing about that.
func TestCompareMeasuresAll(t *testing.T) {
	for i := range variants {
		variants[i].most = 0
	}
	var out bytes.Buffer
	b := bench{rounds: 1, span: 10 * time.Millisecond, callers: 4, profiles: t.TempDir(), out: tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)}
	if err := b.compare(t.Context(), variants); err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(out.String()), "\n")
	if want := 1 + len(connections)*len(variants); len(rows) != want {
		t.Fatalf("%d rows, want %d:\n%s", len(rows), want, &out)
	}
	for i, row := range rows[1:] {
		if want := variants[i%len(variants)].name; !strings.Contains(row, want) || !strings.Contains(row, "µs") {
			t.Errorf("row %d is not that of %q: %s", i, want, row)
		}
	}
	if written, err := os.ReadDir(b.profiles); err != nil || len(written) != 2*len(variants) {
		t.Errorf("%d profiles, want two of each server: %v", len(written), err)
	}
}

// TestSoakPrintsTheHeap is a sample of a soak.
func TestSoakPrintsTheHeap(t *testing.T) {
	var out bytes.Buffer
	b := bench{callers: 4, out: tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)}
	if err := b.soak(t.Context(), 40*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if rows := strings.Count(out.String(), " MB"); rows < 4 {
		t.Errorf("want two sizes a row, and several rows:\n%s", &out)
	}
}

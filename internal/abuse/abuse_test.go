//go:build linux

package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestAttacksDoNoHarm tries a few attacks, of the kinds that did the most harm when they
// were found, for a moment each. make abuse tries all.
func TestAttacksDoNoHarm(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a module and attacks its server, which takes half a minute")
	}
	dir := t.TempDir()
	built, err := buildModule(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	sample := []string{"silent streams", "unread answers", "unread large answers", "a Struct of 34 levels", "batches of millions", "idle connections", "HTTP: unread refusals", "ops: slow clients"}
	for n, name := range sample {
		i := slices.IndexFunc(attacks, func(a attack) bool { return a.name == name })
		if i < 0 {
			t.Fatalf("there is no attack %q", name)
		}
		outcome, err := attacks[i].try(t.Context(), built, filepath.Join(dir, fmt.Sprint(n)), 2*time.Second, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		for _, wrong := range outcome.wrong {
			t.Errorf("%s: %s", name, wrong)
		}
	}
}

// TestTheBoundFollowsFromTheFlags checks that a bound is what its terms add up to, with
// the figures that a server has by its flags.
func TestTheBoundFollowsFromTheFlags(t *testing.T) {
	bytes, flags := bound([]term{perCall, requests}, figures{"max-calls": 1000, "max-memory-bytes": 10 * mib})
	if want := int64(own + 1000*100<<10 + 40*mib); bytes != want || flags != "--max-calls + --max-memory-bytes" {
		t.Errorf("it is %d by %s, want %d", bytes, flags, want)
	}
}

package report_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/report"
)

// TestWhatMustBeDoneComesLast: lines are grouped by cause, whatever their order was,
// those of one cause in their order.
func TestWhatMustBeDoneComesLast(t *testing.T) {
	lines := slices.Concat(
		report.Of(report.Steps, "do these steps:", "a.go:1: add below this line:\n\tx()"),
		report.Of(report.GoMod, "go.mod requires x"),
		report.Of(report.NotCalled, "b.go:2: F looks like an RPC", "a.go:7: G looks like an RPC"),
		report.Of(report.Done, "Dockerfile: deleted"),
		report.Of(report.NotCalled, "a.go:1: H looks like an RPC"),
	)
	want := []string{
		"Dockerfile: deleted",
		"methods that no RPC calls:", "  b.go:2: F looks like an RPC", "  a.go:7: G looks like an RPC", "  a.go:1: H looks like an RPC",
		"go.mod requires x",
		"do these steps:", "a.go:1: add below this line:\n\tx()",
	}
	if got := report.Texts(lines); !slices.Equal(got, want) {
		t.Errorf("it prints\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if lines[0].Kind != report.Steps {
		t.Error("it sorts the lines that it was given")
	}
	if got := report.Texts(nil); len(got) > 0 {
		t.Errorf("of no lines it prints %q", got)
	}
}

// TestLongGroupsAreCut: ten lines are printed and how many there are besides, but all
// steps: who misses one loses events.
func TestLongGroupsAreCut(t *testing.T) {
	for _, test := range []struct {
		kind report.Kind
		n    int
		want int // texts
		last string
	}{
		{report.Gone, 11, 1 + 11, "  line 11"},
		{report.Gone, 12, 1 + 10 + 1, "  and 2 more: the next run prints them when these are done, and protoc-gen-receiver generate deletes them"},
		{report.Done, 62, 1 + 10 + 1, "  and 52 more"},
		{report.NoEvents, 100, 1 + 10 + 1, "  and 90 more: protoc-gen-receiver explain has all of them"},
		{report.Steps, 100, 100, "line 100"},
	} {
		var texts []string
		for i := range test.n {
			texts = append(texts, fmt.Sprint("line ", i+1))
		}
		if got := report.Texts(report.Of(test.kind, texts...)); len(got) != test.want || got[len(got)-1] != test.last {
			t.Errorf("of %d lines it prints\n%s\nwant %d lines, %q at the end", test.n, strings.Join(got, "\n"), test.want, test.last)
		}
	}
}

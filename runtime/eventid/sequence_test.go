package eventid

import (
	"context"
	"slices"
	"testing"

	"google.golang.org/grpc/metadata"
)

func TestEventsOfACallAreNumbered(t *testing.T) {
	sent := metadata.NewIncomingContext(context.Background(), metadata.Pairs(Key, "call"))
	for name, test := range map[string]struct {
		ctx   context.Context
		calls []int // of Next
		want  []string
	}{
		"one event has the id of the call":       {sent, []int{1}, []string{"call"}},
		"several are numbered":                   {sent, []int{3}, []string{"call/1", "call/2", "call/3"}},
		"one in a sequence is numbered":          {Sequence(sent), []int{1}, []string{"call/1"}},
		"the only one of a sequence is not":      {Sequence(Only(sent)), []int{1}, []string{"call"}},
		"a sequence goes on from batch to batch": {Sequence(sent), []int{1, 2, 1}, []string{"call/1", "call/2", "call/3", "call/4"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, n := range test.calls {
				next := Next(test.ctx, n)
				for range n {
					got = append(got, next())
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("the ids are %q, want %q", got, test.want)
			}
		})
	}
}

func TestACallWithoutAnIDGetsOneForAllItsEvents(t *testing.T) {
	ctx := Sequence(context.Background())
	first, second := Next(ctx, 1)(), Next(ctx, 1)()
	if len(first) != len(New())+2 || first[:len(first)-1] != second[:len(second)-1] || first == second {
		t.Errorf("the ids are %q and %q, want the same id, numbered", first, second)
	}
}

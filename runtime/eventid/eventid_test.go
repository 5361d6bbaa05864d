package eventid

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"
)

// outgoing returns the metadata that calls of a context carry for a key.
func outgoing(ctx context.Context, key string) []string {
	md, _ := metadata.FromOutgoingContext(ctx)
	return md.Get(key)
}

func TestANewIDIsAUUIDOfVersion7(t *testing.T) {
	id, err := uuid.Parse(New())
	if err != nil {
		t.Fatal(err)
	}
	if id.Version() != 7 || id.Variant() != uuid.RFC4122 {
		t.Errorf("%s has version %d and variant %s", id, id.Version(), id.Variant())
	}
}

func TestANewIDNeverRepeatsAndGrows(t *testing.T) {
	const each = 2000
	lists := make([][]string, 4)
	var all sync.WaitGroup
	for i := range lists {
		all.Go(func() {
			for range each {
				lists[i] = append(lists[i], New())
			}
		})
	}
	all.Wait()
	seen := map[string]bool{}
	for _, list := range lists {
		if !slices.IsSorted(list) {
			t.Error("a later id comes before an earlier one")
		}
		for _, id := range list {
			seen[id] = true
		}
	}
	if want := each * len(lists); len(seen) != want {
		t.Errorf("%d different ids of %d", len(seen), want)
	}
}

func TestTheGivenIDReplacesAnother(t *testing.T) {
	for name, ctx := range map[string]context.Context{
		"none":     t.Context(),
		"one":      WithID(t.Context(), "first"),
		"appended": metadata.AppendToOutgoingContext(WithID(t.Context(), "first"), "Event-ID", "second"),
		"by hand":  metadata.NewOutgoingContext(t.Context(), metadata.MD{"Event-Id": {"first"}}),
	} {
		if got := outgoing(WithID(ctx, "mine"), Key); !slices.Equal(got, []string{"mine"}) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAGivenIDDoesNotChangeTheParentContext(t *testing.T) {
	md := metadata.Pairs("tenant", "a", Key, "first")
	parent := metadata.AppendToOutgoingContext(metadata.NewOutgoingContext(t.Context(), md), "trace", "b")
	child := WithID(parent, "second")
	if got := outgoing(parent, Key); !slices.Equal(got, []string{"first"}) {
		t.Errorf("the parent carries %q", got)
	}
	if got := md.Get(Key); !slices.Equal(got, []string{"first"}) {
		t.Errorf("the parent's metadata has become %q", got)
	}
	for key, want := range map[string]string{"tenant": "a", "trace": "b", Key: "second"} {
		if got := outgoing(child, key); !slices.Equal(got, []string{want}) {
			t.Errorf("the child carries %s %q, want %q", key, got, want)
		}
	}
}

func TestAnIDIsMadeOnlyIfThereIsNone(t *testing.T) {
	for name, test := range map[string]struct {
		ctx  context.Context
		want string // a new one, if empty
	}{
		"no metadata":    {ctx: t.Context()},
		"other metadata": {ctx: metadata.AppendToOutgoingContext(t.Context(), "tenant", "a")},
		"an empty id":    {ctx: WithID(t.Context(), "")},
		"an id":          {ctx: WithID(t.Context(), "mine"), want: "mine"},
		"an id by hand":  {ctx: metadata.AppendToOutgoingContext(t.Context(), "Event-ID", "mine"), want: "mine"},
	} {
		t.Run(name, func(t *testing.T) {
			got := outgoing(Ensure(test.ctx), Key)
			switch {
			case len(got) != 1:
				t.Errorf("carries %q, want one id", got)
			case test.want != "" && got[0] != test.want:
				t.Errorf("carries %q, want %q", got[0], test.want)
			case test.want == "" && uuid.Validate(got[0]) != nil:
				t.Errorf("carries %q, want a new id", got[0])
			}
			if want, got := outgoing(test.ctx, "tenant"), outgoing(Ensure(test.ctx), "tenant"); !slices.Equal(got, want) {
				t.Errorf("other metadata has become %q, was %q", got, want)
			}
		})
	}
}

func TestEnsureKeepsTheIDThatItMade(t *testing.T) {
	ctx := Ensure(t.Context())
	if first, second := outgoing(ctx, Key), outgoing(Ensure(ctx), Key); !slices.Equal(first, second) {
		t.Errorf("%q has become %q", first, second)
	}
}

func TestTheMessageBeatsTheCallBeatsANewID(t *testing.T) {
	for name, test := range map[string]struct {
		incoming  metadata.MD
		inMessage string
		want      string // a new one, if empty
	}{
		"message and call": {incoming: metadata.Pairs(Key, "of the call"), inMessage: "of the message", want: "of the message"},
		"message alone":    {inMessage: "of the message", want: "of the message"},
		"call alone":       {incoming: metadata.Pairs(Key, "of the call"), want: "of the call"},
		"call, twice":      {incoming: metadata.Pairs(Key, "first", Key, "second"), want: "first"},
		"an empty one":     {incoming: metadata.Pairs(Key, "")},
		"other metadata":   {incoming: metadata.Pairs("tenant", "a")},
		"nothing":          {},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if test.incoming != nil {
				ctx = metadata.NewIncomingContext(ctx, test.incoming)
			}
			got := Of(ctx, test.inMessage)
			if test.want != "" && got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if test.want == "" && uuid.Validate(got) != nil {
				t.Errorf("got %q, want a new id", got)
			}
		})
	}
}

func TestAServerReadsTheIDThatAClientSends(t *testing.T) {
	for _, ctx := range []context.Context{t.Context(), WithID(t.Context(), "mine"), WithID(t.Context(), "")} {
		sent, _ := metadata.FromOutgoingContext(Ensure(ctx))
		received := metadata.NewIncomingContext(t.Context(), sent)
		if first, second := Of(received, ""), Of(received, ""); first != second {
			t.Errorf("two tries are %q and %q", first, second)
		}
	}
}

func TestCheck(t *testing.T) {
	for id, ok := range map[string]bool{
		"": true, "order-1": true, "a b/~!": true,
		"é": false, "a\n": false, "\x7f": false, "a\xff": false, " a": false, "a ": false,
	} {
		if err := Check(id); (err == nil) != ok {
			t.Errorf("%q: %v", id, err)
		}
	}
}

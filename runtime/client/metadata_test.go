package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
)

func TestHeadersGoWithEachCall(t *testing.T) {
	for name, test := range map[string]struct {
		options []Option
		key     string
		want    string
	}{
		"one":            {[]Option{Header("x-tenant", "north")}, "x-tenant", "north"},
		"in any case":    {[]Option{Header("X-Tenant", "North")}, "x-tenant", "North"},
		"two of a name":  {[]Option{Header("x-tenant", "a"), Header("x-tenant", "b")}, "x-tenant", "a|b"},
		"bytes":          {[]Option{Header("x-bin", "\x00ÿ")}, "x-bin", "\x00ÿ"},
		"an empty one":   {[]Option{Header("x-tenant", "")}, "x-tenant", ""},
		"to authorize":   {[]Option{Header("authorization", "Basic eDp5")}, "authorization", "Basic eDp5"},
		"of calls once":  {[]Option{Header("x-tenant", "north"), Once()}, "x-tenant", "north"},
		"with a % and =": {[]Option{Header("x-tenant", "a=b%20c, d")}, "x-tenant", "a=b%20c, d"},
	} {
		t.Run(name, func(t *testing.T) {
			sends(t, connected(t, serve(t, sent(test.key)), events, test.options...), test.want)
		})
	}
}

func TestAHeaderThatCannotBeSentIsRefused(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"", "secret", "a header has no name"},
		{"x y", "secret", `no other character as after "x"`},
		{":path", "secret", `no other character as after ""`},
		{"x\ny", "secret", `no other character as after "x"`},
		{"authorization: Bearer secret", "", `no other character as after "authorization"`},
		{"käse", "", `no other character as after "k"`},
		{"grpc-timeout", "secret", `the header "grpc-timeout" is one that gRPC sets itself`},
		{"Grpc-Anything-bin", "secret", "is one that gRPC sets itself"},
		{"Content-Type", "secret", "is one that gRPC sets itself"},
		{"te", "secret", "is one that gRPC sets itself"},
		{"connection", "secret", "is one that gRPC sets itself"},
		{"event-id", "secret", "differs from call to call"},
		{"x", "secret\r\ny: z", `the value of the header "x" has a character that is not printable ASCII`},
		{"x", "sécret", "not printable ASCII"},
		{"x", "secret\xff", "not printable ASCII"},
		{"x", " secret", "begins or ends with a space"},
	} {
		_, err := Dial(soon(t), "localhost:1", nil, Header(test.name, test.value))
		oneLine(t, err, test.want)
		if strings.Contains(err.Error(), "cret") {
			t.Errorf("the error shows the value: %v", err)
		}
	}
}

// caller is the key of a context's value.
type caller struct{}

func TestAFunctionIsCalledBeforeEachCall(t *testing.T) {
	var rpcs []string
	sign := PerCall(func(ctx context.Context, rpc string) (context.Context, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Errorf("the context of %s has no deadline", rpc)
		}
		rpcs = append(rpcs, fmt.Sprint(ctx.Value(caller{}), " ", rpc))
		return metadata.AppendToOutgoingContext(ctx, "x-signature", "of "+rpc), nil
	})
	second := PerCall(func(ctx context.Context, rpc string) (context.Context, error) {
		return metadata.AppendToOutgoingContext(ctx, "x-signature", "second"), nil
	})
	tries := tries{code: codes.Unavailable, fails: 1}
	addr := serve(t, alike(func(ctx context.Context) error {
		if got := metadata.ValueFromIncomingContext(ctx, "x-signature"); len(got) != 2 || !strings.HasPrefix(got[0], "of /grpc.testing") || got[1] != "second" {
			t.Errorf("a call sends %q", got)
		}
		return tries.answer(ctx)
	}))
	unary, stream := unaryAndStream(context.WithValue(soon(t), caller{}, "mine"), connected(t, addr, events, sign, second))
	if unary != nil || stream != nil {
		t.Fatal(unary, stream)
	}
	if want := []string{"mine /grpc.testing.TestService/UnaryCall", "mine /grpc.testing.TestService/StreamingOutputCall"}; !slices.Equal(rpcs, want) {
		t.Errorf("it is called before %q, want %q: once for each call, also if it is tried again", rpcs, want)
	}
	if seen := tries.seen(); len(seen) != 3 {
		t.Errorf("%d tries, want 3", len(seen))
	}
}

func TestALaneIsPreparedAsItsRPC(t *testing.T) {
	var rpcs []string
	conn := connected(t, serve(t, greeting), events, PerCall(func(ctx context.Context, rpc string) (context.Context, error) {
		rpcs = append(rpcs, rpc)
		return ctx, nil
	}))
	if _, err := conn.NewStream(soon(t), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/shop.v1.Orders/Place.bulk"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"/shop.v1.Orders/Place"}; !slices.Equal(rpcs, want) {
		t.Errorf("it is called before %q, want %q", rpcs, want)
	}
}

func TestACallWithoutADeadlineIsPreparedWithinOne(t *testing.T) {
	conn := connected(t, serve(t, greeting), events, PerCall(func(ctx context.Context, _ string) (context.Context, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("the context has no deadline")
		}
		return ctx, nil
	}))
	if _, err := testpb.NewTestServiceClient(conn).UnaryCall(t.Context(), &testpb.SimpleRequest{}); err != nil {
		t.Error(err)
	}
}

func TestACallThatIsNotPreparedIsNotMade(t *testing.T) {
	mine := errors.New("no signature today")
	called := func(context.Context) error { t.Error("it is sent"); return nil }
	refuse := PerCall(func(ctx context.Context, _ string) (context.Context, error) { return nil, mine })
	unary, stream := unaryAndStream(soon(t), connected(t, serve(t, alike(called)), events, refuse))
	if !errors.Is(unary, mine) || !errors.Is(stream, mine) {
		t.Errorf("the errors are %v and %v", unary, stream)
	}
}

// TestDialIsNoCall: it must report that nothing listens, not what would have become of
// a call.
func TestDialIsNoCall(t *testing.T) {
	refuse := PerCall(func(ctx context.Context, rpc string) (context.Context, error) {
		t.Errorf("it is called before %s", rpc)
		return ctx, errors.New("refused")
	})
	target := nothing(t)
	_, err := Dial(soon(t), target, nil, refuse, TokenFile("/no/such/file"))
	oneLine(t, err, "no server at "+target)
}

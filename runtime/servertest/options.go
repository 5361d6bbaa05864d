package servertest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"
)

// Options are what a contract has to know of a service, besides its requests. The zero
// value is right for a service that takes every request, from anybody.
type Options struct {
	// Context returns the context of a call, with what a caller must send beside the
	// request, such as a token. If nil, nothing is added.
	Context func(context.Context) context.Context
	// Callers is how many calls the service takes at once. 0 means 32.
	Callers int
	// Skip are the parts of the contract that are left out, with the reasons. A part has
	// the name of its subtest, such as "receive/unknown fields are kept".
	Skip map[string]string
}

// part is a part of a contract.
type part struct {
	name string
	test func(*testing.T)
}

// run runs the parts of the contract of an RPC, unless the first fails: then the others
// would fail as well, or wait for what does not come.
func (o Options) run(t *testing.T, parts []part) {
	t.Helper()
	o.known(t, parts)
	for i, part := range parts {
		if !o.part(t, part.name, part.test) && i == 0 {
			return
		}
	}
}

// part runs a part of the contract as a subtest, unless it is to be left out, and reports
// whether it passed. If it fails, it says how to leave it out.
func (o Options) part(t *testing.T, name string, test func(*testing.T)) (passed bool) {
	t.Helper()
	key := rpcOf(t) + "/" + name
	return t.Run(name, func(t *testing.T) {
		if reason, ok := o.Skip[key]; ok {
			t.Skip(reason)
		}
		t.Cleanup(func() { // after all others
			if t.Failed() {
				t.Logf("if the service is right, leave this out in service_test.go: Skip: map[string]string{%q: \"the reason\"}", key)
			}
		})
		test(t)
	})
}

// known checks that what is left out of the contract of an RPC is one of its parts.
func (o Options) known(t *testing.T, parts []part) {
	t.Helper()
	names := make([]string, len(parts))
	for i, part := range parts {
		names[i] = part.name
	}
	for key := range o.Skip {
		if name, ok := strings.CutPrefix(key, rpcOf(t)+"/"); ok && !slices.Contains(names, name) {
			t.Errorf("Skip leaves out %q, but there is no such part. Those of this RPC are %q", key, names)
		}
	}
}

// rpcOf returns the name of the RPC that a subtest is about.
func rpcOf(t *testing.T) string { return t.Name()[strings.LastIndex(t.Name(), "/")+1:] }

// context returns the context of a call: it has a deadline, no event id, and what the
// service wants.
func (o Options) context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(t.Context(), nil), callTimeout)
	t.Cleanup(cancel)
	if o.Context != nil {
		ctx = o.Context(ctx)
	}
	return ctx
}

// callers is how many calls the service takes at once.
func (o Options) callers() int {
	if o.Callers > 0 {
		return o.Callers
	}
	return 32
}

package servertest

import (
	"context"
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

// part runs a part of the contract as a subtest, unless it is to be left out.
func (o Options) part(t *testing.T, name string, test func(*testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		for part, reason := range o.Skip {
			if strings.HasSuffix(t.Name(), "/"+strings.ReplaceAll(part, " ", "_")) {
				t.Skip(reason)
			}
		}
		test(t)
	})
}

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

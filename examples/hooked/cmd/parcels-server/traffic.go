package main

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc/stats"
)

// traffic counts calls and bytes. It is a stats handler, which sees also the calls that
// are refused before any interceptor.
type traffic struct{ calls, failed, received, sent atomic.Int64 }

func (t *traffic) HandleRPC(_ context.Context, event stats.RPCStats) {
	switch event := event.(type) {
	case *stats.InPayload:
		t.received.Add(int64(event.WireLength))
	case *stats.OutPayload:
		t.sent.Add(int64(event.WireLength))
	case *stats.End:
		t.calls.Add(1)
		if event.Error != nil {
			t.failed.Add(1)
		}
	}
}

func (t *traffic) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (t *traffic) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (t *traffic) HandleConn(context.Context, stats.ConnStats)                       {}

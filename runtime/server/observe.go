package server

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Observer is called by a server for what happens in it, such as to count it. Its
// functions may be nil. They are called from many goroutines at once, within calls, and
// must not wait.
type Observer struct {
	// RPC returns what observes the calls of an RPC. It is called when the server
	// starts, once for each RPC that it serves.
	RPC func(Call) RPCObserver
	// Limit is called when a client reaches a limit, which is named as its flag, such
	// as "--max-calls".
	Limit func(limit string)
}

// RPCObserver observes the calls of an RPC. Its functions may be nil.
type RPCObserver struct {
	// Begin is called when a call begins, before guards and before its request is
	// received. The call goes on with the context that it returns.
	Begin func(context.Context) context.Context
	// End is called when a call has ended, with the context that Begin returned, the
	// code that the caller gets, and how long the call took.
	End func(ctx context.Context, code codes.Code, took time.Duration)
}

// Observers adds observers of the server.
func Observers(observers ...Observer) Option {
	return option(func(all *services) { all.observers = append(all.observers, observers...) })
}

// observed returns what observes the calls of an RPC.
func observed(call Call, observers []Observer) (all []RPCObserver) {
	for _, observer := range observers {
		if observer.RPC != nil {
			all = append(all, observer.RPC(call))
		}
	}
	return all
}

// begin returns the context that a call goes on with.
func (g *gate) begin(ctx context.Context) context.Context {
	for _, observer := range g.observers {
		if observer.Begin != nil {
			ctx = observer.Begin(ctx)
		}
	}
	return ctx
}

// ended notes that a call has ended that began at a time.
func (g *gate) ended(ctx context.Context, begin time.Time, err error) {
	if len(g.observers) == 0 {
		return
	}
	code, took := codes.OK, time.Since(begin)
	if err != nil {
		code = status.Code(err)
	}
	for _, observer := range g.observers {
		if observer.End != nil {
			observer.End(ctx, code, took)
		}
	}
}

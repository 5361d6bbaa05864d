//runtime:with metrics traces console

package server

import (
	"context"
	"log/slog"
	"slices"
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
	// Limit is called when a client reaches a limit, which is one of [Limits].
	Limit func(limit string)
	// Refused is called when a call ends before a handler has its request, with why:
	// one of [Refusals]. If a handler had begun to wait for the request, the call has
	// its End, too.
	Refused func(why string)
	// Listening is called once, when the server listens. It is for what is asked of the
	// server later, such as its [Server.Stats].
	Listening func(*Server)
}

// Refusals returns all reasons that [Observer].Refused gets.
func Refusals() []string {
	return []string{TooLarge, HeadersTooLarge, Undecodable, NoRequest, UnknownCompression, UnknownRPC, NotGRPC, OtherOrigin, TooLate}
}

// Limits returns all limits that [Observer].Limit gets, named as their flags.
func Limits() []string {
	return []string{"--max-batch", "--max-calls", "--max-connections", "--max-connections-per-address", "--max-memory-bytes",
		"--max-message-bytes", "--max-streams", "--max-tails", "--receive-timeout"}
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
	return option(func(all *services) {
		before, _ := all.observer.(severalObservers)
		all.observer = append(before, observers...)
	})
}

type severalObservers []Observer

func (all severalObservers) listening(s *Server) {
	for _, observer := range all {
		if observer.Listening != nil {
			observer.Listening(s)
		}
	}
}

func (all severalObservers) limit(limit string) {
	for _, observer := range all {
		if observer.Limit != nil {
			observer.Limit(limit)
		}
	}
}

func (all severalObservers) refused(why string) {
	for _, observer := range all {
		if observer.Refused != nil {
			observer.Refused(why)
		}
	}
}

func (all severalObservers) rpc(call Call) callObserver {
	var of severalRPCObservers
	for _, observer := range all {
		if observer.RPC != nil {
			of = append(of, observer.RPC(call))
		}
	}
	if of == nil {
		return unobserved{}
	}
	return of
}

type severalRPCObservers []RPCObserver

func (all severalRPCObservers) begin(ctx context.Context) context.Context {
	for _, observer := range all {
		if observer.Begin != nil {
			ctx = observer.Begin(ctx)
		}
	}
	return ctx
}

func (all severalRPCObservers) ended(ctx context.Context, begin time.Time, err error) {
	code, took := codes.OK, time.Since(begin)
	if err != nil {
		code = status.Code(err)
	}
	for _, observer := range all {
		if observer.End != nil {
			observer.End(ctx, code, took)
		}
	}
}

// WithLogAttrs returns a context with which lines also have some attributes, those that
// the server logs about a call, and those of the logger of [Config].Logger. An observer
// may add them when a call begins.
func WithLogAttrs(ctx context.Context, attrs ...slog.Attr) context.Context {
	before, _ := ctx.Value(logAttrsKey{}).([]slog.Attr)
	return context.WithValue(ctx, logAttrsKey{}, slices.Concat(before, attrs))
}

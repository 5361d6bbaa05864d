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

// Why calls end before a handler has their requests, as [Observer].Refused has it.
const (
	TooLarge           = "too large"           // the request is, or has too many elements
	HeadersTooLarge    = "headers too large"   // more than --max-metadata-bytes
	Undecodable        = "undecodable"         // the request is not a message of its type, or not what it was compressed to
	NoRequest          = "no request"          // the client has sent none
	UnknownCompression = "unknown compression" // the server has no decompressor of that name
	UnknownRPC         = "unknown RPC"         // or unknown service
	NotGRPC            = "not gRPC"            // another content type, HTTP method or version, or malformed headers
	OtherOrigin        = "other origin"        // a page in a browser, of an origin that may not call
	TooLate            = "deadline had passed" // when the call came
)

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
	return option(func(all *services) { all.observers = append(all.observers, observers...) })
}

// listening lets observers know the server.
func (s *Server) listening() {
	for _, observer := range s.observers {
		if observer.Listening != nil {
			observer.Listening(s)
		}
	}
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

package server

import (
	"context"
	"slices"
)

type onListenKey struct{}

// OnListen returns a context with which [Run] and [Server.Serve] call f, once, when the
// server listens at all its addresses and before it answers anybody. It is for tests of a
// program that gets its context from them: f learns from [Server.Addr] what port 0 became.
func OnListen(ctx context.Context, f func(*Server)) context.Context {
	return context.WithValue(ctx, onListenKey{}, f)
}

// listening calls the function of [OnListen], if there is one.
func (s *Server) listening(ctx context.Context) {
	if f, ok := ctx.Value(onListenKey{}).(func(*Server)); ok {
		f(s)
	}
}

// Services returns the services that the server was given, without its own.
func (s *Server) Services() []Service { return slices.Clone(s.services) }

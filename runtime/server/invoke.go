//runtime:with console

package server

import (
	"context"
	"io"
	"net"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Caller is who calls a server from within its process, such as by a page for those who
// operate it.
type Caller struct {
	// Addr is where the caller is: calls count for that address.
	Addr net.Addr
	// Key is what guards get as "authorization: Bearer KEY"; "" for none.
	Key string
	// Operator makes guards that know callers let the call pass without a key. It is for
	// whoever has the machine of the server anyway.
	Operator bool
}

// in returns the context of what the caller does.
func (c Caller) in(ctx context.Context) context.Context {
	if c.Operator {
		ctx = context.WithValue(ctx, operatorKey{}, true)
	}
	md := metadata.MD{}
	if c.Key != "" {
		md.Set("authorization", "Bearer "+c.Key)
	}
	return metadata.NewIncomingContext(peer.NewContext(ctx, &peer.Peer{Addr: c.Addr}), md)
}

// KnowsCallers reports whether a guard of the server refuses callers that it does not know.
func (s *Server) KnowsCallers() bool {
	return slices.ContainsFunc(s.guards, func(g Guard) bool { return g.KnowsCallers })
}

// Identify asks the guards that know callers whether one may read stored events, of all
// sources, for something that it names. It returns their refusal, or a context with what they
// know of the caller, which has ended, and whether that may send events of all sources, too.
func (s *Server) Identify(ctx context.Context, caller Caller, what string) (known context.Context, allSources bool, err error) {
	ctx, cancel := context.WithCancel(caller.in(ctx))
	defer cancel()
	for _, guard := range s.guards {
		if !guard.KnowsCallers || guard.Admit == nil || isOperator(ctx) {
			continue
		}
		if ctx, err = guard.Admit(ctx, Call{Method: what, RPC: RPC{Tails: true}}); err != nil {
			return nil, false, publicError(refusal{err})
		}
	}
	_, only := ctx.Value(onlySourceKey{}).(string)
	return ctx, !only, nil
}

// Invoke calls a method, such as "/shop.v1.Orders/Place", with one request in JSON, as a
// client would: within the limits, by guards and interceptors. It returns the last reply,
// nil if there was none. A client's stream has the one request.
func (s *Server) Invoke(ctx context.Context, caller Caller, method string, request []byte) (proto.Message, error) {
	rpcs := s.PortRPCs()
	at := slices.IndexFunc(rpcs, func(rpc PortRPC) bool { return rpc.Method == method })
	switch {
	case at < 0:
		return nil, status.Errorf(codes.Unimplemented, "this server has no method %s", method)
	case s.leaving.Load():
		return nil, errStopping
	}
	c := &connection{Conn: inProcess{addr: caller.Addr}, of: s.limits.connections, from: origin(caller.Addr), idle: time.Now(), calls: map[uint32]*call{}}
	if !c.of.admit(c) {
		return nil, overloaded("the server has as many connections as it takes: try again later")
	}
	defer c.Close()
	call, err := s.Enter(ctx, portConnection{c}, method, func() {})
	if err != nil {
		return nil, err
	}
	defer call.End()
	defer call.Leave()
	stream := &invoked{call: call, request: request}
	stream.ctx = grpc.NewContextWithServerTransportStream(caller.in(call.Context()), unsent(method))
	err = rpcs[at].Handle(stream)
	return stream.reply, publicError(err)
}

// inProcess is the connection of a call that comes by none.
type inProcess struct {
	net.Conn
	addr net.Addr
}

func (c inProcess) RemoteAddr() net.Addr { return c.addr }
func (inProcess) Close() error           { return nil }

// invoked is a call of [Server.Invoke] as handlers see it. Metadata for its caller is dropped.
type invoked struct {
	call    *PortCall
	ctx     context.Context
	request []byte
	given   bool // to the handler
	reply   proto.Message
}

func (i *invoked) Context() context.Context   { return i.ctx }
func (*invoked) SetHeader(metadata.MD) error  { return nil }
func (*invoked) SendHeader(metadata.MD) error { return nil }
func (*invoked) SetTrailer(metadata.MD)       {}

// RecvMsg implements [grpc.ServerStream].
func (i *invoked) RecvMsg(into any) error {
	message, ok := into.(proto.Message)
	switch {
	case i.given:
		return io.EOF
	case !ok:
		return status.Error(codes.Unimplemented, "the request is not a message of protobuf")
	}
	i.given = true
	if len(i.request) > i.call.call.limits.config.MaxMessageBytes {
		return i.call.TooLong()
	}
	if err := i.call.Holds(int64(len(i.request)), false); err != nil {
		return err
	}
	return i.call.DecodeJSON(i.request, message)
}

// SendMsg implements [grpc.ServerStream].
func (i *invoked) SendMsg(reply any) error {
	i.reply, _ = reply.(proto.Message)
	return nil
}

// unsent is where handlers send the metadata of a call by [Server.Invoke]: nowhere.
type unsent string

func (u unsent) Method() string             { return string(u) }
func (unsent) SetHeader(metadata.MD) error  { return nil }
func (unsent) SendHeader(metadata.MD) error { return nil }
func (unsent) SetTrailer(metadata.MD) error { return nil }

package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// Header sends metadata with each call, unary or stream. It may be given several
// times, also with one name. A value is of printable ASCII, or of any bytes if the
// name ends in -bin. [Dial] returns an error for a name or a value that can't be sent.
func Header(name, value string) Option {
	return func(s *settings) { s.headers = append(s.headers, strings.ToLower(name), value) }
}

// PerCall calls a function before each call, unary or stream, with the call's context
// and its RPC, such as "/shop.v1.Orders/Place". The call is made with the context that
// the function returns: it may have more metadata, or a deadline. If the function
// returns an error, the call is not made and fails with that error. Tries of one call
// have the same context. The functions of several options are called in their order. For
// the many calls of an RPC that go by one stream, a lane, they are called when that is opened,
// with the RPC of the calls.
func PerCall(prepare func(ctx context.Context, rpc string) (context.Context, error)) Option {
	return func(s *settings) { s.perCall = append(s.perCall, prepare) }
}

// reservedHeaders are names that gRPC or HTTP/2 have for themselves.
var reservedHeaders = []string{
	"connection", "content-length", "content-type", "host", "keep-alive", "proxy-connection",
	"te", "trailer", "transfer-encoding", "upgrade", "user-agent",
}

// CheckHeader returns an error for a name or a value that [Header] can't send. It does
// not contain the value, which may be a secret.
func CheckHeader(name, value string) error {
	name = strings.ToLower(name)
	invalid := strings.IndexFunc(name, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_.", r) })
	switch {
	case name == "":
		return errors.New("a header has no name")
	case invalid >= 0: // what follows may be a value
		return fmt.Errorf("the name of a header may have letters, digits, '-', '_' and '.', and no other character as after %q", name[:invalid])
	case strings.HasPrefix(name, "grpc-") || slices.Contains(reservedHeaders, name):
		return fmt.Errorf("the header %q is one that gRPC sets itself", name)
	case name == eventid.Key:
		return fmt.Errorf("the header %q differs from call to call: give the id of an event with the call (--event-id, or WithEventID())", name)
	case strings.HasSuffix(name, "-bin"):
		return nil
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
		return fmt.Errorf("the value of the header %q has a character that is not printable ASCII: give it a name that ends in -bin", name)
	case strings.TrimSpace(value) != value:
		return fmt.Errorf("the value of the header %q begins or ends with a space, which gRPC does not keep", name)
	}
	return nil
}

// checkHeaders returns an error for the first header that can't be sent.
func (s *settings) checkHeaders() error {
	for header := range slices.Chunk(s.headers, 2) {
		if err := CheckHeader(header[0], header[1]); err != nil {
			return err
		}
	}
	return nil
}

// prepare returns the context with which to make a call: with the headers, and what the
// user's functions make of it.
func (s *settings) prepare(ctx context.Context, rpc string) (_ context.Context, err error) {
	if ctx.Value(dialingKey{}) != nil {
		return ctx, nil
	}
	if len(s.headers) > 0 {
		ctx = metadata.AppendToOutgoingContext(ctx, s.headers...)
	}
	for _, prepare := range s.perCall {
		if ctx, err = prepare(ctx, rpc); err != nil {
			return nil, err
		}
	}
	return ctx, nil
}

func (s *settings) prepareUnary(ctx context.Context, rpc string, request, reply any, conn *grpc.ClientConn, call grpc.UnaryInvoker, options ...grpc.CallOption) error {
	ctx, err := s.prepare(ctx, rpc)
	if err != nil {
		return err
	}
	return call(ctx, rpc, request, reply, conn, options...)
}

// lane is what the name of a stream has after that of the RPC whose calls it brings.
const lane = ".bulk"

func (s *settings) prepareStream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, rpc string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx, err := s.prepare(ctx, strings.TrimSuffix(rpc, lane))
	if err != nil {
		return nil, err
	}
	return open(ctx, desc, conn, rpc, options...)
}

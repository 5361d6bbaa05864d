// Package client connects to a gRPC server. The connection is encrypted unless
// the server is on this machine, and it is kept alive. Each call has a deadline,
// and is retried where a second try does no harm.
package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// DefaultTimeout bounds a unary call whose context has no deadline of its own.
const DefaultTimeout = 30 * time.Second

// Service is a service that a client calls. It has what the connection needs to
// know: which methods may be retried.
type Service struct {
	Name    string // the full name, such as "shop.v1.Orders"
	Methods []Method
}

// Method is a unary RPC of a [Service].
type Method struct {
	Name string // as the proto spells it
	// Retry is true if a second try does no harm: because the RPC takes events,
	// which are stored once however often they are sent, or because its proto
	// declares it idempotent.
	Retry bool
}

// Dial connects to target, such as "localhost:50051", and returns once it is
// connected. It returns an error if no server of target answers or ctx ends first.
// Calls go in turn to all addresses of a name in the DNS, or to all servers of a list,
// "host:port,host:port"; on this machine, to the one server of target.
//
// While the server is unavailable, calls of methods that allow it are tried again until
// their deadline, also those of a caller that has a service config. So are calls that
// the server refuses as too many (code ResourceExhausted), if it says after what time to
// try again and that is before the deadline. A connection that is lost is back within
// about two seconds after the server is.
func Dial(ctx context.Context, target string, services []Service, options ...Option) (*grpc.ClientConn, error) {
	settings := settings{target: target}
	for _, option := range options {
		option(&settings)
	}
	credentials, err := settings.credentials()
	if err = errors.Join(err, settings.checkHeaders()); err != nil {
		return nil, err
	}
	calls := []grpc.UnaryClientInterceptor{within, settings.prepareUnary, newRetrier(services).call}
	if settings.once {
		calls = []grpc.UnaryClientInterceptor{callOnce, settings.prepareUnary}
	}
	handshakes := newHandshakes(credentials)
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(handshakes),
		grpc.WithChainUnaryInterceptor(calls...),
		grpc.WithChainStreamInterceptor(openStream, settings.prepareStream),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReceive)),
		grpc.WithConnectParams(reconnecting),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
	}
	if settings.token != nil {
		dial = append(dial, grpc.WithPerRPCCredentials(bearer{settings.token, !settings.insecure && !local(target)}))
	}
	name, balancing := balance(target)
	dial = append(dial, balancing...)
	conn, err := grpc.NewClient(name, append(dial, settings.dial...)...)
	if err != nil {
		return nil, fmt.Errorf("%q is not a target that gRPC can dial: %w", target, err)
	}
	if settings.later {
		return conn, nil
	}
	if err := connect(ctx, conn, target, handshakes.seen); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// connect waits until the connection is ready or has failed.
func connect(ctx context.Context, conn *grpc.ClientConn, target string, seen *seen) error {
	for {
		state := conn.GetState()
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.Idle: // not begun yet, or the server closed it at once
			conn.Connect()
		case connectivity.TransientFailure:
			if err := dialError(ctx, conn); err != nil {
				if ctx.Err() != nil {
					return fmt.Errorf("no answer from %s: %w", target, err)
				}
				return seen.explain(ctx, target, err)
			}
		}
		if !conn.WaitForStateChange(ctx, state) {
			return fmt.Errorf("no answer from %s: %w", target, ctx.Err())
		}
	}
}

// dialingKey is the key of the context of the call that dialError makes: it is made
// once, and without what goes with the user's calls.
type dialingKey struct{}

// dialError returns why a connection failed, or nil if it has become ready
// meanwhile. gRPC gives the reason only to a call. It can be any call, because
// without a connection it never leaves this machine.
func dialError(ctx context.Context, conn *grpc.ClientConn) error {
	dialing := context.WithValue(ctx, dialingKey{}, true)
	err := conn.Invoke(dialing, "/grpc.health.v1.Health/Check", &emptypb.Empty{}, &emptypb.Empty{}, grpc.WaitForReady(false))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil || conn.GetState() == connectivity.Ready:
		return nil
	default:
		return errors.New(status.Convert(err).Message())
	}
}

// maxReceive bounds a reply. It is more than an event of any log has (see
// eventlog.Event): a tail must get beyond the largest that its server accepts.
const maxReceive = 65 << 20

// reconnecting is how a connection is made again: soon after the server is back,
// where gRPC waits up to two minutes between attempts.
var reconnecting = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 1500 * time.Millisecond},
	MinConnectTimeout: 20 * time.Second, // as by default
}

// within gives a call a deadline if it has none, and makes it. (The timeout of a
// service config would also shorten longer deadlines.)
func within(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, call grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DefaultTimeout)
		defer cancel()
	}
	return explainID(ctx, call(ctx, method, request, reply, conn, options...))
}

// callOnce makes a call as it is.
func callOnce(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, call grpc.UnaryInvoker, options ...grpc.CallOption) error {
	return explainID(ctx, call(ctx, method, request, reply, conn, options...))
}

// openStream opens a stream, which has no deadline by default.
func openStream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := open(ctx, desc, conn, method, options...)
	return stream, explainID(ctx, err)
}

// explainID returns the error of a call, or if its event id can't be sent, an error
// with that id: gRPC's is Internal, and does not say what is wrong with it.
func explainID(ctx context.Context, err error) error {
	if status.Code(err) != codes.Internal {
		return err
	}
	sent, _ := metadata.FromOutgoingContext(ctx)
	for _, id := range sent.Get(eventid.Key) {
		if invalid := eventid.Check(id); invalid != nil {
			return status.Error(codes.InvalidArgument, invalid.Error())
		}
	}
	return err
}

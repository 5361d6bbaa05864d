// Package client connects to a gRPC server. The connection is encrypted unless
// the server is on this machine, and it is kept alive. Each call has a deadline,
// and is retried where a second try does no harm.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
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
// connected. It returns an error if no address of target answers or ctx ends
// first. While the server is unavailable, calls of methods that allow it are
// retried up to four times within their deadline.
func Dial(ctx context.Context, target string, services []Service, options ...Option) (*grpc.ClientConn, error) {
	settings := settings{target: target}
	for _, option := range options {
		option(&settings)
	}
	credentials, err := settings.credentials()
	if err != nil {
		return nil, err
	}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(credentials),
		grpc.WithDefaultServiceConfig(serviceConfig(services)),
		grpc.WithChainUnaryInterceptor(withDefaults),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
	}
	if local(target) {
		// Otherwise gRPC asks the DNS for a configuration of localhost, which
		// takes long where no DNS server answers.
		dial = append(dial, grpc.WithDisableServiceConfig())
	}
	conn, err := grpc.NewClient(target, append(dial, settings.dial...)...)
	if err != nil {
		return nil, fmt.Errorf("%q is not a target that gRPC can dial: %w", target, err)
	}
	if err := connect(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// connect waits until the connection is ready or has failed.
func connect(ctx context.Context, conn *grpc.ClientConn) error {
	for {
		state := conn.GetState()
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.Idle: // not begun yet, or the server closed it at once
			conn.Connect()
		case connectivity.TransientFailure:
			if err := dialError(ctx, conn); err != nil {
				return fmt.Errorf("no server at %s: %w", conn.Target(), err)
			}
		}
		if !conn.WaitForStateChange(ctx, state) {
			return fmt.Errorf("no answer from %s: %w", conn.Target(), ctx.Err())
		}
	}
}

// dialError returns why a connection failed, or nil if it has become ready
// meanwhile. gRPC gives the reason only to a call. It can be any call, because
// without a connection it never leaves this machine.
func dialError(ctx context.Context, conn *grpc.ClientConn) error {
	err := conn.Invoke(ctx, "/grpc.health.v1.Health/Check", &emptypb.Empty{}, &emptypb.Empty{}, grpc.WaitForReady(false))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil || conn.GetState() == connectivity.Ready:
		return nil
	default:
		return errors.New(status.Convert(err).Message())
	}
}

// withDefaults gives a call a deadline if it has none. (The timeout of a service
// config would also shorten longer deadlines.) It also keeps requests of any
// size for a retry, where gRPC by default keeps only small ones.
func withDefaults(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, call grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DefaultTimeout)
		defer cancel()
	}
	options = append([]grpc.CallOption{grpc.MaxRetryRPCBufferSize(math.MaxInt)}, options...)
	return call(ctx, method, request, reply, conn, options...)
}

// serviceConfig returns gRPC's configuration of retries, in JSON. See
// https://github.com/grpc/grpc/blob/master/doc/service_config.md.
func serviceConfig(services []Service) string {
	var retried []methodName
	for _, service := range services {
		for _, method := range service.Methods {
			if method.Retry {
				retried = append(retried, methodName{Service: service.Name, Method: method.Name})
			}
		}
	}
	text, err := json.Marshal(map[string][]methodConfig{"methodConfig": {{
		Name: retried,
		RetryPolicy: retryPolicy{
			MaxAttempts:          5,
			InitialBackoff:       "0.1s",
			MaxBackoff:           "2s",
			BackoffMultiplier:    2,
			RetryableStatusCodes: []string{"UNAVAILABLE"},
		},
	}}})
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return string(text)
}

type methodConfig struct {
	Name        []methodName `json:"name"`
	RetryPolicy retryPolicy  `json:"retryPolicy"`
}

type methodName struct {
	Service string `json:"service"`
	Method  string `json:"method"`
}

type retryPolicy struct {
	MaxAttempts          int      `json:"maxAttempts"`
	InitialBackoff       string   `json:"initialBackoff"`
	MaxBackoff           string   `json:"maxBackoff"`
	BackoffMultiplier    float64  `json:"backoffMultiplier"`
	RetryableStatusCodes []string `json:"retryableStatusCodes"`
}

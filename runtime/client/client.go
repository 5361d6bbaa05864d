// Package client connects to a gRPC server: with a deadline, encrypted unless
// the server is on this machine, kept alive, and with retries where a second
// try can do no harm.
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

// Service is a service that a client calls, as far as the connection has to
// know it.
type Service struct {
	Name    string // its full name, such as "shop.v1.Orders"
	Methods []Method
}

// Method is a unary RPC of a [Service].
type Method struct {
	Name string // as the proto spells it
	// Retry is true if a second try does no harm: the RPC takes events, which
	// are stored once however often they are sent, or its proto says that it
	// is idempotent.
	Retry bool
}

// Dial connects to target, such as "localhost:50051", and returns once the
// connection stands. If no address of target answers, or ctx ends first, the
// error says why. Calls of methods that allow it are tried again, up to four
// times within their deadline, while the server is unavailable.
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
		grpc.WithChainUnaryInterceptor(bounded),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
	}
	if local(target) {
		// Without this gRPC asks the DNS for a configuration of localhost, and
		// where no DNS answers that takes long.
		dial = append(dial, grpc.WithDisableServiceConfig())
	}
	conn, err := grpc.NewClient(target, append(dial, settings.dial...)...)
	if err != nil {
		return nil, fmt.Errorf("%q can't be dialed: %w", target, err)
	}
	if err := connect(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// connect waits until the connection stands or has been refused.
func connect(ctx context.Context, conn *grpc.ClientConn) error {
	for {
		state := conn.GetState()
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.Idle: // not begun, or the server let go at once
			conn.Connect()
		case connectivity.TransientFailure:
			if err := refusal(ctx, conn); err != nil {
				return fmt.Errorf("no server at %s: %w", conn.Target(), err)
			}
		}
		if !conn.WaitForStateChange(ctx, state) {
			return fmt.Errorf("no answer from %s: %w", conn.Target(), ctx.Err())
		}
	}
}

// refusal asks a connection that failed for the reason, which gRPC tells only
// to a call: any call does, as it never leaves this machine. It is nil if the
// connection came to stand meanwhile.
func refusal(ctx context.Context, conn *grpc.ClientConn) error {
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

// bounded gives a call that has no deadline one. (The timeout of a service
// config would also shorten the deadlines of those that have.) And it lets a
// request of any size be kept for another try: gRPC would keep small ones only.
func bounded(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, call grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DefaultTimeout)
		defer cancel()
	}
	options = append([]grpc.CallOption{grpc.MaxRetryRPCBufferSize(math.MaxInt)}, options...)
	return call(ctx, method, request, reply, conn, options...)
}

// serviceConfig is gRPC's own configuration of retries, in JSON; see
// https://github.com/grpc/grpc/blob/master/doc/service_config.md.
func serviceConfig(services []Service) string {
	var safe []methodName
	for _, service := range services {
		for _, method := range service.Methods {
			if method.Retry {
				safe = append(safe, methodName{Service: service.Name, Method: method.Name})
			}
		}
	}
	text, err := json.Marshal(map[string][]methodConfig{"methodConfig": {{
		Name: safe,
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

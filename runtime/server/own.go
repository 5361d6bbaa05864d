//runtime:used

package server

import (
	"context"
	"errors"
	"flag"
	"log/slog"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// GuardOptions returns options for a grpc.Server of your own, by which its calls pass the
// guards and checks that options have, and those of the services in them. Files to
// [Watch] are watched until ctx ends. Give the result to [grpc.NewServer] after
// interceptors of yours, which then see all calls, and after [DrainStreams]. Services that
// are not among options pass the guards, too, but no guard knows what their RPCs take.
// Options that only a [Server] can keep to, such as [UnaryInterceptors], are an error.
func GuardOptions(ctx context.Context, options ...Option) ([]grpc.ServerOption, error) {
	all, err := collect(options)
	if err != nil {
		return nil, err
	}
	if err := all.onlyGuards(); err != nil {
		return nil, err
	}
	for _, w := range all.watches {
		if err := WatchFiles(ctx, w.name, w.files, w.load); err != nil {
			return nil, err
		}
	}
	gates := map[string]*gate{}
	for _, service := range all.served {
		for _, method := range service.Desc.Methods {
			g := newGate(service, method.MethodName, false, false, all.guards, unobserved{})
			gates[g.call.Method] = g
		}
		for _, stream := range service.Desc.Streams {
			g := newGate(service, stream.StreamName, true, false, all.guards, unobserved{})
			gates[g.call.Method] = g
		}
	}
	of := func(method string, streams bool) *gate {
		if g, ok := gates[method]; ok {
			return g
		}
		return &gate{call: Call{Method: method, Streams: streams}, guards: all.guards}
	}
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			g := of(info.FullMethod, false)
			within, err := g.admit(ctx)
			if err == nil {
				err = g.pass(within, request)
			}
			if err != nil {
				return nil, answerRefusal(ctx, err)
			}
			return next(within, request)
		}),
		grpc.ChainStreamInterceptor(func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			g := of(info.FullMethod, true)
			within, err := g.admit(stream.Context())
			if err == nil {
				err = next(server, gatedStream{drainable{stream, within}, g})
				err = g.end(stream.Context(), within, err)
			}
			return answerRefusal(stream.Context(), err)
		}),
	}, nil
}

// onlyGuards returns an error if there are options that [GuardOptions] would lose: one of
// them may be the interceptor that keeps callers out.
func (all *services) onlyGuards() error {
	for _, option := range []struct {
		given bool
		what  string
	}{
		{len(all.unary)+len(all.stream) > 0, "interceptors: give those to grpc.NewServer"},
		{len(all.stats)+len(all.grpc) > 0, "options of gRPC: give those to grpc.NewServer"},
		{all.credentials != nil, "credentials: give those to grpc.NewServer, by grpc.Creds"},
		{all.keep != nil, "a keeper of refused requests: only server.Run keeps them"},
		{all.alongside != nil && len(all.alongside.running()) > 0, "what runs alongside: run it yourself"},
	} {
		if option.given {
			return errors.New("server.GuardOptions can't take " + option.what)
		}
	}
	return nil
}

// answerRefusal returns what callers see of a guard's error. Other errors are as they
// were.
func answerRefusal(ctx context.Context, err error) error {
	if refused := (refusal{}); errors.As(err, &refused) {
		err = refused.GRPCStatus().Err()
		pushBack(ctx, err)
	}
	return err
}

// Certificates returns credentials for a grpc.Server of your own, from PEM files that
// may be replaced while it runs (see [Watch]): a certificate, which may be followed by
// those that lead to its root, and its key. Unless clientCAFile is "", clients must show
// a certificate that one of the CAs in it has signed.
//
// Connections that exist go on with what they began with. Until ctx ends, it logs to
// [slog.Default] what is wrong with files that change, and once a day that a certificate
// is about to end, or has ended.
func Certificates(ctx context.Context, certFile, keyFile, clientCAFile string) (credentials.TransportCredentials, error) {
	c := &certificates{files: certificateFiles(certFile, keyFile, clientCAFile), log: slog.Default()}
	w, err := c.start()
	if err != nil {
		return nil, err
	}
	go watchAll(ctx.Done(), nil, []*watched{w})
	return c.credentials(), nil
}

// WatchFiles is [Watch] for a server of your own. It loads the files, returns, and
// watches them until ctx ends. It logs to [slog.Default].
func WatchFiles(ctx context.Context, name string, files []string, load func(contents [][]byte) error) error {
	w, err := watch{name, files, load}.start(slog.Default())
	if err != nil {
		return err
	}
	go watchAll(ctx.Done(), nil, []*watched{w})
	return nil
}

// FromEnvironment sets each flag of a program whose environment variable is set:
// --addr of receiver-server by RECEIVER_SERVER_ADDR, or by the content of the file
// that RECEIVER_SERVER_ADDR_FILE names. The error has a line for each that is wrong.
func FromEnvironment(flags *flag.FlagSet, program string, getenv func(string) string) error {
	s := newSettings(program, flags)
	s.apply(s.environment(getenv, all))
	return errors.Join(s.errs...)
}

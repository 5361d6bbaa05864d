package server

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// UnaryInterceptors adds interceptors of RPCs in which neither side streams, as
// [grpc.ChainUnaryInterceptor] does: the first is the outermost. They see all calls,
// also those of the health service and of reflection; info.FullMethod names the RPC.
//
// A call passes, from the outside in: the limits of the server; its own interceptor,
// which recovers panics, logs how the call ended, and keeps errors without a status from
// the caller; [Guard].Admit; the decoding of the request; yours; [Guard].Check and
// [Service].Rules; the method. So a panic of yours ends the call alone, and an error of
// yours is treated as the method's.
func UnaryInterceptors(interceptors ...grpc.UnaryServerInterceptor) Option {
	return option(func(all *services) { all.unary = append(all.unary, interceptors...) })
}

// StreamInterceptors adds interceptors of RPCs in which one side streams, or both, as
// [grpc.ChainStreamInterceptor] does. Their place is that of [UnaryInterceptors], but no
// request has been received yet: RecvMsg of the stream receives it, within the limits.
func StreamInterceptors(interceptors ...grpc.StreamServerInterceptor) Option {
	return option(func(all *services) { all.stream = append(all.stream, interceptors...) })
}

// Logger makes the server log to a logger of yours, instead of to the one that its
// configuration describes.
func Logger(logger *slog.Logger) Option {
	return option(func(all *services) { all.log = logger })
}

// interceptor intercepts every call: a panic ends the call but not the server, what
// goes wrong on the server's side is logged, and callers see only errors that were
// made for them. Within it are the interceptors of the user.
type interceptor struct {
	log      *slog.Logger
	notices  *notices
	draining context.Context // ends when the server drains
	unaries  []grpc.UnaryServerInterceptor
	streams  []grpc.StreamServerInterceptor
	keep     func(ctx context.Context, g *gate, answer error) // what a keeper wants; nil without one
}

// unary is an RPC in which neither side streams.
type unary struct {
	interceptor
	gate   *gate
	method grpc.MethodHandler
	within grpc.UnaryServerInterceptor // what a request passes before the method; nil for nothing
}

func newUnary(i interceptor, g *gate, method grpc.MethodHandler) *unary {
	all := slices.Clone(i.unaries)
	if !g.open() {
		all = append(all, func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if err := g.pass(ctx, request); err != nil {
				return nil, err
			}
			return next(ctx, request)
		})
	}
	return &unary{i, g, method, chain(all)}
}

// chain makes one interceptor of all, of which the first is the outermost; nil of none.
func chain(all []grpc.UnaryServerInterceptor) grpc.UnaryServerInterceptor {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		for _, intercept := range slices.Backward(all) {
			inner := next
			next = func(ctx context.Context, request any) (any, error) { return intercept(ctx, request, info, inner) }
		}
		return next(ctx, request)
	}
}

// answer answers a call.
func (u *unary) answer(impl any, stream *boundedStream) error {
	reply, err := u.handle(impl, stream)
	if err != nil {
		return err
	}
	return stream.SendMsg(reply)
}

func (u *unary) handle(impl any, stream *boundedStream) (reply any, err error) {
	begin, receiving := time.Now(), false
	ctx := u.gate.observer.begin(stream.Context())
	within := ctx
	defer func() {
		cause := recover()
		if cause != nil {
			reply, err = nil, u.panicked(ctx, u.gate.call.Method, cause)
		}
		if cause != nil || !receiving || stream.received { // otherwise the error is gRPC's, or that of a limit, which notices log
			err = u.interceptor.answer(ctx, u.gate.call.Method, begin, err)
		} else {
			pushBack(ctx, err)
		}
		u.gate.observer.ended(ctx, begin, err)
		if u.keep != nil {
			u.keep(within, u.gate, err)
		}
	}()
	admitted, err := u.gate.admit(ctx)
	if err != nil {
		return nil, err
	}
	within, receiving = admitted, true
	return u.method(impl, within, stream.RecvMsg, u.within)
}

func (i interceptor) stream(server any, stream *boundedStream, g *gate, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	begin := time.Now()
	ctx := g.observer.begin(stream.Context())
	within := ctx
	defer func() {
		if cause := recover(); cause != nil {
			err = i.panicked(ctx, info.FullMethod, cause)
		}
		if stream.wasCut() { // notices log that
			err = publicError(err)
			pushBack(ctx, err)
		} else {
			err = i.answer(ctx, info.FullMethod, begin, err)
		}
		g.observer.ended(ctx, begin, err)
		if i.keep != nil {
			i.keep(within, g, err)
		}
	}()
	admitted, err := g.admit(ctx)
	if err != nil {
		return err
	}
	within = admitted
	for _, intercept := range slices.Backward(i.streams) {
		inner := next
		next = func(server any, stream grpc.ServerStream) error { return intercept(server, stream, info, inner) }
	}
	defer func() { err = g.end(ctx, within, err) }()
	if err := stream.beginTail(); err != nil {
		return err
	}
	passed := grpc.ServerStream(drainable{stream, context.WithValue(within, drainKey{}, i.draining)})
	if !g.open() {
		passed = gatedStream{passed, g}
	}
	return next(server, passed)
}

// answer logs how a call ended, and returns the error for the caller.
func (i interceptor) answer(ctx context.Context, method string, begin time.Time, err error) error {
	public := publicError(err)
	pushBack(ctx, public)
	level := levelOf(status.Code(public))
	if status.Code(public) == codes.DeadlineExceeded && endsTail(ctx) {
		level = slog.LevelDebug
	}
	if err != nil { // otherwise looking for one would cost each call an allocation
		if refused := (refusal{}); errors.As(err, &refused) && refused.noticed() {
			i.notices.refused(public, method, callerAddress(ctx))
			level = slog.LevelDebug
		}
	}
	if level > slog.LevelDebug {
		returnRequestID(ctx) // by which the caller's report can be found in the log
	}
	i.logCall(ctx, level, method, begin, status.Code(public), err)
	return public
}

// errInternal is what callers see of a panic, and of an error without a status.
var errInternal = status.Error(codes.Internal, "internal error")

// publicError returns what callers see of a handler's error: the status that it is or
// wraps, without what it is wrapped in. Everything else may contain data that they
// must not see, such as a password in the address of a database.
func publicError(err error) error {
	if err == nil {
		return nil
	}
	var known interface{ GRPCStatus() *status.Status }
	switch {
	case errors.As(err, &known) && known.GRPCStatus().Code() != codes.OK:
		return known.GRPCStatus().Err()
	case errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(context.DeadlineExceeded).Err()
	case errors.Is(err, context.Canceled):
		return status.FromContextError(context.Canceled).Err()
	}
	return errInternal
}

// panicked logs a panic and returns the error for the caller.
func (i interceptor) panicked(ctx context.Context, method string, cause any) error {
	i.log.LogAttrs(ctx, slog.LevelError, "panic in a handler",
		slog.String("method", method), slog.Any("cause", cause), slog.String("stack", string(debug.Stack())))
	return errInternal
}

// levelOf returns the level at which a call is logged that ends with a code. If the
// server is to blame, it is one that is logged by default.
func levelOf(code codes.Code) slog.Level {
	switch code {
	case codes.Unknown, codes.Internal, codes.DataLoss:
		return slog.LevelError
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded:
		return slog.LevelWarn
	}
	if code > codes.Unauthenticated { // clients take it for Unknown
		return slog.LevelError
	}
	return slog.LevelDebug
}

// endsTail reports whether a call is a tail that was open until the deadline of its client,
// which is for how long that wanted it.
func endsTail(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	if !ok || time.Now().Before(deadline) {
		return false
	}
	call, ok := ctx.Value(callKey{}).(*call)
	return ok && call.tail
}

// logCall logs a call: the code that the caller gets, and the whole error.
func (i interceptor) logCall(ctx context.Context, level slog.Level, method string, begin time.Time, code codes.Code, err error) {
	if !i.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", method), slog.String("code", code.String()), slog.Duration("took", time.Since(begin)),
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	i.log.LogAttrs(ctx, level, "call", attrs...)
}

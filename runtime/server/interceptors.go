package server

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// watch intercepts every call: a panic ends the call but not the server, and
// what goes wrong on the server's side is logged.
type watch struct {
	log      *slog.Logger
	draining context.Context // ends when the server drains
}

func (w watch) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (reply any, err error) {
	begin := time.Now()
	defer func() {
		if cause := recover(); cause != nil {
			reply, err = nil, w.panicked(ctx, info.FullMethod, cause)
		}
		w.done(ctx, info.FullMethod, begin, err)
	}()
	return next(ctx, request)
}

func (w watch) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	begin := time.Now()
	defer func() {
		if cause := recover(); cause != nil {
			err = w.panicked(stream.Context(), info.FullMethod, cause)
		}
		w.done(stream.Context(), info.FullMethod, begin, err)
	}()
	return next(server, drainable{stream, context.WithValue(stream.Context(), drainKey{}, w.draining)})
}

// panicked logs a panic and returns the error for the caller, which doesn't show
// the cause: it may hold data that the caller must not see.
func (w watch) panicked(ctx context.Context, method string, cause any) error {
	w.log.LogAttrs(ctx, slog.LevelError, "panic in a handler",
		slog.String("method", method), slog.Any("cause", cause), slog.String("stack", string(debug.Stack())))
	return status.Error(codes.Internal, "internal error")
}

// done logs a call. If the server is to blame, the level is one that is logged
// by default.
func (w watch) done(ctx context.Context, method string, begin time.Time, err error) {
	level := slog.LevelDebug
	code := codeOf(err)
	switch code {
	case codes.Unknown, codes.Internal, codes.DataLoss:
		level = slog.LevelError
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded:
		level = slog.LevelWarn
	}
	if !w.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", method), slog.String("code", code.String()), slog.Duration("took", time.Since(begin)),
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	w.log.LogAttrs(ctx, level, "call", attrs...)
}

// codeOf returns the code with which gRPC answers for a handler's error.
func codeOf(err error) codes.Code {
	if known, ok := status.FromError(err); ok {
		return known.Code()
	}
	return status.FromContextError(err).Code()
}

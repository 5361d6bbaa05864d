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

// interceptor intercepts every call: a panic ends the call but not the server, and
// what goes wrong on the server's side is logged.
type interceptor struct {
	log      *slog.Logger
	draining context.Context // ends when the server drains
}

func (i interceptor) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (reply any, err error) {
	begin := time.Now()
	defer func() {
		if cause := recover(); cause != nil {
			reply, err = nil, i.panicked(ctx, info.FullMethod, cause)
		}
		i.logCall(ctx, info.FullMethod, begin, err)
	}()
	return next(ctx, request)
}

func (i interceptor) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	begin := time.Now()
	defer func() {
		if cause := recover(); cause != nil {
			err = i.panicked(stream.Context(), info.FullMethod, cause)
		}
		if stream, ok := stream.(*boundedStream); !ok || !stream.wasCut() { // notices log that
			i.logCall(stream.Context(), info.FullMethod, begin, err)
		}
	}()
	return next(server, drainable{stream, context.WithValue(stream.Context(), drainKey{}, i.draining)})
}

// panicked logs a panic and returns the error for the caller, which doesn't show
// the cause: it may hold data that the caller must not see.
func (i interceptor) panicked(ctx context.Context, method string, cause any) error {
	i.log.LogAttrs(ctx, slog.LevelError, "panic in a handler",
		slog.String("method", method), slog.Any("cause", cause), slog.String("stack", string(debug.Stack())))
	return status.Error(codes.Internal, "internal error")
}

// logCall logs a call. If the server is to blame, the level is one that is logged
// by default.
func (i interceptor) logCall(ctx context.Context, method string, begin time.Time, err error) {
	level := slog.LevelDebug
	code := codeOf(err)
	switch code {
	case codes.Unknown, codes.Internal, codes.DataLoss:
		level = slog.LevelError
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded:
		level = slog.LevelWarn
	}
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

// codeOf returns the code with which gRPC answers for a handler's error.
func codeOf(err error) codes.Code {
	if known, ok := status.FromError(err); ok {
		return known.Code()
	}
	return status.FromContextError(err).Code()
}

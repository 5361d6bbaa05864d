package main

import (
	"context"
	"log/slog"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// audit logs who called what, and how it ended.
type audit struct{ log *slog.Logger }

func (a audit) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	reply, err := next(ctx, request)
	a.record(ctx, info.FullMethod, err)
	return reply, err
}

func (a audit) stream(impl any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	err := next(impl, stream)
	a.record(stream.Context(), info.FullMethod, err)
	return err
}

func (a audit) record(ctx context.Context, rpc string, err error) {
	a.log.InfoContext(ctx, "audit", "caller", caller(ctx), "rpc", rpc, "code", status.Code(err).String(),
		"request", metadata.ValueFromIncomingContext(ctx, "x-request-id"))
}

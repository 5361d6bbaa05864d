package main

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// guard lets in calls that have a token, and those that ask for the health.
type guard struct{ token string }

func (g guard) check(ctx context.Context, method string) error {
	if method == grpc_health_v1.Health_Check_FullMethodName || method == grpc_health_v1.Health_Watch_FullMethodName {
		return nil
	}
	if sent := metadata.ValueFromIncomingContext(ctx, "authorization"); len(sent) == 1 && sent[0] == "Bearer "+g.token {
		return nil
	}
	return status.Error(codes.Unauthenticated, "want the metadata authorization: Bearer TOKEN")
}

func (g guard) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := g.check(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, request)
}

func (g guard) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := g.check(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	return next(server, stream)
}

// accessLog logs each call.
type accessLog struct{ *slog.Logger }

func (l accessLog) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	begin := time.Now()
	reply, err := next(ctx, request)
	l.InfoContext(ctx, "call", "method", info.FullMethod, "code", status.Code(err).String(), "took", time.Since(begin))
	return reply, err
}

func (l accessLog) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	begin := time.Now()
	err := next(server, stream)
	l.InfoContext(stream.Context(), "call", "method", info.FullMethod, "code", status.Code(err).String(), "took", time.Since(begin))
	return err
}

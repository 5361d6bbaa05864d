// Command inventoryd serves the inventory.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	inventoryv1 "example.com/inventory/gen/inventory/v1"
	"example.com/inventory/gen/inventory/v1/inventoryv1events"
	"example.com/inventory/internal/inventory"
	"example.com/inventory/internal/inventory/v1/movementservice"
	"example.com/inventory/internal/receiver-runtime/eventlog"
	"example.com/inventory/internal/receiver-runtime/server"
)

func main() {
	addr := flag.String("addr", "localhost:50051", "address to listen on")
	data := flag.String("data", "data", "folder of the data")
	flag.Parse()
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	slog.SetDefault(logger)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", *addr)
	if err == nil {
		logger.Info("serving", "addr", listener.Addr().String())
		err = serve(ctx, listener, *data, os.Getenv("INVENTORY_TOKEN"), logger)
	}
	if err != nil {
		logger.Error("stopped", "error", err)
		os.Exit(1)
	}
}

const (
	// gRPC waits for handshakes when it stops, also for that of a client that only opened
	// a connection: for two minutes by default.
	handshakeTimeout = 5 * time.Second
	drainTimeout     = 10 * time.Second
)

// serve serves what is in a folder until ctx ends, and then lets calls finish.
func serve(ctx context.Context, listener net.Listener, data, token string, logger *slog.Logger) error {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	store, err := inventory.Open(ctx, filepath.Join(data, "inventory.db"))
	if err != nil {
		return err
	}
	log, err := eventlog.Open(ctx, "sqlite:"+filepath.Join(data, "movements.db"))
	if err != nil {
		return errors.Join(err, store.Close())
	}
	tasks, ctx := errgroup.WithContext(ctx)
	guard, access := guard{token}, accessLog{logger}
	grpcServer := grpc.NewServer(
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.ChainUnaryInterceptor(access.unary, guard.unary),
		grpc.ChainStreamInterceptor(access.stream, guard.stream, server.DrainStreams(ctx)),
	)
	healthServer := health.NewServer()
	grpc_health_v1.RegisterHealthServer(grpcServer, healthServer)
	inventoryv1.RegisterInventoryServiceServer(grpcServer, inventory.NewServer(store))

	movements := movementservice.New(inventoryv1events.New(log), store)
	inventoryv1.RegisterMovementServiceServer(grpcServer, movements)
	tasks.Go(func() error { return movements.Consume(ctx) })
	go server.ReportHealth(ctx, healthServer, "event log", log.Check, "inventory.v1.MovementService")

	tasks.Go(func() error { return grpcServer.Serve(listener) })
	tasks.Go(func() error {
		<-ctx.Done()
		healthServer.Shutdown()
		cut := time.AfterFunc(drainTimeout, grpcServer.Stop)
		defer cut.Stop()
		grpcServer.GracefulStop()
		return nil
	})
	return errors.Join(tasks.Wait(), log.Close(), store.Close())
}

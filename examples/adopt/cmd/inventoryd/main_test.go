package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	inventoryv1 "example.com/inventory/gen/inventory/v1"
)

const token = "secret"

// start serves a folder, and returns a connection and what stops the server.
func start(t *testing.T, data string) (conn *grpc.ClientConn, stop func()) {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- serve(ctx, listener, data, token, slog.New(slog.NewTextHandler(io.Discard, nil)))
	}()
	conn, err := grpc.NewClient("passthrough:inventory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, func() {
		t.Helper()
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the server does not stop")
		}
	}
}

func authorized(t *testing.T) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
}

func TestTheStockIsKept(t *testing.T) {
	data := t.TempDir()
	conn, stop := start(t, data)
	if _, err := inventoryv1.NewInventoryServiceClient(conn).SetStock(authorized(t), &inventoryv1.SetStockRequest{Sku: "tea", Quantity: 7}); err != nil {
		t.Fatal(err)
	}
	stop()
	conn, stop = start(t, data)
	defer stop()
	reply, err := inventoryv1.NewInventoryServiceClient(conn).GetStock(authorized(t), &inventoryv1.GetStockRequest{Sku: "tea"})
	if err != nil || reply.GetQuantity() != 7 {
		t.Errorf("after a restart the stock is %v (%v), want 7", reply, err)
	}
}

func TestCallsNeedAToken(t *testing.T) {
	conn, stop := start(t, t.TempDir())
	defer stop()
	if _, err := inventoryv1.NewInventoryServiceClient(conn).GetStock(t.Context(), &inventoryv1.GetStockRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("the error is %v", err)
	}
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
}

func TestMovementsMoveTheStock(t *testing.T) {
	conn, stop := start(t, t.TempDir())
	defer stop()
	stock, movements := inventoryv1.NewInventoryServiceClient(conn), inventoryv1.NewMovementServiceClient(conn)
	if _, err := stock.SetStock(authorized(t), &inventoryv1.SetStockRequest{Sku: "tea", Quantity: 7}); err != nil {
		t.Fatal(err)
	}
	request := &inventoryv1.ReportMovementRequest{Movement: &inventoryv1.MovementEvent{
		EventId: "1", Warehouse: "north", EventType: "shipped", Sku: "tea", Quantity: -3,
	}}
	if _, err := movements.ReportMovement(t.Context(), request); status.Code(err) != codes.Unauthenticated {
		t.Errorf("without a token the error is %v", err)
	}
	for _, duplicate := range []bool{false, true} {
		reply, err := movements.ReportMovement(authorized(t), request)
		if err != nil || reply.GetDuplicate() != duplicate {
			t.Fatalf("the reply is %v (%v), want duplicate to be %t", reply, err, duplicate)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		reply, err := stock.GetStock(authorized(t), &inventoryv1.GetStockRequest{Sku: "tea"})
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("the stock is %v (%v), want 4", reply, err)
		}
		if reply.GetQuantity() == 4 {
			return
		}
	}
}

// TestATailDoesNotDelayTheEnd: its caller waits for movements that never come. Without
// server.DrainStreams GracefulStop would wait as long.
func TestATailDoesNotDelayTheEnd(t *testing.T) {
	conn, stop := start(t, t.TempDir())
	movements := inventoryv1.NewMovementServiceClient(conn)
	reply, err := movements.ReportMovement(authorized(t), &inventoryv1.ReportMovementRequest{Movement: &inventoryv1.MovementEvent{
		EventId: "1", Warehouse: "north", EventType: "delivered", Sku: "tea", Quantity: 3,
	}})
	if err != nil {
		t.Fatal(err)
	}
	tail, err := movements.WatchMovements(authorized(t), new(inventoryv1.WatchMovementsRequest))
	if err != nil {
		t.Fatal(err)
	}
	if first, err := tail.Recv(); err != nil || first.GetPosition() != reply.GetPosition() || first.GetMovement().GetQuantity() != 3 {
		t.Fatalf("the first movement is %v (%v)", first, err)
	}
	stop()
	if _, err := tail.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the tail ends with %v, want code Unavailable", err)
	}
}

func TestATailNeedsAToken(t *testing.T) {
	conn, stop := start(t, t.TempDir())
	defer stop()
	tail, err := inventoryv1.NewMovementServiceClient(conn).WatchMovements(t.Context(), new(inventoryv1.WatchMovementsRequest))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tail.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("the error is %v", err)
	}
}

// TestAWatchOfTheHealthDoesNotDelayTheEnd either.
func TestAWatchOfTheHealthDoesNotDelayTheEnd(t *testing.T) {
	conn, stop := start(t, t.TempDir())
	watch, err := grpc_health_v1.NewHealthClient(conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "inventory.v1.MovementService"})
	if err != nil {
		t.Fatal(err)
	}
	for reply := new(grpc_health_v1.HealthCheckResponse); reply.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING; {
		if reply, err = watch.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	for err == nil {
		_, err = watch.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("the watch ends with %v, want code Unavailable", err)
	}
}

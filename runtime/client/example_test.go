package client_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
)

// Dial returns once there is a connection, or says why there is none. (Generated
// clients list their services, with the methods that are safe to retry.)
func ExampleDial() {
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := client.Dial(ctx, listener.Addr().String(), []client.Service{{
		Name:    "grpc.health.v1.Health",
		Methods: []client.Method{{Name: "Check", Retry: true}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = conn.Close() }()
	reply, err := grpc_health_v1.NewHealthClient(conn).Check(client.WithEventID(ctx, "order-1"), &grpc_health_v1.HealthCheckRequest{})
	fmt.Println(reply.GetStatus(), err)
	// Output: SERVING <nil>
}

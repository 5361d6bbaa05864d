package server_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// A main parses its flags and environment, and serves until it gets a signal to stop.
// (Generated code has a function that returns the Service of an implementation.)
func ExampleRun() {
	config, err := server.Parse("shop-server", []string{"--addr", "localhost:0", "--log-level", "error"}, os.Getenv, os.Stdout)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond) // a real one runs on
	defer cancel()
	err = server.Run(ctx, config,
		server.Service{Desc: &grpc_health_v1.Health_ServiceDesc, Impl: health.NewServer()},
		server.Alongside("consumer", func(ctx context.Context) error {
			<-ctx.Done() // or eventlog.Consume
			return nil
		}),
		server.Needs("database", func(context.Context) error { return nil }),
	)
	fmt.Println(err)
	// Output: <nil>
}

// A test or a program that does more than serve listens first, and serves then.
func ExampleListen() {
	config := server.Defaults("shop-server")
	config.Addr = "localhost:0"
	config.LogLevel = 8 // slog.LevelError
	running, err := server.Listen(config, server.Service{Desc: &grpc_health_v1.Health_ServiceDesc, Impl: health.NewServer()})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- running.Serve(ctx) }()

	conn, err := client.Dial(ctx, running.Addr(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	reply, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	fmt.Println(reply.GetStatus(), err)
	err = conn.Close()
	stop()
	fmt.Println(errors.Join(err, <-ended))
	// Output:
	// SERVING <nil>
	// <nil>
}

// Command shop-server is this house's, with events or without.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/house/golden/gen/shop/v1/shopv1events"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/house/golden/gen/shop/v1/shopv1server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/house/golden/internal/shop/v1/orders"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/house/golden/internal/shop/v1/prices"
)

func main() {
	ctx := context.Background()
	config, err := server.Parse("shop-server", os.Args[1:], os.Getenv, os.Stdout)
	if err != nil {
		slog.Error("flags", "error", err)
		os.Exit(2)
	}
	log, err := eventlog.Open(ctx, config.Events)
	if err != nil {
		slog.Error("event log", "error", err)
		os.Exit(1)
	}
	defer log.Close()
	if err := server.Run(ctx, config,
		shopv1server.Orders(orders.New(shopv1events.New(log))),
		shopv1server.Prices(prices.New()),
	); err != nil {
		slog.Error("server", "error", err)
	}
}

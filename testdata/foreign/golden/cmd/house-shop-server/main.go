// Command house-shop-server receives events and stores them, until it is stopped.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/console"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/guard"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/metrics"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/ops"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/rejected"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/traces"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/web"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v1/shopv1events"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v1/shopv1server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v2/shopv2events"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v2/shopv2server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/internal/house/shop/v1/shop"
	shop2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/internal/house/shop/v2/shop"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "house-shop-server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "events":
			return operate.Events(ctx, "house-shop-server", args[1:], os.Getenv, os.Stdout, operate.SQL, operate.Backup)
		case "keys":
			return guard.Keys("house-shop-server", args[1:], os.Getenv, os.Stdout)
		}
	}
	// Each of these has flags: for API keys and rates, HTTP, probes, the console, and requests that are refused.
	var access guard.Config
	var httpPort web.Config
	var opsPort ops.Config
	var lanes server.Bulk // for many calls by one stream
	page := console.Config{Caller: guard.CallerName}
	refused := rejected.Config{Caller: guard.CallerName}
	config, err := server.Parse("house-shop-server", args, os.Getenv, os.Stdout,
		access.Flags, httpPort.Flags, opsPort.Flags, lanes.Flags, page.Flags, refused.Flags)
	if err != nil {
		return err
	}
	slog.SetDefault(config.Logger(os.Stderr))
	spans, err := traces.Start(ctx, "house-shop-server") // if OTEL_… variables ask for it
	if err != nil {
		return err
	}
	defer spans.Close()
	log, err := eventlog.Open(ctx, config.Events)
	if err != nil {
		return err
	}
	meter := metrics.New()
	log = eventlog.Observe(log, meter.Log(log))
	log = eventlog.Observe(log, spans.Log())
	log = page.Log(log)
	shopService := shop.New(shopv1events.New(log))
	shopService2 := shop2.New(shopv2events.New(log))
	err = server.Run(ctx, config,
		shopv1server.Shop(shopService),
		server.Alongside("consumer house.shop.v1.Shop", shopService.Consume),
		shopv2server.Shop(shopService2),
		server.Alongside("consumer house.shop.v2.Shop", shopService2.Consume),
		server.Needs("event log", log.Check),
		access.Option(),
		httpPort.Option(),
		opsPort.Option(),
		lanes.Option(),
		meter.Option(),
		spans.Option(),
		refused.Option(ctx),
		page.Option(refused.Log),
	)
	return errors.Join(err, log.Close())
}

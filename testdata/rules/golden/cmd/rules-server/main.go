// Command rules-server receives events and stores them, until it is stopped.
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

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1/rulesv1events"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1/rulesv1server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/internal/rules/v1/orders"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "rules-server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "events":
			return operate.Events(ctx, "rules-server", args[1:], os.Getenv, os.Stdout, operate.SQL, operate.Backup)
		case "keys":
			return guard.Keys("rules-server", args[1:], os.Getenv, os.Stdout)
		}
	}
	// Each of these has flags: for API keys and rates, HTTP, probes, the console, and requests that are refused.
	var access guard.Config
	var httpPort web.Config
	var opsPort ops.Config
	var lanes server.Bulk // for many calls by one stream
	page := console.Config{Caller: guard.CallerName}
	refused := rejected.Config{Caller: guard.CallerName}
	config, err := server.Parse("rules-server", args, os.Getenv, os.Stdout,
		access.Flags, httpPort.Flags, opsPort.Flags, lanes.Flags, page.Flags, refused.Flags)
	if err != nil {
		return err
	}
	slog.SetDefault(config.Logger(os.Stderr))
	spans, err := traces.Start(ctx, "rules-server") // if OTEL_… variables ask for it
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
	ordersService := orders.New(rulesv1events.New(log))
	err = server.Run(ctx, config,
		rulesv1server.Orders(ordersService),
		server.Alongside("consumer rules.v1.Orders", ordersService.Consume),
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

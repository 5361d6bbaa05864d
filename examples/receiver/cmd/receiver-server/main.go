// Command receiver-server receives events and stores them, until it is stopped.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"

	"example.com/receiver/gen/receiverpb/receiverevents"
	"example.com/receiver/gen/receiverpb/receiverserver"
	"example.com/receiver/internal/receiver"
	"example.com/receiver/internal/receiver-runtime/console"
	"example.com/receiver/internal/receiver-runtime/eventlog"
	"example.com/receiver/internal/receiver-runtime/guard"
	"example.com/receiver/internal/receiver-runtime/metrics"
	"example.com/receiver/internal/receiver-runtime/operate"
	"example.com/receiver/internal/receiver-runtime/ops"
	"example.com/receiver/internal/receiver-runtime/rejected"
	"example.com/receiver/internal/receiver-runtime/server"
	"example.com/receiver/internal/receiver-runtime/traces"
	"example.com/receiver/internal/receiver-runtime/web"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "receiver-server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "events":
			return operate.Events(ctx, "receiver-server", args[1:], os.Getenv, os.Stdout, operate.SQL, operate.Backup)
		case "keys":
			return guard.Keys("receiver-server", args[1:], os.Getenv, os.Stdout)
		}
	}
	// Each of these has flags: for API keys and rates, HTTP, probes, the console, and requests that are refused.
	var access guard.Config
	var httpPort web.Config
	var opsPort ops.Config
	var lanes server.Bulk // for many calls by one stream
	page := console.Config{Caller: guard.CallerName}
	refused := rejected.Config{Caller: guard.CallerName}
	config, err := server.Parse("receiver-server", args, os.Getenv, os.Stdout,
		access.Flags, httpPort.Flags, opsPort.Flags, lanes.Flags, page.Flags, refused.Flags)
	if err != nil {
		return err
	}
	slog.SetDefault(config.Logger(os.Stderr))
	spans, err := traces.Start(ctx, "receiver-server") // if OTEL_… variables ask for it
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
	receiverService := receiver.New(receiverevents.New(log))
	err = server.Run(ctx, config,
		receiverserver.Receiver(receiverService),
		server.Alongside("consumer Receiver", receiverService.Consume),
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

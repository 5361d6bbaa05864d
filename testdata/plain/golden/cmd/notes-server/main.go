// Command notes-server serves RPCs until it is stopped.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/guard"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/metrics"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/ops"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/traces"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/web"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/plain/golden/gen/notespb/notesserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/plain/golden/internal/notes/notes"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "notes-server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "keys" {
		return guard.Keys("notes-server", args[1:], os.Getenv, os.Stdout)
	}
	// Each of these has flags: for API keys and rates, HTTP, probes.
	var access guard.Config
	var httpPort web.Config
	var opsPort ops.Config
	config, err := server.Parse("notes-server", args, os.Getenv, os.Stdout,
		access.Flags, httpPort.Flags, opsPort.Flags)
	if err != nil {
		return err
	}
	slog.SetDefault(config.Logger(os.Stderr))
	spans, err := traces.Start(ctx, "notes-server") // if OTEL_… variables ask for it
	if err != nil {
		return err
	}
	defer spans.Close()
	meter := metrics.New()
	return server.Run(ctx, config,
		notesserver.Notes(notes.New()),
		access.Option(),
		httpPort.Option(),
		opsPort.Option(),
		meter.Option(),
		spans.Option(),
	)
}

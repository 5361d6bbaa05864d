// Command clickstream-server receives events, stores them, and counts the views of pages,
// until it is stopped.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"

	"example.com/clickstream/gen/clickstream/v1/clickstreamv1events"
	"example.com/clickstream/gen/clickstream/v1/clickstreamv1server"
	"example.com/clickstream/internal/clickstream/v1/clickstreamservice"
	"example.com/clickstream/internal/pageviews"
	"example.com/clickstream/internal/receiver-runtime/eventlog"
	"example.com/clickstream/internal/receiver-runtime/guard"
	"example.com/clickstream/internal/receiver-runtime/operate"
	"example.com/clickstream/internal/receiver-runtime/rejected"
	"example.com/clickstream/internal/receiver-runtime/server"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "clickstream-server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "events":
			return operate.Events(ctx, "clickstream-server", args[1:], os.Getenv, os.Stdout)
		case "keys":
			return guard.Keys("clickstream-server", args[1:], os.Getenv, os.Stdout)
		}
	}
	var access guard.Config
	refused := rejected.Config{Caller: guard.CallerName}
	var file string
	config, err := server.Parse("clickstream-server", args, os.Getenv, os.Stdout, access.Flags, refused.Flags, func(flags *flag.FlagSet) {
		flags.StringVar(&file, "counts", "data/counts.db", "`file` of the views of pages")
	})
	if err != nil {
		return err
	}
	slog.SetDefault(config.Logger(os.Stderr))
	log, err := eventlog.Open(ctx, config.Events)
	if err != nil {
		return err
	}
	counts, err := pageviews.Open(ctx, file)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	clickstreamService := clickstreamservice.New(clickstreamv1events.New(log), counts)
	err = server.Run(ctx, config,
		clickstreamv1server.ClickstreamService(clickstreamService),
		server.Alongside("consumer clickstream.v1.ClickstreamService", clickstreamService.Consume),
		server.Needs("event log", log.Check),
		access.Option(),
		refused.Option(ctx),
	)
	return errors.Join(err, counts.Close(), log.Close())
}

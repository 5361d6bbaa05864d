// Command receiver-server stores the events that it receives, and serves until it is told to stop.
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
	"example.com/receiver/internal/receiver-runtime/eventlog"
	"example.com/receiver/internal/receiver-runtime/operate"
	"example.com/receiver/internal/receiver-runtime/server"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "receiver-server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "events" {
		return operate.Events(ctx, "receiver-server", args[1:], os.Getenv, os.Stdout)
	}
	config, err := server.Parse("receiver-server", args, os.Getenv, os.Stdout)
	if err != nil {
		return err
	}
	slog.SetDefault(config.Logger(os.Stderr))
	log, err := eventlog.Open(ctx, config.Events)
	if err != nil {
		return err
	}
	events := &counted{Log: log}
	defer func() { slog.Info("appended", "events", events.appended.Load()) }()
	receiverService := receiver.New(receiverevents.New(events))
	err = server.Run(ctx, config,
		receiverserver.Receiver(receiverService),
		server.Alongside("consumer Receiver", receiverService.Consume),
		server.Needs("event log", log.Check),
	)
	return errors.Join(err, log.Close())
}

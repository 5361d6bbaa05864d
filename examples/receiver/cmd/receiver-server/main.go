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
	"example.com/receiver/internal/receiver-runtime/eventlog"
	"example.com/receiver/internal/receiver-runtime/guard"
	"example.com/receiver/internal/receiver-runtime/operate"
	"example.com/receiver/internal/receiver-runtime/rejected"
	"example.com/receiver/internal/receiver-runtime/server"
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
			return operate.Events(ctx, "receiver-server", args[1:], os.Getenv, os.Stdout)
		case "keys":
			return guard.Keys("receiver-server", args[1:], os.Getenv, os.Stdout)
		}
	}
	// access has the flags for API keys and rates, refused those for keeping what is refused.
	var access guard.Config
	refused := rejected.Config{Caller: guard.CallerName}
	config, err := server.Parse("receiver-server", args, os.Getenv, os.Stdout, access.Flags, refused.Flags)
	if err != nil {
		return err
	}
	slog.SetDefault(config.Logger(os.Stderr))
	log, err := eventlog.Open(ctx, config.Events)
	if err != nil {
		return err
	}
	receiverService := receiver.New(receiverevents.New(log))
	err = server.Run(ctx, config,
		receiverserver.Receiver(receiverService),
		server.Alongside("consumer Receiver", receiverService.Consume),
		server.Needs("event log", log.Check),
		access.Option(),
		refused.Option(ctx),
	)
	return errors.Join(err, log.Close())
}

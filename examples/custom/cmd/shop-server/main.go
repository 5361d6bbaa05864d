// Command shop-server runs as every server of this company does: with three
// flags, its data in a folder, and a log in JSON that names the program.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"example.com/shop/gen/shop/v1/shopv1events"
	"example.com/shop/gen/shop/v1/shopv1server"
	"example.com/shop/internal/receiver-runtime/eventlog"
	"example.com/shop/internal/receiver-runtime/operate"
	"example.com/shop/internal/receiver-runtime/server"
	"example.com/shop/internal/shop/v1/orders"
)

const program = "shop-server"

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("house", "example.com", "program", program)
	slog.SetDefault(log) // also for consumers
	err := run(context.Background(), log, os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		log.Error("failed", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, log *slog.Logger, args []string) error {
	if len(args) > 0 && args[0] == "events" {
		return operate.Events(ctx, program, args[1:], os.Getenv, os.Stdout)
	}
	config := server.Defaults(program)
	config.LogFormat = "json"
	flags := flag.NewFlagSet(program, flag.ContinueOnError)
	flags.StringVar(&config.Addr, "listen", config.Addr, "`host:port` to listen on")
	flags.DurationVar(&config.DrainTimeout, "grace", 5*time.Second, "`how long` calls may go on after a signal to stop")
	data := flags.String("data", "data", "`folder` of the event log")
	if err := server.FromEnvironment(flags, program, os.Getenv); err != nil {
		return err
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	config.Events = "sqlite:" + filepath.ToSlash(filepath.Join(*data, "shop.db"))
	events, err := eventlog.Open(ctx, config.Events)
	if err != nil {
		return err
	}
	log.Info("started", "events", config.Events)
	ordersService := orders.New(shopv1events.New(events))
	err = server.Run(ctx, config,
		shopv1server.Orders(ordersService),
		server.Alongside("consumer shop.v1.Orders", ordersService.Consume),
		server.Needs("event log", events.Check),
	)
	return errors.Join(err, events.Close())
}

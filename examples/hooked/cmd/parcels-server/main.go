// Command parcels-server receives events and stores them, until it is stopped.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"

	"example.com/hooked/gen/parcels/v1/parcelsv1events"
	"example.com/hooked/gen/parcels/v1/parcelsv1server"
	"example.com/hooked/internal/parcels/v1/parcelservice"
	"example.com/hooked/internal/receiver-runtime/eventlog"
	"example.com/hooked/internal/receiver-runtime/operate"
	"example.com/hooked/internal/receiver-runtime/server"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "parcels-server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "events" {
		return operate.Events(ctx, "parcels-server", args[1:], os.Getenv, os.Stdout)
	}
	var key string
	config, err := server.Parse("parcels-server", args, os.Getenv, os.Stdout, func(flags *flag.FlagSet) {
		flags.StringVar(&key, "jwt-key", "issuer.pub", "`file` with the public key of who issues tokens, for Ed25519 in PEM format")
	})
	if err != nil {
		return err
	}
	slog.SetDefault(config.Logger(os.Stderr))
	tokens, err := readKey(key)
	if err != nil {
		return err
	}
	log, err := eventlog.Open(ctx, config.Events)
	if err != nil {
		return err
	}
	parcelService := parcelservice.New(parcelsv1events.New(log))
	traffic := new(traffic)
	err = server.Run(ctx, config, append(hooks(tokens, audit{slog.Default()}, traffic),
		parcelsv1server.ParcelService(parcelService),
		server.Alongside("consumer parcels.v1.ParcelService", parcelService.Consume),
		server.Needs("event log", log.Check),
	)...)
	slog.Info("traffic", "calls", traffic.calls.Load(), "failed", traffic.failed.Load(),
		"received bytes", traffic.received.Load(), "sent bytes", traffic.sent.Load())
	return errors.Join(err, log.Close())
}

// hooks returns what this server adds to its own, in the order in which a call passes it.
// The stats handler sees all of it from the outside.
func hooks(tokens tokens, audit audit, traffic *traffic) []server.Option {
	return []server.Option{
		server.StatsHandlers(traffic),
		server.Guards(server.Guard{Admit: tokens.admit, KnowsCallers: true}),
		server.UnaryInterceptors(audit.unary),
		server.StreamInterceptors(audit.stream),
	}
}

// Command internal-aux-testdata-server receives events and stores them, until it is stopped.
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

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contextevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context/contextserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/internal/internal_/aux_/testdata_/v1/client"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/internal/internal_/aux_/testdata_/v1/close"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/internal/internal_/aux_/testdata_/v1/commands"
	context2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/internal/internal_/aux_/testdata_/v1/context"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/internal/internal_/aux_/testdata_/v1/documentation_"
	error2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/internal/internal_/aux_/testdata_/v1/error"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/internal/internal_/aux_/testdata_/v1/init_"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/internal/internal_/aux_/testdata_/v1/internal_"
	log2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/internal/internal_/aux_/testdata_/v1/log"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/internal/internal_/aux_/testdata_/v1/main_"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/internal/internal_/aux_/testdata_/v1/nothing"
	server2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/internal/internal_/aux_/testdata_/v1/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/internal/internal_/aux_/testdata_/v1/service"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/internal/internal_/aux_/testdata_/v1/test"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/internal/internal_/aux_/testdata_/v1/type_"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/internal/internal_/aux_/testdata_/v1/vendor_"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "internal-aux-testdata-server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "events":
			return operate.Events(ctx, "internal-aux-testdata-server", args[1:], os.Getenv, os.Stdout, operate.SQL, operate.Backup)
		case "keys":
			return guard.Keys("internal-aux-testdata-server", args[1:], os.Getenv, os.Stdout)
		}
	}
	// Each of these has flags: for API keys and rates, HTTP, probes, the console, and requests that are refused.
	var access guard.Config
	var httpPort web.Config
	var opsPort ops.Config
	var lanes server.Bulk // for many calls by one stream
	page := console.Config{Caller: guard.CallerName}
	refused := rejected.Config{Caller: guard.CallerName}
	config, err := server.Parse("internal-aux-testdata-server", args, os.Getenv, os.Stdout,
		access.Flags, httpPort.Flags, opsPort.Flags, lanes.Flags, page.Flags, refused.Flags)
	if err != nil {
		return err
	}
	slog.SetDefault(config.Logger(os.Stderr))
	spans, err := traces.Start(ctx, "internal-aux-testdata-server") // if OTEL_… variables ask for it
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
	clientService := client.New(contextevents.New(log))
	serverService := server2.New(contextevents.New(log))
	err = server.Run(ctx, config,
		contextserver.ServiceService(service.New()),
		contextserver.Client(clientService),
		server.Alongside("consumer internal.aux.testdata.v1.Client", clientService.Consume),
		contextserver.Server(serverService),
		server.Alongside("consumer internal.aux.testdata.v1.Server", serverService.Consume),
		contextserver.Context(context2.New()),
		contextserver.Error(error2.New()),
		contextserver.Log(log2.New()),
		contextserver.Internal(internal_.New()),
		contextserver.Main(main_.New()),
		contextserver.Test(test.New()),
		contextserver.Type(type_.New()),
		contextserver.Close(close.New()),
		contextserver.Vendor(vendor_.New()),
		contextserver.Documentation(documentation_.New()),
		contextserver.Init(init_.New()),
		contextserver.Commands(commands.New()),
		contextserver.Nothing(nothing.New()),
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

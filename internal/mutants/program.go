package main

// What main is made of: receiver's has one service, kinds' has two.
const (
	receiverMain = "cmd/receiver-server/main.go"
	kindsMain    = "cmd/kinds-server/main.go"
	mainOpen     = "	log, err := eventlog.Open(ctx, config.Events)\n"
	mainServe    = "		receiverserver.Receiver(receiverService),\n"
	mainConsume  = "		server.Alongside(\"consumer Receiver\", receiverService.Consume),\n"
	mainNeeds    = "		server.Needs(\"event log\", log.Check),\n"
	mainAccess   = "		access.Option(),\n"
	mainHTTP     = "		httpPort.Option(),\n"
	mainOps      = "		opsPort.Option(),\n"
	mainRun      = "	err = server.Run(ctx, config,\n"
	mainEnd      = "	return errors.Join(err, log.Close())\n"
	mainParsed   = "	slog.SetDefault(config.Logger(os.Stderr))\n"
)

var program = group{"main", []mutant{
	{id: "W01", about: "service not served (server.Without)", in: receiver, edits: []edit{{receiverMain, mainServe, `		server.Without("Receiver"),
`}}},
	{id: "W02", about: "consumer not run", in: receiver, edits: []edit{{receiverMain, mainConsume, ``}}},
	{id: "W03", about: "log not closed", in: receiver, edits: []edit{{receiverMain, mainEnd, `	return err
`}}},
	{id: "W04", about: "health does not depend on the log", in: receiver, edits: []edit{{receiverMain, mainNeeds, ``}}},
	{id: "W05", about: "memory log whatever the flag says", in: receiver, edits: []edit{{receiverMain, mainOpen, `	log, err := eventlog.Open(ctx, "memory:")
`}}},
	{id: "W06", about: "consumer runs on another log than the service", in: receiver, edits: []edit{
		{receiverMain, mainRun, `	scratch, err := eventlog.Open(ctx, "memory:")
	if err != nil {
		return err
	}
	defer scratch.Close()
` + mainRun},
		{receiverMain, "receiverService.Consume)", `receiver.New(receiverevents.New(scratch)).Consume)`}}},
	{id: "W07", about: "the error of the server is dropped", in: receiver, edits: []edit{{receiverMain, mainEnd, `	_ = err
	return log.Close()
`}}},
	{id: "W08", about: "reflection removed", in: receiver, edits: []edit{{receiverMain, mainParsed, `	config.Reflection = false
` + mainParsed}}},
	{id: "W09", about: "message size limit lifted", in: receiver, edits: []edit{{receiverMain, mainParsed, `	config.MaxMessageBytes = 0
` + mainParsed}}},
	{id: "W10", about: "API keys are not asked for", in: receiver, edits: []edit{{receiverMain, mainAccess, ``}}},
	{id: "W11", about: "listens on all addresses without TLS", in: receiver, edits: []edit{{receiverMain, mainParsed, `	config.Addr, config.Insecure = strings.Replace(config.Addr, "127.0.0.1", "0.0.0.0", 1), true
` + mainParsed}}},
	{id: "W12", about: "UnimplementedReceiverServer served in place of the service", in: receiver, edits: []edit{{receiverMain, mainServe, `		receiverserver.Receiver(receiverpb.UnimplementedReceiverServer{}),
`}}},
	{id: "W13", about: "no HTTP, though --http-addr asks for it", in: receiver, edits: []edit{{receiverMain, mainHTTP, ``}}},
	{id: "W14", about: "no probes, though --ops-addr asks for them", in: receiver, edits: []edit{{receiverMain, mainOps, ``}}},
	{id: "W15", about: "does not end with its context", in: receiver, edits: []edit{{receiverMain, mainRun, `	err = server.Run(context.WithoutCancel(ctx), config,
`}}},
	{id: "W16", about: "flags are ignored", in: receiver, edits: []edit{{receiverMain, "server.Parse(\"receiver-server\", args,", `server.Parse("receiver-server", nil,`}}},
	{id: "W17", about: "wrong flags are ignored", in: receiver, edits: []edit{{receiverMain, "		return err\n	}\n" + mainParsed, `		config = server.Defaults("receiver-server")
	}
` + mainParsed}}},
	{id: "W18", about: "the number of events in a request is not limited", in: kinds, edits: []edit{{kindsMain, mainParsed, `	config.MaxBatch = 0
` + mainParsed}}},
	{id: "W19", about: "one of two services is served by its stub", in: kinds, edits: []edit{{kindsMain, "		kindsserver.Other(other.New()),\n", `		kindsserver.Other(kindspb.UnimplementedOtherServer{}),
`}}},
	{id: "W20", about: "one of two services is missing", in: kinds, edits: []edit{{kindsMain, "		kindsserver.Other(other.New()),\n", `		server.Without("kinds.v1.Other"),
`}}},
	{id: "W21", about: "the service has a log of its own", in: receiver, edits: []edit{
		{receiverMain, "receiver.New(receiverevents.New(log))", `receiver.New(receiverevents.New(scratch))`},
		{receiverMain, mainOpen, `	scratch, err := eventlog.Open(ctx, "memory:")
	if err != nil {
		return err
	}
	defer scratch.Close()
` + mainOpen}}},
	{id: "W22", about: "a consumer of another service than the one that is served", in: kinds, edits: []edit{{kindsMain, "intakeService.Consume)", `intake.New(kindsevents.New(log)).Consume)`}},
		survives: "both consume the same log under the same name; what the served one keeps in memory can't be seen from outside of the program"},
	{id: "W23", about: "kills the process by os.Exit when it ends", in: receiver, edits: []edit{{receiverMain, mainEnd, `	log.Close()
	os.Exit(1)
	return err
`}}},
}}

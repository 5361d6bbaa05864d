package main

var ours = group{"ours", []mutant{
	{id: "R01", about: "recovery removed from the unary interceptor", in: receiver, edits: []edit{{"runtime/server/interceptors.go",
		"		cause := recover()\n		if cause != nil {\n			reply, err", `		var cause any
		if cause != nil {
			reply, err`}}},
	{id: "R02", about: "recovery removed from the interceptor of streams", in: kinds, edits: []edit{{"runtime/server/interceptors.go",
		"		if cause := recover(); cause != nil {\n			err = i.panicked", `		if cause := any(nil); cause != nil {
			err = i.panicked`}}},
	{id: "R03", about: "client sends no event-id", in: receiver, edits: []edit{{"gen/receiverpb/receiverclient/receiver.go", "eventid.Ensure(ctx)", `ctx`}}},
	{id: "R04", about: "client sends a new id whatever the caller set", in: receiver, edits: []edit{{"gen/receiverpb/receiverclient/receiver.go",
		"eventid.Ensure(ctx)", `eventid.WithID(ctx, eventid.New())`}}},
	{id: "R05", about: "codes of handlers are hidden: all are Internal", in: receiver, edits: []edit{{"runtime/server/interceptors.go",
		"		return known.GRPCStatus().Err()\n", `		return errInternal
`}}},
	{id: "R06", about: "SQLite synchronous off", in: receiver, edits: []edit{{"runtime/eventlog/sqlite/connection.go", "_pragma=synchronous(full)", `_pragma=synchronous(off)`}},
		survives: "only a loss of power shows it; TestCommitsAreSynced of runtime/eventlog/sqlite reads the setting"},
	{id: "R07", about: "type of an event read from the wrong field", in: receiver, edits: []edit{{"gen/receiverpb/receiverevents/event.go", "event.GetXwhat(),", `event.GetXwho(),`}}},
	{id: "R08", about: "append drops unknown fields", in: kinds, edits: []edit{{"runtime/eventlog/message.go",
		"		data, err := encode(message)\n", `		message.ProtoReflect().SetUnknown(nil)
		data, err := encode(message)
`}}},
	{id: "R09", about: "command calls the wrong RPC", in: kinds, edits: []edit{{"cmd/kinds-client/intake_v1_commands.go", "client.Intake().Held(ctx, request)",
		`client.Intake().One(ctx, request.GetEvent())`}},
		survives: "users' modules do not run the commands, which are generated whole: the goldens of this repository show which RPC each calls"},
	{id: "R10", about: "no retries declared for Receive", in: receiver, edits: []edit{{"gen/receiverpb/receiverclient/receiver.go", ", Retry: true", ``}}},
	{id: "R11", about: "server ignores the id of the call", in: receiver, edits: []edit{{"runtime/eventid/sequence.go",
		"len(sent) > 0 && sent[0] != \"\"", `len(sent) > 9 && sent[0] != ""`}}},
	{id: "R12", about: "all events of a call have one number", in: kinds, edits: []edit{{"runtime/eventid/sequence.go", "numbered.last.Add(1)", `numbered.last.Add(0)`}}},
	{id: "R13", about: "a tail does not end when the server drains", in: kinds, edits: []edit{{"runtime/server/drain.go", "cancel(errStopping)", `_ = errStopping`}}},
	{id: "R14", about: "a consumer's handlers are not tried again", in: kinds, edits: []edit{{"runtime/eventlog/delivery.go", "t.tries >= d.tries ||", `t.tries >= 1 ||`}},
		survives: "no handler of the tested consumer fails: TestMemoryKeepsTheContract of runtime/eventlog/memory has one that does"},
	{id: "R15", about: "dead letters are lost", in: kinds, edits: []edit{{"runtime/eventlog/delivery.go",
		"	if err := d.hold.PutDead(context.WithoutCancel(ctx), letter); err != nil {\n		return err\n	}\n", `	_ = letter
`}},
		survives: "no handler of the tested consumer fails: TestMemoryKeepsTheContract of runtime/eventlog/memory has one that does"},
	{id: "R16", about: "time of an event in milliseconds, where the proto has seconds", in: receiver, edits: []edit{{"gen/receiverpb/receiverevents/event.go", "time.Second)", `time.Millisecond)`}},
		survives: "no handler of the tested consumer fails: the contract of engines, runtime/eventlog/eventlogtest, has some that do"},
	{id: "R17", about: "a panic is answered with OK", in: receiver, edits: []edit{{"runtime/server/interceptors.go",
		"			reply, err = nil, u.panicked(ctx, u.gate.call.Method, cause)\n", `			_ = u.panicked(ctx, u.gate.call.Method, cause)
			reply, err = &emptypb.Empty{}, nil
`}},
		survives: "no handler of the tested consumer fails: the contract of engines, runtime/eventlog/eventlogtest, has some that do"},
	{id: "R18", about: "the context of a handler does not end with the call", in: receiver, edits: []edit{{"runtime/server/interceptors.go",
		"	return u.method(impl, within, stream.RecvMsg, u.within)", `	return u.method(impl, context.WithoutCancel(within), stream.RecvMsg, u.within)`}}},
	{id: "R19", about: "reading leaves out the last event", in: kinds, edits: []edit{{"runtime/eventlog/message.go",
		"		ahead = append(ahead, next.unmarshal(schema))\n		for len(ahead) > 0", `		next.events = next.events[:max(0, len(next.events)-1)]
		ahead = append(ahead, next.unmarshal(schema))
		for len(ahead) > 0`}}},
	{id: "R20", about: "a consumer begins with the first event at each start", in: kinds, edits: []edit{{"runtime/eventlog/delivery.go",
		"	after, _ := d.hold.Position()\n", `	after := Position(0)
`}}},
	{id: "R21", about: "subject of an event read from the wrong field", in: kinds, edits: []edit{{"gen/kindspb/kindsevents/click_event.go", "Subject: event.GetUserId()", `Subject: event.GetType()`}}},
	{id: "R22", about: "the server binds another implementation than it is given", in: kinds, edits: []edit{{"gen/kindspb/kindsserver/other.go",
		"Impl: impl", `Impl: kindspb.UnimplementedOtherServer{}`}}},
	{id: "R23", about: "handlers get the context of the server, without the caller's metadata", in: receiver, edits: []edit{{"runtime/server/interceptors.go",
		"	within, receiving = admitted, true\n", `	within, receiving = metadata.NewIncomingContext(admitted, metadata.MD{}), true
`}}},
	{id: "R24", about: "the client sends an event again by itself, under a new id", in: receiver, edits: []edit{{"gen/receiverpb/receiverclient/receiver.go",
		"	return c.ReceiverClient.Receive(eventid.Ensure(ctx), event, options...)\n", `	if _, err := c.ReceiverClient.Receive(eventid.WithID(ctx, eventid.New()), event, options...); err != nil {
		return nil, err
	}
	return c.ReceiverClient.Receive(eventid.Ensure(ctx), event, options...)
`}}},
	{id: "R25", about: "metrics are not served", in: receiver, edits: []edit{{receiverMain, "		meter.Option(),\n", ``}}},
}}

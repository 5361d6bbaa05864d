package main

// What an RPC is made of that takes a stream of events and answers at its end.
const (
	upload     = "internal/kinds/v1/intake/upload.go"
	uploadSeq  = "	ctx := eventid.Sequence(stream.Context())\n"
	uploadHead = uploadSeq + "	var stored eventlog.Sum\n"
	uploadRecv = "		event, err := stream.Recv()\n"
	uploadEOF  = "		if errors.Is(err, io.EOF) {\n			break\n		}\n"
	uploadErr  = "		if err != nil {\n			return err\n		}\n"
	uploadCall = "		receipts, err := s.events.AppendClickEvent(ctx, event)\n"
	uploadTake = uploadCall + uploadErr + "		stored.Add(receipts...)\n"
	uploadOpen = uploadEOF + uploadErr + uploadCall
	uploadNum  = "uint32(stored.Events)"

	uploadHeld    = "internal/kinds/v1/intake/upload_held.go"
	uploadBatches = "internal/kinds/v1/intake/upload_batches.go"
)

var clientStream = group{"client stream", []mutant{
	{id: "C01", about: "the third event is dropped, and counted", in: kinds, edits: []edit{{upload, uploadTake,
		`		if stored.Events == 2 {
			stored.Events++
			continue
		}
` + uploadTake}}},
	{id: "C02", about: "drops the last event", in: kinds, edits: []edit{{upload, uploadHead, uploadHead + `	var before *kindspb.ClickEvent
`}, {upload, uploadTake, `		if before != nil {
			receipts, err := s.events.AppendClickEvent(ctx, before)
			if err != nil {
				return err
			}
			stored.Add(receipts...)
		}
		before = event
`}}},
	{id: "C03", about: "drops the first event", in: kinds, edits: []edit{{upload, uploadHead, `	if _, err := stream.Recv(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
` + uploadHead}}},
	{id: "C04", about: "answers after the first event", in: kinds, edits: []edit{{upload, uploadTake, uploadTake + `		break
`}}},
	{id: "C05", about: "wrong count (0)", in: kinds, edits: []edit{{upload, uploadNum, `0`}}},
	{id: "C06", about: "any error of Recv is taken for the end", in: kinds, edits: []edit{{upload, uploadEOF + uploadErr, `		if err != nil {
			break
		}
`}}},
	{id: "C07", about: "without eventid.Sequence (all under one id)", in: kinds, edits: []edit{{upload, uploadSeq, `	ctx := stream.Context()
`}}},
	{id: "C08", about: "ignores the error of append", in: kinds, edits: []edit{{upload, uploadTake, `		receipts, _ := s.events.AppendClickEvent(ctx, event)
		stored.Add(receipts...)
`}}},
	{id: "C09", about: "global mutex held across Recv", in: kinds, edits: []edit{{upload, uploadHead, `	one.Lock()
	defer one.Unlock()
` + uploadHead}, {upload, "", `var one sync.Mutex`}}},
	{id: "C10", about: "stops at 100 events, and acknowledges all", in: kinds, edits: []edit{{upload, uploadTake, `		if stored.Events >= 100 {
			stored.Events++
			continue
		}
` + uploadTake}}},
	{id: "C11", about: "appends in goroutines (order lost)", in: kinds, edits: []edit{
		{upload, uploadHead, uploadHead + `	var all sync.WaitGroup
	var mu sync.Mutex
	var failed error
`},
		{upload, uploadTake, `		all.Go(func() {
			receipts, err := s.events.AppendClickEvent(ctx, event)
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
			stored.Add(receipts...)
		})
`},
		{upload, `	return stream.SendAndClose(`, `	all.Wait()
	if failed != nil {
		return failed
	}
	return stream.SendAndClose(`}}},
	{id: "C12", about: "goes on after an error of Recv (busy loop once the client is gone)", in: kinds, edits: []edit{{upload, uploadEOF + uploadErr, uploadEOF + `		if err != nil {
			continue
		}
`}}},
	{id: "C13", about: "answers before the events are stored (goroutine)", in: kinds, edits: []edit{{upload, uploadTake, `		go s.events.AppendClickEvent(context.WithoutCancel(ctx), event)
		stored.Events++
`}}},
	{id: "C14", about: "returns nil without an answer", in: kinds, edits: []edit{{upload, uploadEOF, `		if errors.Is(err, io.EOF) {
			return nil
		}
`}}},
	{id: "C15", about: "EOF returned as an error", in: kinds, edits: []edit{{upload, uploadEOF, ``}}},
	{id: "C16", about: "a stream of batches: only the first event of each is stored", in: kinds, edits: []edit{{uploadBatches, "request.GetEvents()...",
		`request.GetEvents()[:min(1, len(request.GetEvents()))]...`}}},
	{id: "C17", about: "a stream of requests that hold the event: the error of append is swallowed", in: kinds, edits: []edit{{uploadHeld,
		`		if _, err := s.events.AppendClickEvent(ctx, request.GetEvent()); err != nil {
			return err
		}
`, `		_, _ = s.events.AppendClickEvent(ctx, request.GetEvent())
`}}},
	{id: "C18", about: "leaks a goroutine per stream", in: kinds, edits: []edit{{upload, uploadHead, `	go func() { select {} }()
` + uploadHead}}},
	{id: "C19", about: "keeps a lock after an error", in: kinds, edits: []edit{{upload, uploadTake, `		one.Lock()
` + uploadCall + uploadErr + `		one.Unlock()
		stored.Add(receipts...)
`}, {upload, "", `var one sync.Mutex`}}},
	{id: "C20", about: "keeps events back until the end, and drops all but the last 100", in: kinds, edits: []edit{
		{upload, uploadHead, uploadHead + `	var kept []*kindspb.ClickEvent
`},
		{upload, uploadTake, `		kept = append(kept, event)
`},
		{upload, `	return stream.SendAndClose(`, `	receipts, err := s.events.AppendClickEvent(ctx, kept[max(0, len(kept)-100):]...)
	if err != nil {
		return err
	}
	stored.Add(receipts...)
	return stream.SendAndClose(`}}},
}}

// What an RPC is made of that answers each event of a stream.
const (
	exchange     = "internal/kinds/v1/intake/exchange.go"
	exchangeSeq  = "	ctx := eventid.Sequence(stream.Context())\n"
	exchangeEOF  = "		if errors.Is(err, io.EOF) {\n			return nil\n		}\n"
	exchangeErr  = "		if err != nil {\n			return err\n		}\n"
	exchangeCall = "s.events.AppendClickEvent(ctx, event)"
	exchangeTake = "		if _, err := s.events.AppendClickEvent(ctx, event); err != nil {\n			return err\n		}\n"
	exchangeSend = "		if err := stream.Send(&kindspb.Reply{Count: 1, Message: \"stored\"}); err != nil {\n			return err\n		}\n"

	exchangeBatches = "internal/kinds/v1/intake/exchange_batches.go"
)

var bidi = group{"bidi", []mutant{
	{id: "X01", about: "answers before the event is stored", in: kinds, edits: []edit{{exchange, exchangeTake + exchangeSend, exchangeSend + exchangeTake}}},
	{id: "X02", about: "answers first, stores in a goroutine", in: kinds, edits: []edit{{exchange, exchangeTake, `		go s.events.AppendClickEvent(context.WithoutCancel(ctx), event)
`}}},
	{id: "X03", about: "drops the third event, and answers it", in: kinds, edits: []edit{
		{exchange, exchangeSeq, exchangeSeq + `	count := 0
`},
		{exchange, exchangeTake, `		if count++; count != 3 {
			if _, err := s.events.AppendClickEvent(ctx, event); err != nil {
				return err
			}
		}
`}}},
	{id: "X04", about: "all answers after EOF only", in: kinds, edits: []edit{
		{exchange, exchangeSeq, exchangeSeq + `	count := 0
`},
		{exchange, exchangeEOF, `		if errors.Is(err, io.EOF) {
			for range count {
				if err := stream.Send(&kindspb.Reply{Count: 1, Message: "stored"}); err != nil {
					return err
				}
			}
			return nil
		}
`},
		{exchange, exchangeSend, `		count++
`}}},
	{id: "X05", about: "two answers per event", in: kinds, edits: []edit{{exchange, exchangeSend, exchangeSend + exchangeSend}}},
	{id: "X06", about: "ends with OK after 100 events", in: kinds, edits: []edit{
		{exchange, exchangeSeq, exchangeSeq + `	count := 0
`},
		{exchange, exchangeSend, exchangeSend + `		if count++; count == 100 {
			return nil
		}
`}}},
	{id: "X07", about: "each answer speaks of the event before", in: kinds, edits: []edit{
		{exchange, exchangeSeq, exchangeSeq + `	var before *kindspb.ClickEvent
`},
		{exchange, exchangeTake, `		if before != nil {
			if _, err := s.events.AppendClickEvent(ctx, before); err != nil {
				return err
			}
		}
		before = event
`},
		{exchange, exchangeEOF, `		if errors.Is(err, io.EOF) {
			if before != nil {
				_, err = s.events.AppendClickEvent(ctx, before)
				return err
			}
			return nil
		}
`}}},
	{id: "X08", about: "EOF returned as an error", in: kinds, edits: []edit{{exchange, exchangeEOF, ``}}},
	{id: "X09", about: "global mutex held across Recv", in: kinds, edits: []edit{{exchange, exchangeSeq, `	one.Lock()
	defer one.Unlock()
` + exchangeSeq}, {exchange, "", `var one sync.Mutex`}}},
	{id: "X10", about: "leaks a goroutine per event", in: kinds, edits: []edit{{exchange, exchangeTake, `		go func() { select {} }()
` + exchangeTake}}},
	{id: "X11", about: "ignores the error of append", in: kinds, edits: []edit{{exchange, exchangeTake, `		_, _ = s.events.AppendClickEvent(ctx, event)
`}}},
	{id: "X12", about: "a stream of batches: a batch without events gets no answer", in: kinds, edits: []edit{{exchangeBatches,
		`		if _, err := s.events.AppendClickEvent(`, `		if len(request.GetEvents()) == 0 {
			continue
		}
		if _, err := s.events.AppendClickEvent(`}}},
	{id: "X13", about: "answers sent from several goroutines", in: kinds, race: true, edits: []edit{
		{exchange, exchangeSeq, exchangeSeq + `	var all sync.WaitGroup
	defer all.Wait()
`},
		{exchange, exchangeTake + exchangeSend, `		all.Go(func() {
			if _, err := s.events.AppendClickEvent(ctx, event); err == nil {
				_ = stream.Send(&kindspb.Reply{Count: 1, Message: "stored"})
			}
		})
`}}},
	{id: "X14", about: "an event that fails is skipped with an answer of status 1, the stream goes on", in: kinds, edits: []edit{{exchange, exchangeTake,
		`		if _, err := s.events.AppendClickEvent(ctx, event); err != nil {
			if err := stream.Send(&kindspb.Reply{Count: 0, Message: err.Error()}); err != nil {
				return err
			}
			continue
		}
`}}},
	{id: "X15", about: "any error of Recv is taken for the end", in: kinds, edits: []edit{{exchange, exchangeEOF + exchangeErr, `		if err != nil {
			return nil
		}
`}}},
	{id: "X16", about: "without eventid.Sequence (all under one id)", in: kinds, edits: []edit{{exchange, exchangeSeq, `	ctx := stream.Context()
`}}},
	{id: "X17", about: "a stream of batches: acknowledged after the first event of each", in: kinds, edits: []edit{{exchangeBatches, "request.GetEvents()...",
		`request.GetEvents()[:min(1, len(request.GetEvents()))]...`}}},
}}

// What an RPC is made of that replays the log and follows it.
const (
	follow      = "internal/kinds/v1/intake/follow.go"
	followDrain = "	ctx, stop := server.UntilDrain(stream.Context())\n	defer stop()\n"
	followFrom  = "kindsevents.After(kindsevents.Position(request.GetAfter()))"
	followSince = "	if since := request.GetSince(); since != nil {\n		from = kindsevents.Since(since.AsTime())\n	}\n"
	followTail  = "s.events.TailClickEvent(ctx, from)"
	followErr   = "		if err != nil {\n			return err\n		}\n"
	followSend  = "		if err := stream.Send(stored.Message); err != nil {\n			return err\n		}\n"
	followLoop  = "	for stored, err := range s.events.TailClickEvent(ctx, from) {\n" + followErr + followSend + "	}\n"
	followAll   = "internal/kinds/v1/intake/follow_all.go"
)

// replayed makes a tail replay first, and then do something else than to follow what comes
// after that. Within it, last is the last position.
func replayed(code string) []edit {
	return []edit{{follow, followLoop, `	last := kindsevents.Position(0)
	for stored, err := range s.events.ReplayClickEvent(ctx, from) {
		if err != nil {
			return err
		}
		if err := stream.Send(stored.Message); err != nil {
			return err
		}
		last = stored.Position
	}
` + code}}
}

// where makes a tail do something with each event before it is sent. Within it, sent is how
// many there were.
func where(code string) []edit {
	return []edit{{follow, followDrain, followDrain + `	sent := 0
`}, {follow, followSend, `		sent++
` + code + followSend}}
}

var tail = group{"tail", []mutant{
	{id: "F01", about: "begins at the first event, whatever position is asked for", in: kinds, edits: []edit{{follow, followFrom, `kindsevents.From{}`}}},
	{id: "F02", about: "misses what is appended between replay and following", in: kinds, edits: replayed(
		`	_ = last
	for stored, err := range s.events.TailClickEvent(ctx, kindsevents.Since(time.Now())) {
` + followErr + followSend + `	}
`)},
	{id: "F03", about: "repeats (replays, then follows from the beginning)", in: kinds, edits: replayed(
		`	_ = last
` + followLoop)},
	{id: "F04", about: "ignores the time that is asked for", in: kinds, edits: []edit{{follow, followSince, ``}}},
	{id: "F05", about: "never ends on cancel (context.Background())", in: kinds, edits: []edit{
		{follow, followDrain, ``}, {follow, followTail, `s.events.TailClickEvent(context.Background(), from)`}}},
	{id: "F06", about: "does not end when the server drains", in: kinds, edits: []edit{{follow, followDrain, `	ctx := stream.Context()
`}}},
	{id: "F07", about: "begins one event too late", in: kinds, edits: []edit{{follow, followFrom, `kindsevents.After(kindsevents.Position(request.GetAfter()) + 1)`}}},
	{id: "F08", about: "an error of the log ends it with OK", in: kinds, edits: []edit{{follow, followErr, `		if err != nil {
			return nil
		}
`}}},
	{id: "F09", about: "holds a mutex while it follows", in: kinds, edits: []edit{{follow, followDrain, `	one.Lock()
	defer one.Unlock()
` + followDrain}, {follow, "", `var one sync.Mutex`}}},
	{id: "F10", about: "replays, and ends with OK", in: kinds, edits: replayed(`	_ = last
`)},
	{id: "F11", about: "only the first 100, then ends", in: kinds, edits: where(
		`		if sent > 100 {
			return nil
		}
`)},
	{id: "F12", about: "sends nothing at all, waits", in: kinds, edits: []edit{{follow, followLoop, `	_ = from
	<-ctx.Done()
`}}},
	{id: "F13", about: "sends each event twice", in: kinds, edits: []edit{{follow, followSend, followSend + followSend}}},
	{id: "F14", about: "leaves out every 50th event", in: kinds, edits: where(
		`		if sent%50 == 0 {
			continue
		}
`)},
	{id: "F15", about: "leaks a goroutine per call", in: kinds, edits: []edit{{follow, followDrain, followDrain + `	go func() { select {} }()
`}}},
	{id: "F16", about: "keeps new events back until there are ten", in: kinds, edits: []edit{{follow, followDrain, followDrain + `	var kept []*kindspb.ClickEvent
`}, {follow, followSend, `		if kept = append(kept, stored.Message); len(kept) < 10 {
			continue
		}
		for _, event := range kept {
			if err := stream.Send(event); err != nil {
				return err
			}
		}
		kept = nil
`}}},
	{id: "F17", about: "sends copies without unknown fields", in: kinds, edits: []edit{{follow, followSend,
		`		if err := stream.Send(&kindspb.ClickEvent{Type: stored.Message.Type, UserId: stored.Message.UserId, EventTime: stored.Message.EventTime}); err != nil {
			return err
		}
`}}},
	{id: "F18", about: "the newest first", in: kinds, edits: []edit{{followAll, followLoop, `	var all []*kindspb.ClickEvent
	for stored, err := range s.events.ReplayClickEvent(ctx, from) {
		if err != nil {
			return err
		}
		all = append(all, stored.Message)
		from = kindsevents.After(stored.Position)
	}
	for _, event := range slices.Backward(all) {
		if err := stream.Send(event); err != nil {
			return err
		}
	}
` + followLoop}}},
	{id: "F19", about: "follows by asking every 100 ms, on and on after the client is gone", in: kinds, edits: replayed(
		`	for {
		for stored, err := range s.events.ReplayClickEvent(context.WithoutCancel(ctx), kindsevents.After(last)) {
			if err != nil {
				return err
			}
			_ = stream.Send(stored.Message)
			last = stored.Position
		}
		time.Sleep(100 * time.Millisecond)
	}
`)},
	{id: "F20", about: "panics on an event without a time", in: kinds, edits: []edit{{follow, followSend, `		_ = stored.Message.EventTime.Seconds
` + followSend}}},
}}

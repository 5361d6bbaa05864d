package main

// What becomes of stored events.
const (
	consume     = "internal/kinds/v1/intake/consume.go"
	consumeCall = "s.events.Consume(ctx, consumerName,\n"
	consumeOn   = "		kindsevents.OnClickEvent(s.storedClickEvent),\n"
	handleHead  = "func (s *Service) storedClickEvent(ctx context.Context, event kindsevents.Stored[*kindspb.ClickEvent]) error {\n"
	handleLock  = "	s.mu.Lock()\n	defer s.mu.Unlock()\n	user := event.Message.GetUserId()\n"
	handleOnce  = "	if slices.ContainsFunc(clicks, func(c click) bool { return c.at == event.Position }) {\n		return nil // handled before\n	}\n"
	handleDo    = "	s.clicks[user] = append(clicks, click{event.ID, event.Position})\n"
	handleAll   = handleLock + "	clicks := s.clicks[user]\n" + handleOnce + handleDo
)

// handling makes a mutant do something before it handles an event.
func handling(code string) []edit {
	return []edit{{consume, handleHead, handleHead + code + "\n"}}
}

var consumer = group{"consumer", []mutant{
	{id: "K01", about: "returns nil on failure", in: kinds, edits: []edit{{consume, handleHead, handleHead +
		`	if _, err := s.events.RecordedTime(ctx, kindsevents.Receipt{Position: event.Position}); err != nil {
		return nil
	}
`}}},
	{id: "K02", about: "skips every second event", in: kinds, edits: handling(`	if event.Position%2 == 0 {
		return nil
	}`)},
	{id: "K03", about: "counts an event again that is handled again", in: kinds, edits: []edit{{consume, handleOnce, ``}}},
	{id: "K04", about: "blocks until its context ends", in: kinds, edits: handling(`	<-ctx.Done()`)},
	{id: "K05", about: "handles in a goroutine (out of order, acknowledged before)", in: kinds, edits: []edit{{consume, consumeOn,
		`		kindsevents.OnClickEvent(func(ctx context.Context, event kindsevents.Stored[*kindspb.ClickEvent]) error {
			go s.storedClickEvent(context.WithoutCancel(ctx), event)
			return nil
		}),
`}}},
	{id: "K06", about: "another name at each start: begins with the first event", in: kinds, edits: []edit{{consume, consumeCall,
		`s.events.Consume(ctx, consumerName+strconv.FormatInt(time.Now().UnixNano(), 36),
`}}},
	{id: "K07", about: "panics", in: kinds, edits: handling(`	panic("not written yet")`)},
	{id: "K08", about: "does nothing at all (forgot the write)", in: kinds, edits: []edit{{consume, handleDo, ``}}},
	{id: "K09", about: "keeps only the last click of a user", in: kinds, edits: []edit{{consume, handleDo,
		`	s.clicks[user] = []click{{event.ID, event.Position}}
`}}},
	{id: "K10", about: "without a handler", in: kinds, edits: []edit{{consume, consumeOn, ``}}},
	{id: "K11", about: "FromNow (skips what is stored already)", in: kinds, edits: []edit{{consume, consumeOn, consumeOn + `		kindsevents.FromNow(),
`}}},
	{id: "K12", about: "gives up on every third event", in: kinds, edits: handling(`	if event.Position%3 == 0 {
		return kindsevents.GiveUp(errors.New("not today"))
	}`)},
	{id: "K13", about: "appends an event for each event (endless)", in: kinds, edits: handling(
		`	if _, err := s.events.AppendClickEvent(ctx, event.Message); err != nil {
		return err
	}`)},
	{id: "K14", about: "no lock (race with itself)", in: kinds, race: true, edits: []edit{{consume, handleLock, `	user := event.Message.GetUserId()
`}}},
	{id: "K15", about: "is not run: Consume returns at once", in: kinds, edits: []edit{{consume, "	return " + consumeCall, `	return nil
	return ` + consumeCall}}},
	{id: "K16", about: "goes on after the server stops (context.Background())", in: kinds, edits: []edit{{consume, consumeCall,
		`s.events.Consume(context.Background(), consumerName,
`}}},
	{id: "K17", about: "skips events without a user", in: kinds, edits: handling(`	if event.Message.GetUserId() == "" {
		return nil
	}`),
		survives: "it may be right: a contract can't know that a click without a user matters"},
	{id: "K18", about: "panics on an event without a time", in: kinds, edits: handling(`	_ = event.Message.EventTime.Seconds`)},
	{id: "K19", about: "fails for every event", in: kinds, edits: handling(`	return errors.New("no such table: clicks")`)},
	{id: "K20", about: "the newest click first", in: kinds, edits: []edit{{consume, handleDo,
		`	s.clicks[user] = append([]click{{event.ID, event.Position}}, clicks...)
`}}},
	{id: "K21", about: "leaks a goroutine per event", in: kinds, edits: handling(`	go func() { select {} }()`)},
	{id: "K22", about: "keeps a lock after an event that was handled before", in: kinds, edits: []edit{{consume, handleAll,
		`	s.mu.Lock()
	user := event.Message.GetUserId()
	clicks := s.clicks[user]
` + handleOnce + handleDo + `	s.mu.Unlock()
`}}},
}}

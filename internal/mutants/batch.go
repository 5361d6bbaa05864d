package main

// What an RPC is made of whose request holds a list of events.
const (
	batchFile = "internal/kinds/v1/intake/batch.go"
	batchHead = "func (s *Service) Batch(ctx context.Context, request *kindspb.BatchRequest) (*kindspb.Reply, error) {\n"
	batchCall = "	receipts, err := s.events.AppendClickEvent(eventid.Sequence(ctx), request.GetEvents()...)\n	if err != nil {\n		return nil, err\n	}\n"
	batchSent = "request.GetEvents()..."
	batchNum  = "uint32(len(receipts))"
)

// each makes a mutant do something with each event instead of storing all of them.
func each(before, code string) []edit {
	return []edit{{batchFile, batchCall, before + `
	var receipts []kindsevents.Receipt
	for _, event := range request.GetEvents() {
		` + code + `
		receipts = append(receipts, stored...)
	}
`}}
}

var batch = group{"batch", []mutant{
	{id: "B01", about: "stored one by one (partially, if one fails)", in: kinds, edits: each(`ctx = eventid.Sequence(ctx)`,
		`stored, err := s.events.AppendClickEvent(ctx, event)
		if err != nil {
			return nil, err
		}`)},
	{id: "B02", about: "one by one without eventid.Sequence (all under one id)", in: kinds, edits: each(``,
		`stored, err := s.events.AppendClickEvent(ctx, event)
		if err != nil {
			return nil, err
		}`)},
	{id: "B03", about: "the last event is dropped, and counted", in: kinds, edits: []edit{
		{batchFile, batchSent, `request.GetEvents()[:max(0, len(request.GetEvents())-1)]...`},
		{batchFile, batchNum, `uint32(len(request.GetEvents()))`}}},
	{id: "B04", about: "stores only the first event, counts all", in: kinds, edits: []edit{
		{batchFile, batchSent, `request.GetEvents()[:min(1, len(request.GetEvents()))]...`},
		{batchFile, batchNum, `uint32(len(request.GetEvents()))`}}},
	{id: "B05", about: "count is always 1", in: kinds, edits: []edit{{batchFile, batchNum, `1`}}},
	{id: "B06", about: "acknowledged before it is stored (goroutine)", in: kinds, edits: []edit{
		{batchFile, batchCall, `	go s.events.AppendClickEvent(context.WithoutCancel(eventid.Sequence(ctx)), request.GetEvents()...)
	receipts := request.GetEvents()
`}}},
	{id: "B07", about: "stored in reverse order", in: kinds, edits: []edit{{batchFile, batchHead, batchHead + `	slices.Reverse(request.Events)
`}}},
	{id: "B08", about: "silently cut at 100 events", in: kinds, edits: []edit{{batchFile, batchHead, batchHead +
		`	request.Events = request.Events[:min(100, len(request.Events))]
`}}},
	{id: "B09", about: "stored in chunks of 100: not all or none", in: kinds, edits: []edit{{batchFile, batchCall,
		`	ctx = eventid.Sequence(ctx)
	var receipts []kindsevents.Receipt
	for chunk := range slices.Chunk(request.GetEvents(), 100) {
		stored, err := s.events.AppendClickEvent(ctx, chunk...)
		if err != nil {
			return nil, err
		}
		receipts = append(receipts, stored...)
	}
`}}},
	{id: "B10", about: "those without a user are left out, and counted", in: kinds, edits: []edit{{batchFile, batchHead, batchHead +
		`	count := len(request.Events)
	request.Events = slices.DeleteFunc(request.Events, func(event *kindspb.ClickEvent) bool { return event.GetUserId() == "" })
`}, {batchFile, batchNum, `uint32(count)`}}},
	{id: "B11", about: "an empty batch is answered Internal", in: kinds, edits: []edit{{batchFile, batchHead, batchHead +
		`	if len(request.Events) == 0 {
		return nil, status.Error(codes.Internal, "nothing to store")
	}
`}}},
	{id: "B12", about: "stored by a goroutine each (order lost)", in: kinds, edits: []edit{{batchFile, batchCall,
		`	ctx = eventid.Sequence(ctx)
	receipts := make([]kindsevents.Receipt, len(request.GetEvents()))
	failed := make([]error, len(request.GetEvents()))
	var all sync.WaitGroup
	for i, event := range request.GetEvents() {
		all.Go(func() {
			stored, err := s.events.AppendClickEvent(ctx, event)
			if failed[i] = err; err == nil {
				receipts[i] = stored[0]
			}
		})
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
`}}},
	{id: "B13", about: "panics on an event without a type", in: kinds, edits: []edit{{batchFile, batchHead, batchHead +
		`	for _, event := range request.Events {
		_ = event.Type[0]
	}
`}}},
	{id: "B14", about: "acknowledges all if some could be stored", in: kinds, edits: each(`ctx = eventid.Sequence(ctx)`,
		`stored, err := s.events.AppendClickEvent(ctx, event)
		if err != nil {
			slog.ErrorContext(ctx, "not stored", "error", err)
			continue
		}`)},
	{id: "B15", about: "equal users are taken for one: the first event of each is stored", in: kinds, edits: []edit{{batchFile, batchHead, batchHead +
		`	request.Events = slices.CompactFunc(request.Events, func(a, b *kindspb.ClickEvent) bool { return a.GetUserId() == b.GetUserId() })
`}}},
	{id: "B16", about: "ids of the events do not depend on the call's (sent again, stored twice)", in: kinds, edits: []edit{{batchFile, "eventid.Sequence(ctx)",
		`eventid.Sequence(metadata.NewIncomingContext(ctx, metadata.MD{}))`}}},
}}

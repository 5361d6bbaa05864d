package main

// What a unary RPC that takes an event is made of.
const (
	receive     = "internal/receiver/receive.go"
	receiveHead = "func (s *Service) Receive(ctx context.Context, event *receiverpb.Event) (*receiverpb.Reply, error) {\n"
	receiveCall = "s.events.AppendEvent(ctx, event)"
	receiveAsk  = "	if _, err := s.events.AppendEvent(ctx, event); err != nil {\n"
	receiveFail = "		return nil, err\n"
	receiveAll  = receiveAsk + receiveFail + "	}\n"
	receiveDone = "	return &receiverpb.Reply{Message: \"Hello, \" + event.GetXwho() + \"!\"}, nil"
)

// first makes a mutant do something before it stores the event.
func first(code string) []edit {
	return []edit{{receive, receiveHead, receiveHead + code + "\n"}}
}

// instead makes a mutant do something instead of storing the event and returning the error.
func instead(code string) []edit {
	return []edit{{receive, receiveAll, code + "\n"}}
}

// failing makes a mutant return something else if the event can't be stored.
func failing(code string) []edit {
	return []edit{{receive, receiveFail, code + "\n"}}
}

var unary = group{"unary", []mutant{
	{id: "U01", about: "answers before the event is stored (goroutine)", in: receiver, edits: instead(
		`go s.events.AppendEvent(context.WithoutCancel(ctx), event)`)},
	{id: "U02", about: "stores nothing", in: receiver, edits: instead(``)},
	{id: "U03", about: "logs the error of append and answers OK", in: receiver, edits: failing(
		`slog.ErrorContext(ctx, "not stored", "error", err)`)},
	{id: "U04", about: "appends twice, the second under a fresh id", in: receiver, edits: []edit{{receive, receiveDone,
		`	if _, err := s.events.AppendEvent(metadata.NewIncomingContext(ctx, metadata.MD{}), event); err != nil {
		return nil, err
	}
` + receiveDone}}},
	{id: "U05", about: "remembers an id before the event is stored: after a failure the next try is taken for a duplicate", in: receiver, edits: append(first(
		`	if _, known := seen.LoadOrStore(eventid.Of(ctx, ""), true); known {
		return &receiverpb.Reply{Message: "Hello, " + event.GetXwho() + "!"}, nil
	}`), edit{receive, "", `var seen sync.Map`})},
	{id: "U06", about: "drops every 10th event", in: receiver, edits: append(first(
		`	if calls.Add(1)%10 == 0 {
		return &receiverpb.Reply{Message: "Hello, " + event.GetXwho() + "!"}, nil
	}`), edit{receive, "", `var calls atomic.Int64`})},
	{id: "U07", about: "sets source to a constant before append", in: receiver, edits: first(`event.Appid = "app"`)},
	{id: "U08", about: "stores the subject in lower case", in: receiver, edits: first(`event.Xwho = strings.ToLower(event.Xwho)`)},
	{id: "U09", about: "replaces subject by a hash", in: receiver, edits: first(
		`event.Xwho = fmt.Sprintf("%x", sha256.Sum256([]byte(event.Xwho)))`)},
	{id: "U10", about: "loses unknown fields (copies known fields into a new message)", in: receiver, edits: []edit{{receive, receiveCall,
		`s.events.AppendEvent(ctx, &receiverpb.Event{Appid: event.Appid, Xwhen: event.Xwhen, Xwho: event.Xwho, Xwhat: event.Xwhat, Xcontext: event.Xcontext})`}}},
	{id: "U11", about: "answers an event without a subject, and does not store it", in: receiver, edits: first(
		`	if event.GetXwho() == "" {
		return &receiverpb.Reply{Message: "Hello, nobody!"}, nil
	}`)},
	{id: "U12", about: "truncates a payload at 256 bytes", in: receiver, edits: append(first(
		`	event.Xwhat, event.Xwho = cut(event.Xwhat), cut(event.Xwho)`), edit{receive, "", `func cut(text string) string { return text[:min(len(text), 256)] }`})},
	{id: "U13", about: "returns nil, nil after storing", in: receiver, edits: []edit{{receive, receiveDone, `	return nil, nil`}}},
	{id: "U14", about: "stores the event, and then refuses it", in: receiver, edits: []edit{{receive, receiveDone,
		`	return nil, status.Error(codes.InvalidArgument, "not one of ours")`}}},
	{id: "U15", about: "wraps the error with %v", in: receiver, edits: failing(`return nil, fmt.Errorf("not stored: %v", err)`)},
	{id: "U16", about: "Internal for every failure of append", in: receiver, edits: failing(`return nil, status.Error(codes.Internal, err.Error())`)},
	{id: "U17", about: "Unavailable for every failure of append: a conflict is tried for ever", in: receiver, edits: failing(
		`return nil, status.Error(codes.Unavailable, err.Error())`)},
	{id: "U18", about: "panics on a nil nested field", in: receiver, edits: first(`_ = event.Xcontext.Fields["amount"]`)},
	{id: "U19", about: "data race on a map counter", in: receiver, race: true, edits: append(first(`counts[event.GetXwhat()]++`),
		edit{receive, "", `var counts = map[string]int{}`})},
	{id: "U20", about: "panics on an empty text", in: receiver, edits: first(`_ = event.Xwho[0]`)},
	{id: "U21", about: "leaks a goroutine per call", in: receiver, edits: first(`go func() { select {} }()`)},
	{id: "U22", about: "ignores cancellation and deadline (context.WithoutCancel)", in: receiver, edits: first(`ctx = context.WithoutCancel(ctx)`)},
	{id: "U23", about: "stores under context.Background(), which has no id", in: receiver, edits: []edit{{receive, receiveCall,
		`s.events.AppendEvent(context.Background(), event)`}}},
	{id: "U24", about: "id taken from the clock", in: receiver, edits: first(
		`ctx = metadata.NewIncomingContext(ctx, metadata.Pairs(eventid.Key, strconv.FormatInt(time.Now().UnixNano(), 10)))`)},
	{id: "U25", about: "id taken from a hash of the content (two equal events collapse)", in: receiver, edits: first(
		`ctx = metadata.NewIncomingContext(ctx, metadata.Pairs(eventid.Key, fmt.Sprintf("%x", sha256.Sum256([]byte(event.Xwho+event.Xwhat)))))`)},
	{id: "U26", about: "answers a duplicate with AlreadyExists", in: receiver, edits: []edit{{receive, receiveAsk + receiveFail + "	}\n",
		`	receipts, err := s.events.AppendEvent(ctx, event)
	if err != nil {
		return nil, err
	}
	if receipts[0].Duplicate {
		return nil, status.Error(codes.AlreadyExists, "sent twice")
	}
`}}},
	{id: "U27", about: "a conflict is swallowed as a duplicate", in: receiver, edits: failing(
		`	if status.Code(err) != codes.AlreadyExists {
			return nil, err
		}`)},
	{id: "U28", about: "wrong greeting (tenant instead of user)", in: receiver, edits: []edit{{receive, receiveDone,
		`	return &receiverpb.Reply{Message: "Hello, " + event.GetAppid() + "!"}, nil`}}},
	{id: "U29", about: "stores the type in lower case", in: receiver, edits: first(`event.Xwhat = strings.ToLower(event.Xwhat)`)},
	{id: "U30", about: "a large event is refused with Internal", in: receiver, edits: first(
		`	if proto.Size(event) > 32<<10 {
		return nil, status.Error(codes.Internal, "no room")
	}`)},
	{id: "U31", about: "tries append again for ever when it fails", in: receiver, edits: []edit{{receive, receiveAll,
		`	for {
		if _, err := s.events.AppendEvent(ctx, event); err == nil {
			break
		}
	}
`}}},
	{id: "U32", about: "replaces what is not ASCII", in: receiver, edits: first(
		`	event.Xwho = strings.Map(func(r rune) rune {
		if r > 127 {
			return '?'
		}
		return r
	}, event.Xwho)`)},
	{id: "U33", about: "one at a time, 50 ms each (global mutex and a sleep)", in: receiver, edits: append(first(
		`	one.Lock()
	defer one.Unlock()
	time.Sleep(50 * time.Millisecond)`), edit{receive, "", `var one sync.Mutex`})},
	{id: "U34", about: "the event is altered after append (in the handler, before the answer)", in: receiver, edits: []edit{{receive, receiveDone,
		`	event.Xwho = strings.ToUpper(event.Xwho)
` + receiveDone}}},
	{id: "U35", about: "holds a mutex while it stores: one slow append holds up all", in: receiver, edits: append(first(
		`	one.Lock()
	defer one.Unlock()`), edit{receive, "", `var one sync.Mutex`})},
	{id: "U36", about: "event time is replaced by the time of receipt", in: receiver, edits: first(`event.Xwhen = int32(time.Now().Unix())`)},
	{id: "U37", about: "deadlock after an error path (mutex not unlocked on error)", in: receiver, edits: append([]edit{{receive, receiveAsk,
		`	one.Lock()
` + receiveAsk}, {receive, receiveDone, `	one.Unlock()
` + receiveDone}}, edit{receive, "", `var one sync.Mutex`})},
	{id: "U38", about: "acknowledges after 20 ms if the log is slow", in: receiver, edits: instead(
		`	stored := make(chan error, 1)
	go func() {
		_, err := s.events.AppendEvent(context.WithoutCancel(ctx), event)
		stored <- err
	}()
	select {
	case err := <-stored:
		if err != nil {
			return nil, err
		}
	case <-time.After(20 * time.Millisecond):
	}`)},
	{id: "U39", about: "puts the event into a queue that a goroutine stores", in: receiver, edits: append(instead(
		`	starting.Do(func() {
		go func() {
			for next := range queue {
				next()
			}
		}()
	})
	queue <- func() { _, _ = s.events.AppendEvent(context.WithoutCancel(ctx), event) }`), edit{receive, "", `var (
	queue    = make(chan func(), 1000)
	starting sync.Once
)`})},
	{id: "U40", about: "callers share one reply", in: receiver, race: true, edits: append([]edit{{receive, receiveDone,
		`	shared.Message = "Hello, " + event.GetXwho() + "!"
	return shared, nil`}}, edit{receive, "", `var shared = &receiverpb.Reply{}`})},
	{id: "U41", about: "one event per subject: a later one is acknowledged, and not stored", in: receiver, edits: append(first(
		`	if _, known := seen.LoadOrStore(event.GetXwho(), true); known {
		return &receiverpb.Reply{Message: "Hello, " + event.GetXwho() + "!"}, nil
	}`), edit{receive, "", `var seen sync.Map`})},
	{id: "U42", about: "stores in a goroutine that the end of the call does not reach", in: receiver, edits: instead(
		`	stored := make(chan error)
	go func() {
		_, err := s.events.AppendEvent(context.WithoutCancel(ctx), event)
		stored <- err
	}()
	select {
	case err := <-stored:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}`)},
	{id: "U43", about: "a panic in the handler is recovered, and answered with OK", in: receiver, edits: []edit{{receive, receiveHead,
		`func (s *Service) Receive(ctx context.Context, event *receiverpb.Event) (reply *receiverpb.Reply, err error) {
	defer func() {
		if recover() != nil {
			reply, err = &receiverpb.Reply{Message: "Hello, " + event.GetXwho() + "!"}, nil
		}
	}()
`}}},
}}

// What an RPC is made of whose request holds the event.
const (
	held     = "internal/kinds/v1/intake/held.go"
	heldHead = "func (s *Service) Held(ctx context.Context, request *kindspb.HeldRequest) (*kindspb.Reply, error) {\n"
	heldCall = "s.events.AppendClickEvent(ctx, request.GetEvent())"
)

var holding = group{"unary holding", []mutant{
	{id: "S01", about: "stores an empty event (forgot to take it out)", in: kinds, edits: []edit{{held, heldCall, `s.events.AppendClickEvent(ctx, &kindspb.ClickEvent{})`}}},
	{id: "S02", about: "type and subject swapped", in: kinds, edits: []edit{{held, heldHead, heldHead +
		`	if event := request.GetEvent(); event != nil {
		event.Type, event.UserId = event.UserId, event.Type
	}
`}}},
	{id: "S03", about: "panics when the event is missing", in: kinds, edits: []edit{{held, heldHead, heldHead + `	slog.DebugContext(ctx, request.Event.Type)
`}}},
	{id: "S04", about: "acknowledges a request without an event", in: kinds, edits: []edit{{held, heldHead, heldHead +
		`	if request.GetEvent() == nil {
		return &kindspb.Reply{Count: 1, Message: "stored"}, nil
	}
`}}},
	{id: "S05", about: "the envelope overrides the subject", in: kinds, edits: []edit{{held, heldHead, heldHead +
		`	if event := request.GetEvent(); event != nil {
		event.UserId = "caller"
	}
`}}},
	{id: "S06", about: "stores the event of the request before", in: kinds, edits: []edit{{held, heldHead, heldHead +
		`	now := request.Event
	if before != nil {
		request = &kindspb.HeldRequest{Event: before}
	}
	before = now
`}, {held, "", `var before *kindspb.ClickEvent`}}},
}}

package main

// What a user wrote where no event is taken.
const (
	other         = "internal/kinds/v1/other/service.go"
	plainUnary    = "internal/kinds/v1/other/unary.go"
	unaryHead     = "func (s *Service) Unary(ctx context.Context, request *kindspb.Reply) (*kindspb.Reply, error) {\n"
	unaryLock     = "	s.mu.Lock()\n	defer s.mu.Unlock()\n"
	unaryFind     = "	count, ok := s.counts[request.GetMessage()]\n"
	unaryMiss     = "		return nil, status.Errorf(codes.NotFound, \"nobody has counted %q\", request.GetMessage())\n"
	unaryDone     = "	return &kindspb.Reply{Message: request.GetMessage(), Count: count}, nil\n"
	plainClient   = "internal/kinds/v1/other/client_stream.go"
	sumEOF        = "		if errors.Is(err, io.EOF) {\n			break\n		}\n"
	sumErr        = "		if err != nil {\n			return err\n		}\n"
	sumAdd        = "		s.add(request.GetMessage(), request.GetCount())\n		sum += request.GetCount()\n"
	sumDone       = "	return stream.SendAndClose(&kindspb.Reply{Message: \"sum\", Count: sum})\n"
	plainServer   = "internal/kinds/v1/other/server_stream.go"
	listLock      = "	s.mu.Lock()\n	counts := maps.Clone(s.counts)\n	s.mu.Unlock()\n"
	listLoop      = "	for _, name := range slices.Sorted(maps.Keys(counts)) {\n"
	listSend      = "		if err := stream.Send(&kindspb.Reply{Message: name, Count: counts[name]}); err != nil {\n			return err\n		}\n"
	plainBidi     = "internal/kinds/v1/other/bidi.go"
	echoHead      = "func (s *Service) Bidi(stream kindspb.Other_BidiServer) error {\n"
	echoEOF       = "		if errors.Is(err, io.EOF) {\n			return nil\n		}\n"
	echoErr       = "		if err != nil {\n			return err\n		}\n"
	echoSend      = "		if err := stream.Send(&kindspb.Reply{Message: request.GetMessage(), Count: count}); err != nil {\n			return err\n		}\n"
	notHeld       = "internal/kinds/v1/other/not_held.go"
	notTaken      = "internal/kinds/v1/other/not_taken.go"
	notTakenHead  = "func (s *Service) NotTaken(ctx context.Context, request *kindspb.ClickEvent) (*kindspb.Reply, error) {\n"
	otherAddLocks = "	s.mu.Lock()\n	defer s.mu.Unlock()\n	s.counts[name] += times\n"
)

var plain = group{"plain", []mutant{
	{id: "P01", about: "unary: nil, nil", in: kinds, edits: []edit{{plainUnary, unaryMiss, `		return nil, nil
`}}},
	{id: "P02", about: "unary: plain error instead of a status", in: kinds, edits: []edit{{plainUnary, unaryMiss, `		return nil, errors.New("nobody has counted that")
`}}},
	{id: "P03", about: "unary: panics on an empty text", in: kinds, edits: []edit{{plainUnary, unaryHead, unaryHead + `	_ = request.Message[0]
`}}},
	{id: "P04", about: "unary: sleeps 40 s, ignores the deadline", in: kinds, edits: []edit{{plainUnary, unaryHead, unaryHead + `	time.Sleep(40 * time.Second)
`}}},
	{id: "P05", about: "unary: stub that answers OK and empty", in: kinds, edits: []edit{{plainUnary, unaryHead, unaryHead + `	if true {
		return &kindspb.Reply{}, nil
	}
`}}},
	{id: "P06", about: "unary: leaks a goroutine per call", in: kinds, edits: []edit{{plainUnary, unaryHead, unaryHead + `	go func() { select {} }()
`}}},
	{id: "P07", about: "unary: reads the map without the lock", in: kinds, race: true, edits: []edit{{plainUnary, unaryLock, ``}}},
	{id: "P08", about: "unary: lock not released on NotFound", in: kinds, edits: []edit{
		{plainUnary, unaryLock, `	s.mu.Lock()
`}, {plainUnary, unaryDone, `	s.mu.Unlock()
` + unaryDone}}},
	{id: "P09", about: "bidi: holds a lock across Recv", in: kinds, edits: []edit{{plainBidi, echoHead, echoHead + `	one.Lock()
	defer one.Unlock()
`}, {plainBidi, "", `var one sync.Mutex`}}},
	{id: "P10", about: "server stream: holds the lock while it sends", in: kinds, edits: []edit{{plainServer, listLock, `	s.mu.Lock()
	defer s.mu.Unlock()
	counts := s.counts
`}},
		survives: "with a few names to send, nothing waits for a client that does not read: gRPC takes what fits into a connection's window"},
	{id: "P11", about: "server stream: unsorted (order of the map)", in: kinds, edits: []edit{{plainServer, listLoop, `	for name := range counts {
`}}},
	{id: "P12", about: "server stream: sends on and on, whether or not its client is gone", in: kinds, edits: []edit{{plainServer, listLoop, `	for {
		if stream.Send(&kindspb.Reply{Message: "more"}) != nil {
			time.Sleep(10 * time.Millisecond)
		}
	}
` + listLoop}}},
	{id: "P13", about: "server stream: never ends", in: kinds, edits: []edit{{plainServer, listLoop, `	defer func() { select {} }()
` + listLoop}}},
	{id: "P14", about: "client stream: EOF returned as an error", in: kinds, edits: []edit{{plainClient, sumEOF, ``}}},
	{id: "P15", about: "client stream: any error of Recv is taken for the end", in: kinds, edits: []edit{{plainClient, sumEOF + sumErr, `		if err != nil {
			break
		}
`}}},
	{id: "P16", about: "client stream: sum lost (last number not counted)", in: kinds, edits: []edit{
		{plainClient, sumAdd, `		s.add(request.GetMessage(), request.GetCount())
		sum += before
		before = request.GetCount()
`}, {plainClient, "	var sum uint32\n", `	var sum, before uint32
`}}},
	{id: "P17", about: "bidi: EOF returned as an error", in: kinds, edits: []edit{{plainBidi, echoEOF, ``}}},
	{id: "P18", about: "bidi: two answers to each request", in: kinds, edits: []edit{{plainBidi, echoSend, echoSend + echoSend}}},
	{id: "P19", about: "bidi: does not end on EOF (goes on)", in: kinds, edits: []edit{{plainBidi, echoEOF, `		if errors.Is(err, io.EOF) {
			continue
		}
`}}},
	{id: "P20", about: "bidi: any error of Recv is taken for the end", in: kinds, edits: []edit{{plainBidi, echoEOF + echoErr, `		if err != nil {
			return nil
		}
`}}},
	{id: "P21", about: "unary: panics on a nil nested field", in: kinds, edits: []edit{{notHeld, "event.GetUserId() == \"\"", `event.UserId == ""`}}},
	{id: "P22", about: "unary: code Unknown", in: kinds, edits: []edit{{plainUnary, "codes.NotFound", `codes.Unknown`}}},
	{id: "P23", about: "unary: data race on a counter", in: kinds, race: true, edits: []edit{{notTaken, notTakenHead, notTakenHead + `	calls++
`}, {notTaken, "", `var calls int`}}},
	{id: "P24", about: "unary: waits for a channel that nobody closes, and ignores cancellation", in: kinds, edits: []edit{{notTaken, notTakenHead, notTakenHead + `	<-never
`}, {notTaken, "", `var never = make(chan struct{})`}}},
	{id: "P25", about: "client stream: returns nil without an answer", in: kinds, edits: []edit{{plainClient, sumDone, `	return nil
`}}},
	{id: "P26", about: "writes the map without the lock", in: kinds, race: true, edits: []edit{{other, otherAddLocks, `	s.counts[name] += times
`}}},
	{id: "P27", about: "client stream: a goroutine receives, and goes on receiving when the handler has ended", in: kinds, edits: []edit{{plainClient, sumDone, sumDone + `}

func (s *Service) drain(stream kindspb.Other_ClientStreamServer) {
	for {
		_, _ = stream.Recv()
		time.Sleep(time.Millisecond)
	}
`}, {plainClient, "	var sum uint32\n", `	var sum uint32
	defer func() { go s.drain(stream) }()
`}}},
	{id: "P28", about: "unary: 50 ms under a global lock", in: kinds, edits: []edit{{plainUnary, unaryLock, unaryLock + `	time.Sleep(50 * time.Millisecond)
`}},
		survives: "each call is right, and no test depends on how fast the machine is: BenchmarkUnary shows it"},
}}

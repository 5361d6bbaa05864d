package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	unaryMethod = "/grpc.testing.TestService/UnaryCall"
	tailMethod  = "/grpc.testing.TestService/StreamingOutputCall"
	bidiMethod  = "/grpc.testing.TestService/FullDuplexCall"
	megabyte    = 1 << 20
)

func request(bytes int) *testpb.SimpleRequest {
	return &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, bytes)}}
}

// What one client can make a server hold follows from its flags, however many
// requests it begins.
func TestHalfSentRequestsTakeTheMemoryThatFlagsAllow(t *testing.T) {
	t.Parallel()
	const requests, length = 300, 4 * megabyte
	p := start(t, "plain", "--max-memory-bytes", "50331648", "--receive-timeout", "1h")
	a := attack(t, p.addr)
	left := map[uint32]int{}
	for i := range requests {
		stream := uint32(1 + 2*i)
		a.open(t, stream, unaryMethod, length)
		left[stream] = length
	}
	sent := a.flood(t, left)
	// Two messages of four megabytes take, four times each, as much of it as one address
	// may have; the others have the windows of their streams.
	if most := 2*length + requests*int(streamWindow); sent > most || sent < 2*length-2 {
		t.Errorf("the server took %d bytes of %d requests, want about %d", sent, requests, most)
	}
	reply, err := grpc_health_v1.NewHealthClient(dial(t, p.addr)).Check(soon(t), &grpc_health_v1.HealthCheckRequest{})
	if err != nil || reply.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("another client meanwhile: %v, %v", reply, err)
	}
	// What a program has had from its system never becomes less.
	measured, err := testpb.NewTestServiceClient(dial(t, p.addr)).UnaryCall(soon(t), &testpb.SimpleRequest{FillUsername: true})
	if err != nil {
		t.Fatal(err)
	}
	peak, err := strconv.Atoi(measured.Username)
	if err != nil {
		t.Fatal(err)
	}
	if peak > 150*megabyte {
		t.Errorf("the server took %d MiB", peak/megabyte)
	}
}

func TestLargeRequestsWaitForMemoryAndAllGetThrough(t *testing.T) {
	config := free()
	config.MaxMemoryBytes = 20 * megabyte
	running := serve(t, config, tested(&service{}))
	running.limits.slowAfter = time.Hour // these clients are slow where the machine is
	var group sync.WaitGroup
	for range 4 {
		client := testpb.NewTestServiceClient(dial(t, running.Addr()))
		for range 16 {
			group.Go(func() {
				if _, err := client.UnaryCall(soon(t), request(2*megabyte)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	group.Wait()
	eventually(t, "the return of the memory", func() bool { return used(running.limits.memory) == 0 })
	eventually(t, "the end of the calls", func() bool {
		return running.limits.calls.Load() == 0 && running.limits.tails.Load() == 0
	})
}

// How long a compressed request is is known once it has been decompressed.
func TestCompressedRequestsTakeTheMemoryOfWhatTheyBecome(t *testing.T) {
	config := free()
	config.MaxMemoryBytes = 20 * megabyte
	running := serve(t, config, tested(&service{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return &testpb.SimpleResponse{}, nil
	}}))
	client := testpb.NewTestServiceClient(dial(t, running.Addr()))
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if _, err := client.UnaryCall(soon(t), request(2*megabyte), grpc.UseCompressor(gzip.Name)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if _, err := client.UnaryCall(soon(t), request(5*megabyte), grpc.UseCompressor(gzip.Name)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("one that becomes too long: %v", err)
	}
}

func TestARequestThatDoesNotArriveEnds(t *testing.T) {
	config := free()
	config.ReceiveTimeout = 50 * time.Millisecond
	running := serve(t, config, tested(&service{}))
	for name, test := range map[string]struct {
		method string
		length int // of the message; negative for none
		sent   int
	}{
		"no message":                      {unaryMethod, -1, 0},
		"a prefix":                        {unaryMethod, 100, 0},
		"a small one":                     {unaryMethod, 100, 99},
		"a small one without its end":     {unaryMethod, 100, 100},
		"a large one":                     {unaryMethod, megabyte, 60 << 10},
		"part of one of a stream":         {bidiMethod, 100, 99},
		"part of a large one of a stream": {bidiMethod, megabyte, 60 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := attack(t, running.Addr())
			a.open(t, 1, test.method, test.length)
			a.send(t, 1, make([]byte, test.sent))
			a.await(t, "the end of the call", func() bool { return a.status[1] != "" })
			if code := a.status[1]; code != "4" {
				t.Errorf("its code is %s, want 4, DeadlineExceeded", code)
			}
		})
	}
}

func TestASlowRequestArrives(t *testing.T) {
	t.Parallel()
	config := free()
	config.ReceiveTimeout = 2 * time.Second
	running := serve(t, config, tested(&service{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return &testpb.SimpleResponse{}, nil
	}}))
	a := attack(t, running.Addr())
	const length, piece = megabyte, 32 << 10
	a.open(t, 1, unaryMethod, length)
	message, err := proto.Marshal(request(length - 8))
	if err != nil || len(message) != length {
		t.Fatal(len(message), err)
	}
	for begin := time.Now(); len(message) > 0; message = message[piece:] {
		a.await(t, "the window of the stream", func() bool { return a.window[1] >= piece })
		a.send(t, 1, message[:piece])
		if sent := length - len(message) + piece; sent < length {
			time.Sleep(time.Until(begin.Add(3200 * time.Millisecond * time.Duration(sent) / length))) // 800 ms for 256 KiB
		}
	}
	if err := a.framer.WriteData(1, true, nil); err != nil {
		t.Fatal(err)
	}
	a.await(t, "the end of the call", func() bool { return a.status[1] != "" })
	if code := a.status[1]; code != "0" {
		t.Errorf("its code is %s, want 0, OK", code)
	}
}

func TestAnIdleStreamIsLeftAlone(t *testing.T) {
	t.Parallel()
	config := free()
	config.ReceiveTimeout = 10 * time.Millisecond
	call := begin(t, dial(t, serve(t, config, tested(&service{})).Addr()))
	time.Sleep(2 * checkEvery)
	if err := call.echo(); err != nil {
		t.Error(err)
	}
	if err := call.finish(); err != nil {
		t.Error(err)
	}
}

func TestAClientThatLeavesEndsItsCall(t *testing.T) {
	begun, ended := make(chan struct{}, 2), make(chan error, 2)
	running := serve(t, free(), tested(&service{stream: func(stream testpb.TestService_FullDuplexCallServer) error {
		begun <- struct{}{}
		_, err := stream.Recv()
		ended <- err
		return err
	}}))
	for name, leave := range map[string]func(*attacker) error{
		"the call":       func(a *attacker) error { return a.framer.WriteRSTStream(1, http2.ErrCodeCancel) },
		"the connection": func(a *attacker) error { return a.Close() },
	} {
		a := attack(t, running.Addr())
		a.open(t, 1, bidiMethod, -1)
		<-begun
		if err := leave(a); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; status.Code(err) != codes.Canceled {
			t.Errorf("%s: the handler gets %v", name, err)
		}
	}
}

// TestAHandlerThatReturnsEndsWhatItReceives has a handler that receives in a goroutine of
// its own, and returns before its client has sent all.
func TestAHandlerThatReturnsEndsWhatItReceives(t *testing.T) {
	ended := make(chan error, 1)
	running := serve(t, free(), tested(&service{stream: func(stream testpb.TestService_FullDuplexCallServer) error {
		received := make(chan error)
		go func() {
			for {
				_, err := stream.Recv()
				select {
				case received <- err:
				case <-stream.Context().Done():
					ended <- err
					return
				}
			}
		}()
		if err := <-received; err != nil {
			return err
		}
		return status.Error(codes.InvalidArgument, "not such a message")
	}}))
	stream, err := testpb.NewTestServiceClient(dial(t, running.Addr())).FullDuplexCall(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&testpb.StreamingOutputCallRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("the call ends with %v", err)
	}
	select {
	case err := <-ended:
		if status.Code(err) != codes.Canceled {
			t.Errorf("the goroutine gets %v", err)
		}
	case <-soon(t).Done():
		t.Error("the goroutine waits for ever")
	}
}

// TestWhatACallTakesAfterItsHandlerGoesBack has a call take memory when its handler has
// returned, as a goroutine does that still receives.
func TestWhatACallTakesAfterItsHandlerGoesBack(t *testing.T) {
	calls := make(chan *call, 1)
	running := serve(t, free(), tested(&service{stream: func(stream testpb.TestService_FullDuplexCallServer) error {
		calls <- stream.Context().Value(callKey{}).(*call)
		return nil
	}}))
	stream, err := testpb.NewTestServiceClient(dial(t, running.Addr())).FullDuplexCall(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != io.EOF {
		t.Fatal(err)
	}
	ended := <-calls
	if err := ended.hold(3 * megabyte); err != nil {
		t.Fatal(err)
	}
	running.limits.memory.mu.Lock()
	defer running.limits.memory.mu.Unlock()
	if used := running.limits.memory.used; used != 0 {
		t.Errorf("%d bytes are still set aside", used)
	}
}

func TestABatchIsBounded(t *testing.T) {
	config := free()
	config.MaxBatch = 200
	client := testpb.NewTestServiceClient(dial(t, serve(t, config, tested(&service{})).Addr()))
	for n, want := range map[int]codes.Code{200: codes.OK, 600: codes.InvalidArgument} {
		stream, err := client.FullDuplexCall(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		parts := make([]*testpb.ResponseParameters, n)
		for i := range parts {
			parts[i] = &testpb.ResponseParameters{Size: 1 << 20, IntervalUs: 1}
		}
		if err := stream.Send(&testpb.StreamingOutputCallRequest{ResponseParameters: parts}); err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		if status.Code(err) != want {
			t.Errorf("%d elements: %v, want %v", n, err, want)
		}
		if want != codes.OK {
			oneLine(t, err, "response_parameters has more than 200 elements", "--max-batch")
		}
	}
}

// Two bytes make an element of hundreds: the limit that this reaches is the one that is
// named and logged, and not that of a batch.
func TestARequestOfManySmallPartsIsRefused(t *testing.T) {
	config := free().withLevel(slog.LevelInfo)
	config.MaxMessageBytes = 64 << 10
	var running *running
	log := logged(t, func() { running = serve(t, config, tested(&service{})) })
	stream, err := testpb.NewTestServiceClient(dial(t, running.Addr())).FullDuplexCall(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	parts := make([]*testpb.ResponseParameters, 4000)
	for i := range parts {
		parts[i] = &testpb.ResponseParameters{}
	}
	if err := stream.Send(&testpb.StreamingOutputCallRequest{ResponseParameters: parts}); err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("got %v, want InvalidArgument", err)
	}
	oneLine(t, err, "more than 1572864 bytes of memory", "--max-message-bytes")
	if text := log(); !strings.Contains(text, "limit=--max-message-bytes") || strings.Contains(text, "limit=--max-batch") {
		t.Errorf("it logs\n%s", text)
	}
}

// saysWhen reports whether an error says that a call was one too many, and after what time
// to try again.
func saysWhen(err error) bool {
	return status.Code(err) == codes.ResourceExhausted && slices.ContainsFunc(status.Convert(err).Details(), func(detail any) bool {
		info, ok := detail.(*errdetails.RetryInfo)
		return ok && info.GetRetryDelay().AsDuration() > 0
	})
}

func TestCallsAreBounded(t *testing.T) {
	config := free()
	config.MaxCalls = 5 // three for one address
	working, finish := make(chan struct{}), make(chan struct{})
	running := serve(t, config, tested(&service{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		working <- struct{}{}
		<-finish
		return &testpb.SimpleResponse{}, nil
	}}))
	many, other := dial(t, running.Addr()), dial(t, running.Addr())
	oldest, newer := begin(t, many), begin(t, many)
	ended := make(chan error)
	work := func() {
		_, err := testpb.NewTestServiceClient(other).UnaryCall(soon(t), &testpb.SimpleRequest{})
		ended <- err
	}
	go work()
	<-working
	go work()
	<-working // in the place of the call that has waited for longest
	if _, err := oldest.Recv(); !saysWhen(err) {
		t.Errorf("the call that has waited for longest: %v", err)
	} else if len(oldest.Trailer().Get("grpc-retry-pushback-ms")) != 1 {
		t.Errorf("its trailer: %v", oldest.Trailer())
	}
	go work()
	<-working
	if _, err := newer.Recv(); !saysWhen(err) {
		t.Errorf("the next one: %v", err)
	}
	if _, err := testpb.NewTestServiceClient(many).UnaryCall(soon(t), &testpb.SimpleRequest{}); !saysWhen(err) {
		t.Errorf("a call when all others work: %v", err)
	} else {
		oneLine(t, err, "--max-calls is 5")
	}
	close(finish)
	for range 3 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestTailsAreBounded(t *testing.T) {
	config := free()
	config.MaxTails = 4
	endless := &service{tail: func(stream testpb.TestService_StreamingOutputCallServer) error {
		if err := stream.Send(&testpb.StreamingOutputCallResponse{}); err != nil {
			return err
		}
		<-stream.Context().Done()
		return nil
	}}
	running := serve(t, config, tested(endless))
	open := func(conn *grpc.ClientConn) error {
		stream, err := testpb.NewTestServiceClient(conn).StreamingOutputCall(soon(t), &testpb.StreamingOutputCallRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}
	first, second, third := dial(t, running.Addr()), dial(t, running.Addr()), dial(t, running.Addr())
	for i, test := range []struct {
		conn *grpc.ClientConn
		want codes.Code
	}{
		{first, codes.OK}, {second, codes.OK}, {second, codes.ResourceExhausted}, {third, codes.ResourceExhausted},
	} {
		err := open(test.conn)
		if status.Code(err) != test.want {
			t.Errorf("%d: %v, want %v", i, err, test.want)
		}
		if test.want != codes.OK {
			oneLine(t, err, "--max-tails")
			if !saysWhen(err) {
				t.Errorf("%d does not say when to try again: %v", i, err)
			}
		}
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(testTimeout); open(third) != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("there is no room after others ended")
		}
	}
}

// A call that gRPC refuses takes no room of others, however long its connection lasts.
func TestRefusedCallsAreForgotten(t *testing.T) {
	config := free()
	config.MaxTails = 4
	running := serve(t, config, tested(&service{tail: func(testpb.TestService_StreamingOutputCallServer) error { return nil }}))
	a := attack(t, running.Addr())
	for _, stream := range []uint32{1, 3} { // as many as one connection may have
		a.open(t, stream, tailMethod, 0, [2]string{"grpc-encoding", "unknown"})
		a.await(t, "the end of the call", func() bool { return a.status[stream] != "" })
		if code := a.status[stream]; code != "12" {
			t.Fatalf("the code of a compression that the server does not know is %s, want 12, Unimplemented", code)
		}
	}
	for deadline, stream := time.Now().Add(testTimeout), uint32(5); a.status[stream-2] != "0"; stream += 2 {
		if time.Now().After(deadline) {
			t.Fatalf("there is no room after calls were refused: the code is %s", a.status[stream-2])
		}
		a.open(t, stream, tailMethod, 0)
		if err := a.framer.WriteData(stream, true, nil); err != nil {
			t.Fatal(err)
		}
		a.await(t, "the end of the call", func() bool { return a.status[stream] != "" })
	}
}

// Tails whose clients don't read share the memory that flags allow. The others
// are refused before they read anything.
func TestUnreadTailsAreBounded(t *testing.T) {
	config := free()
	config.MaxMessageBytes = 2 * megabyte
	config.MaxMemoryBytes = 43 * megabyte // of which one address may have those of four events of two megabytes
	config.ReceiveTimeout = 100 * time.Millisecond
	begun := make(chan struct{}, 12)
	running := serve(t, config, tested(&service{tail: func(stream testpb.TestService_StreamingOutputCallServer) error {
		begun <- struct{}{}
		for {
			if err := stream.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: make([]byte, 2*megabyte-100)}}); err != nil {
				return err
			}
		}
	}}))
	client := testpb.NewTestServiceClient(dial(t, running.Addr()))
	refused := make(chan error, 12)
	for range 12 {
		stream, err := client.StreamingOutputCall(soon(t), &testpb.StreamingOutputCallRequest{})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			header, _ := stream.Header() // comes with the first message
			if header == nil {
				_, err := stream.Recv()
				refused <- err
			}
		}()
	}
	for range 8 {
		if err := <-refused; !saysWhen(err) || !strings.Contains(err.Error(), "--max-memory-bytes") {
			t.Errorf("one too many ends with %v", err)
		}
	}
	if n := len(begun); n != 4 {
		t.Errorf("%d have read something, want 4", n)
	}
}

func TestIdleConnectionsLockNobodyOut(t *testing.T) {
	config := free()
	config.MaxConnections = 4
	running := serve(t, config, tested(&service{}))
	working := begin(t, dial(t, running.Addr()))
	var idle []*attacker
	for range 8 {
		a := attack(t, running.Addr())
		a.settle(t)
		idle = append(idle, a)
	}
	reply, err := grpc_health_v1.NewHealthClient(dial(t, running.Addr())).Check(soon(t), &grpc_health_v1.HealthCheckRequest{})
	if err != nil || reply.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("a new client: %v, %v", reply, err)
	}
	for i, a := range idle[:6] {
		a.await(t, "the end of an old idle connection", func() bool { return a.closed })
		_ = i
	}
	if err := working.finish(); err != nil {
		t.Errorf("a call of a connection that is not idle: %v", err)
	}
}

func TestConnectionsWithCallsAreNotClosedForNewOnes(t *testing.T) {
	config := free()
	config.MaxConnections = 1
	running := serve(t, config, tested(&service{}))
	first, second := dial(t, running.Addr()), dial(t, running.Addr())
	call := begin(t, first)
	if _, err := testpb.NewTestServiceClient(second).UnaryCall(soon(t), &testpb.SimpleRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("a second connection: %v, want it to be refused", err)
	}
	if err := call.finish(); err != nil {
		t.Fatal(err)
	}
	if _, err := testpb.NewTestServiceClient(second).UnaryCall(soon(t), &testpb.SimpleRequest{}, grpc.WaitForReady(true)); err != nil {
		t.Errorf("a second connection once the first is idle: %v", err)
	}
}

func TestOneAddressLeavesRoomForOthers(t *testing.T) {
	config := free()
	config.MaxConnections, config.MaxAddressConnections = 3, 2
	l := listenWithin(&limits{config: config, notices: newNotices(slog.New(slog.DiscardHandler), unobserved{})}, nil)
	from := func(address string) *connection {
		server, client := net.Pipe()
		t.Cleanup(func() { client.Close() })
		return &connection{Conn: server, of: l, from: address, idle: time.Now(), calls: map[uint32]*call{1: nil}}
	}
	for i, test := range []struct {
		address string
		want    bool
	}{{"a", true}, {"a", true}, {"a", false}, {"b", true}, {"b", false}, {"a", false}} {
		if got := l.admit(from(test.address)); got != test.want {
			t.Errorf("%d: a connection from %s is let in: %v", i, test.address, got)
		}
	}
}

func TestAnAddressIsWhatOneClientHas(t *testing.T) {
	for addr, want := range map[net.Addr]string{
		&net.TCPAddr{IP: net.ParseIP("192.0.2.1"), Port: 1}:             "192.0.2.1",
		&net.TCPAddr{IP: net.ParseIP("::ffff:192.0.2.1"), Port: 2}:      "192.0.2.1",
		&net.TCPAddr{IP: net.ParseIP("2001:db8:1:2:3:4:5:6"), Port: 1}:  "2001:db8:1:2::/64",
		&net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 1, Zone: "eth0"}: "fe80::/64",
		&net.TCPAddr{IP: net.IPv6loopback, Port: 1}:                     "::1",
		&net.UnixAddr{Name: "/run/receiver.sock", Net: "unix"}:          "",
	} {
		if got := origin(addr); got != want {
			t.Errorf("%v: %q, want %q", addr, got, want)
		}
	}
}

func TestALimitThatIsReachedIsLoggedOnceInAWhile(t *testing.T) {
	config := free().withLevel(slog.LevelInfo)
	config.MaxConnections = 1
	var running *running
	log := logged(t, func() { running = serve(t, config, tested(&service{})) })
	begin(t, dial(t, running.Addr()))
	for range 5 {
		attack(t, running.Addr()).await(t, "the end of the connection", func() bool { return true })
	}
	attackers := attack(t, running.Addr())
	attackers.await(t, "the end of the connection", func() bool { return attackers.closed })
	if n := strings.Count(log(), `level=WARN msg="a limit was reached" limit=--max-connections times=1 last_address=127.0.0.1`); n != 1 {
		t.Errorf("%d lines, want 1:\n%s", n, log())
	}
}

// A client that is idle, or that does not read, does not delay a restart.
func TestIdleCallsDoNotDelayTheEnd(t *testing.T) {
	endless := &service{tail: func(stream testpb.TestService_StreamingOutputCallServer) error {
		ctx, stop := UntilDrain(stream.Context())
		defer stop()
		for ctx.Err() == nil {
			if err := stream.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: make([]byte, 100<<10)}}); err != nil {
				return err
			}
		}
		return context.Cause(ctx)
	}}
	for name, open := range map[string]func(*testing.T, *grpc.ClientConn) (recv func() error, want codes.Code){
		"a bidi stream": func(t *testing.T, conn *grpc.ClientConn) (func() error, codes.Code) {
			call := begin(t, conn)
			return func() error { _, err := call.Recv(); return err }, codes.Unavailable
		},
		"an upload": func(t *testing.T, conn *grpc.ClientConn) (func() error, codes.Code) {
			stream, err := testpb.NewTestServiceClient(conn).StreamingInputCall(soon(t))
			if err != nil {
				t.Fatal(err)
			}
			return func() error { return stream.RecvMsg(new(testpb.StreamingInputCallResponse)) }, codes.Unavailable
		},
		"reflection": func(t *testing.T, conn *grpc.ClientConn) (func() error, codes.Code) {
			stream, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(soon(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := stream.Send(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}}); err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); err != nil {
				t.Fatal(err)
			}
			return func() error { _, err := stream.Recv(); return err }, codes.Unavailable
		},
		"a tail that is not read": func(t *testing.T, conn *grpc.ClientConn) (func() error, codes.Code) {
			stream, err := testpb.NewTestServiceClient(conn).StreamingOutputCall(soon(t), &testpb.StreamingOutputCallRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); err != nil {
				t.Fatal(err)
			}
			return func() error {
				for {
					if _, err := stream.Recv(); err != nil {
						return err
					}
				}
			}, codes.Unavailable
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := free()
			config.DrainTimeout = time.Hour
			running := serve(t, config, tested(endless))
			recv, want := open(t, dial(t, running.Addr()))
			running.stop()
			if err := running.end(t); err != nil {
				t.Error(err)
			}
			if err := recv(); status.Code(err) != want {
				t.Errorf("its client gets %v, want %v", err, want)
			}
		})
	}
}

// Requests that never arrive whole do not delay a restart, nor do those that wait for
// the memory that they take.
func TestHalfSentRequestsDoNotDelayTheEnd(t *testing.T) {
	const length = megabyte
	for name, method := range map[string]string{"unary": unaryMethod, "of a stream": bidiMethod} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := free()
			config.DrainTimeout, config.ReceiveTimeout = time.Hour, time.Hour
			config.MaxMemoryBytes = 2 * messageForms * length // for two of them
			running := serve(t, config, tested(&service{}))
			a := attack(t, running.Addr())
			for stream := uint32(1); stream < 12; stream += 2 {
				a.open(t, stream, method, length)
				a.send(t, stream, make([]byte, 20<<10))
			}
			a.open(t, 13, method, 100)
			a.send(t, 13, make([]byte, 99))
			a.settle(t)
			running.stop()
			if err := running.end(t); err != nil {
				t.Error(err)
			}
			for stream := uint32(1); stream < 14; stream += 2 {
				a.await(t, "the end of the call", func() bool { return a.status[stream] != "" })
				if code := a.status[stream]; code != "14" {
					t.Errorf("the code of %d is %s, want 14, Unavailable", stream, code)
				}
			}
		})
	}
}

// A request that arrives while the server drains is waited for until half of the
// drain timeout, and then ends: nobody has handled it.
func TestARequestThatArrivesOnAndOnEndsInTime(t *testing.T) {
	t.Parallel()
	config := free()
	config.DrainTimeout, config.ReceiveTimeout = 4*time.Second, time.Hour
	running := serve(t, config, tested(&service{}))
	a := attack(t, running.Addr())
	a.open(t, 1, unaryMethod, 64<<10)
	a.settle(t)
	running.stop()
	begin := time.Now()
	for code := ""; code == ""; {
		a.send(t, 1, []byte{0})
		time.Sleep(20 * time.Millisecond)
		a.mu.Lock()
		code = a.status[1]
		a.mu.Unlock()
		if code != "" && code != "14" {
			t.Errorf("its code is %s, want 14, Unavailable", code)
		}
	}
	if took := time.Since(begin); took < config.DrainTimeout/2 {
		t.Errorf("it ended after %v, want half of %v at least", took, config.DrainTimeout)
	}
	if err := running.end(t); err != nil {
		t.Error(err)
	}
}

// Tails that wait for the memory that those hold whose clients don't read.
func TestTailsWithoutMemoryDoNotDelayTheEnd(t *testing.T) {
	t.Parallel()
	const length = megabyte
	config := free()
	config.DrainTimeout, config.ReceiveTimeout = time.Hour, time.Hour
	config.MaxMemoryBytes = messageForms * 2 * length
	endless := &service{tail: func(stream testpb.TestService_StreamingOutputCallServer) error {
		for {
			if err := stream.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: make([]byte, length)}}); err != nil {
				return err
			}
		}
	}}
	running := serve(t, config, tested(endless))
	client := testpb.NewTestServiceClient(dial(t, running.Addr()))
	for range 8 {
		if _, err := client.StreamingOutputCall(soon(t), &testpb.StreamingOutputCallRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(testTimeout); ; time.Sleep(time.Millisecond) {
		running.limits.tailMemory.mu.Lock()
		waiting := running.limits.tailMemory.waiting.Len()
		running.limits.tailMemory.mu.Unlock()
		if waiting > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no tail waits for memory")
		}
	}
	running.stop()
	if err := running.end(t); err != nil {
		t.Error(err)
	}
}

func TestAStreamThatSendsOnAndOnEndsBetweenTwoMessages(t *testing.T) {
	t.Parallel()
	config := free()
	config.DrainTimeout = 3 * time.Second
	running := serve(t, config, tested(&service{}))
	call := begin(t, dial(t, running.Addr()))
	running.stop()
	var err error
	echoed := 0
	for ; err == nil; echoed++ {
		err = call.echo()
		time.Sleep(time.Millisecond)
	}
	if errors.Is(err, io.EOF) {
		_, err = call.Recv()
	}
	if status.Code(err) != codes.Unavailable || echoed < 10 {
		t.Errorf("it ends with %v after %d messages", err, echoed)
	}
	if err := running.end(t); err != nil {
		t.Error(err)
	}
}

// However many addresses take as much as they can, at once or one after the other, they
// leave something for one that has few.
func TestCallsAreSharedAmongAddresses(t *testing.T) {
	for _, test := range []struct {
		greedy     int
		inTurn     bool
		each, most int // what the greedy have
		left       int // for one that has none
	}{
		{greedy: 1, each: 200, most: 200, left: 37},
		{greedy: 8, each: 38, most: 40, left: 21},
		{greedy: 8, inTurn: true, each: 4, most: 200, left: 3},
		{greedy: 100, each: 3, most: 4, left: 3},
	} {
		config := free()
		config.MaxCalls, config.MaxTails = 400, 400
		l := newLimits(config, newNotices(slog.New(slog.DiscardHandler), unobserved{}), t.Context())
		l.connections = listenWithin(l, nil)
		from := func(name string) *connection {
			c := &connection{of: l.connections, from: name, calls: map[uint32]*call{}}
			if !l.connections.admit(c) {
				t.Fatal("a connection is not let in")
			}
			return c
		}
		take := func(c *connection, most int) (took int) {
			for range most {
				if l.enter(c, kind{tail: true}) == nil {
					took++
				}
			}
			return took
		}
		greedy, had, all := make([]*connection, test.greedy), make([]int, test.greedy), 0
		for n := range greedy {
			greedy[n] = from(strconv.Itoa(n))
		}
		if test.inTurn {
			for n, c := range greedy {
				had[n] = take(c, config.MaxCalls)
			}
		} else {
			for range config.MaxCalls {
				for n, c := range greedy {
					had[n] += take(c, 1)
				}
			}
		}
		for n := range had {
			if had[n] < test.each || had[n] > test.most {
				t.Errorf("address %d of %d has %d calls, want %d to %d", n, test.greedy, had[n], test.each, test.most)
			}
			all += had[n]
		}
		got := take(from("modest"), config.MaxCalls)
		if got < test.left {
			t.Errorf("beside %d, one that has none gets %d calls, want %d", test.greedy, got, test.left)
		}
		if all += got; l.calls.Load() != int64(all) || l.tails.Load() != int64(all) {
			t.Errorf("%d calls and %d tails are counted, want %d", l.calls.Load(), l.tails.Load(), all)
		}
	}
}

// unread begins an attacker that gives no window for answers, and so can't read them.
func unread(t *testing.T, addr string) *attacker {
	t.Helper()
	a := attack(t, addr)
	a.settings(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	return a
}

// call sends a whole request.
func (a *attacker) call(t *testing.T, stream uint32, method string) {
	t.Helper()
	a.open(t, stream, method, 0)
	if err := a.framer.WriteData(stream, true, nil); err != nil {
		t.Fatal(err)
	}
}

func (a *attacker) settings(t *testing.T, settings ...http2.Setting) {
	t.Helper()
	if err := a.framer.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not happen", what)
		}
	}
}

// gRPC keeps an answer for which the client gives no window, after the handler has
// returned. So the call counts until then.
func TestACallCountsUntilItsAnswerIsRead(t *testing.T) {
	config := free()
	config.MaxCalls = 5 // three for one address
	handled := make(chan struct{}, 10)
	running := serve(t, config, tested(&service{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		handled <- struct{}{}
		return &testpb.SimpleResponse{Username: "x"}, nil
	}}))
	a := unread(t, running.Addr())
	for _, stream := range []uint32{1, 3, 5} {
		a.call(t, stream, unaryMethod)
		<-handled
	}
	a.call(t, 7, unaryMethod)
	a.await(t, "the end of a call too many", func() bool { return a.status[7] != "" })
	if a.status[7] != "8" {
		t.Errorf("the code of a call beside three unread answers is %s, want 8, ResourceExhausted", a.status[7])
	}
	a.settings(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000})
	a.await(t, "the answers", func() bool { return a.status[1] == "0" && a.status[3] == "0" && a.status[5] == "0" })
	eventually(t, "the end of all calls", func() bool { return running.limits.calls.Load() == 0 })
	b := unread(t, running.Addr())
	b.call(t, 1, unaryMethod)
	b.call(t, 3, unaryMethod)
	<-handled
	<-handled
	if err := b.framer.WriteRSTStream(1, http2.ErrCodeCancel); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of a call that was reset", func() bool { return running.limits.calls.Load() == 1 })
	b.Close()
	eventually(t, "the end of the calls of a closed connection", func() bool { return running.limits.calls.Load() == 0 })
}

// A client that never reads its answers is closed when there is no room for others.
func TestUnreadAnswersMakeRoom(t *testing.T) {
	config := free()
	config.MaxCalls = 5 // three for one address
	handled := make(chan struct{}, 10)
	running := serve(t, config, tested(&service{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		handled <- struct{}{}
		return &testpb.SimpleResponse{Username: "x"}, nil
	}}))
	running.limits.slowAfter = 0
	a := unread(t, running.Addr())
	for _, stream := range []uint32{1, 3, 5} {
		a.call(t, stream, unaryMethod)
		<-handled
	}
	eventually(t, "the return of the handlers", func() bool {
		c := running.limits.connections.all()[0]
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.unread == 3
	})
	if _, err := testpb.NewTestServiceClient(dial(t, running.Addr())).UnaryCall(soon(t), &testpb.SimpleRequest{}); err != nil {
		t.Errorf("another client: %v", err)
	}
	a.await(t, "the end of the connection", func() bool { return a.closed })
}

// Large answers that nobody reads share the memory that flags allow.
func TestUnreadAnswersAreBounded(t *testing.T) {
	config := free()
	config.MaxMemoryBytes = 43 * megabyte // of which one address may have those of four answers of two megabytes
	config.ReceiveTimeout = 100 * time.Millisecond
	running := serve(t, config, tested(&service{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return &testpb.SimpleResponse{Payload: &testpb.Payload{Body: make([]byte, 2*megabyte-100)}}, nil
	}}))
	a := unread(t, running.Addr())
	for n := range uint32(6) {
		a.call(t, 1+2*n, unaryMethod)
	}
	a.await(t, "the end of two", func() bool { return len(a.status) == 2 })
	for stream, code := range a.status {
		if code != "8" {
			t.Errorf("the code of call %d is %s, want 8, ResourceExhausted", stream, code)
		}
	}
	if used := used(running.limits.tailMemory); used < 31*megabyte || used > 32*megabyte {
		t.Errorf("%d bytes are held, want those of four answers", used)
	}
	a.Close()
	eventually(t, "the end of the calls", func() bool { return running.limits.calls.Load() == 0 })
	eventually(t, "the return of the memory", func() bool { return used(running.limits.tailMemory) == 0 })
}

func used(m *memory) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// A client that reads nothing of a large answer is closed once others need its memory.
func TestUnreadAnswersMakeRoomForOthers(t *testing.T) {
	config := free()
	config.MaxMemoryBytes = 10 * megabyte // of one answer
	running := serve(t, config, tested(&service{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return &testpb.SimpleResponse{Payload: &testpb.Payload{Body: make([]byte, 2*megabyte-100)}}, nil
	}}))
	running.limits.slowAfter = time.Second // the other client is faster than that
	a := unread(t, running.Addr())
	a.call(t, 1, unaryMethod)
	eventually(t, "an answer that holds memory", func() bool { return used(running.limits.tailMemory) > 0 })
	if _, err := testpb.NewTestServiceClient(dial(t, running.Addr())).UnaryCall(soon(t), &testpb.SimpleRequest{}); err != nil {
		t.Errorf("another client: %v", err)
	}
	a.await(t, "the end of the connection", func() bool { return a.closed })
}

// The server looks at calls once in a while, also while a message arrives whose handler
// is about to be woken.
func TestAMessageThatHasJustArrivedIsNotLate(t *testing.T) {
	for _, uploads := range []bool{false, true} {
		c := &call{
			Context: t.Context(), kind: kind{uploads: uploads}, of: &connection{},
			limits: newLimits(free(), newNotices(slog.New(slog.DiscardHandler), unobserved{}), t.Context()), wake: make(chan struct{}, 1),
		}
		c.waiting, c.waits = true, time.Now()
		c.arrived([]byte{0, 0, 0, 0, 1, 'x'}, !uploads)
		c.check(time.Now(), time.Time{})
		if c.cut != nil || len(c.wake) != 1 {
			t.Errorf("uploads %v: it ends with %v, woken %d times", uploads, c.cut, len(c.wake))
		}
	}
}

// What clients get wrong is answered as their mistake, and fills no log.
func TestRequestsOfNoUseFillNoLog(t *testing.T) {
	config := free().withLevel(slog.LevelInfo)
	config.MaxMessageBytes = 100
	var running *running
	log := logged(t, func() { running = serve(t, config, tested(&service{})) })
	a := attack(t, running.Addr())
	for n := range uint32(40) {
		stream, method, body := 1+2*n, []string{unaryMethod, bidiMethod}[n%2], []byte{0, 0, 0, 0, 1, 0xff} // no protobuf
		want := "3"
		if n >= 20 {
			body, want = []byte{0, 0, 0, 1, 0}, "8" // too long
		}
		a.open(t, stream, method, -1)
		a.send(t, stream, body)
		if err := a.framer.WriteData(stream, true, nil); err != nil {
			t.Fatal(err)
		}
		a.await(t, "the end of a call", func() bool { return a.status[stream] != "" })
		if got := a.status[stream]; got != want {
			t.Errorf("call %d ends with code %s, want %s", n, got, want)
		}
	}
	if text := log(); strings.Count(text, "\n") > 3 || !strings.Contains(text, "limit=--max-message-bytes") {
		t.Errorf("it logs\n%s", text)
	}
}

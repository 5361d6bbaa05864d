package bulk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

const testTimeout = time.Minute

// serve serves handlers of streams by their names, and returns a connection to them.
func serve(t *testing.T, handle func(method string, stream grpc.ServerStream) error) *grpc.ClientConn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(codec{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		method, _ := grpc.Method(stream.Context())
		return handle(method, stream)
	}))
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// receive receives the calls of the next message of a lane.
func receive(stream grpc.ServerStream) (calls []CallFrame, err error) {
	var message raw
	if err := stream.RecvMsg(&message); err != nil {
		return nil, err
	}
	return calls, ReadCalls(*message.bytes, func(c CallFrame, _ time.Duration) error {
		calls = append(calls, c)
		return nil
	})
}

// answer sends answers to calls, with the requests as their replies.
func answer(stream grpc.ServerStream, calls ...CallFrame) error {
	var message []byte
	for _, c := range calls {
		message = AppendAnswer(message, &AnswerFrame{Number: c.Number, Reply: c.Request})
	}
	return stream.SendMsg(raw{bytes: &message})
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// answers are what Done was called with.
type answers chan Answer

func (a answers) call(request string) Call {
	return Call{Request: []byte(request), Done: func(answer Answer) { a <- answer }}
}

func (a answers) next(t *testing.T) Answer {
	t.Helper()
	select {
	case answer := <-a:
		return answer
	case <-time.After(testTimeout):
		t.Fatal("there is no answer")
		return Answer{}
	}
}

func TestAWindowBoundsWhatIsUnderWay(t *testing.T) {
	release := make(chan struct{})
	conn := serve(t, func(_ string, stream grpc.ServerStream) error {
		for {
			calls, err := receive(stream)
			if err != nil {
				return nil
			}
			<-release
			if err := answer(stream, calls...); err != nil {
				return err
			}
		}
	})
	for name, option := range map[string]Option{"calls": Window(2, 1<<20), "bytes": Window(100, 2*(callOverhead+4))} {
		lane, all := Open(conn, "/a.B/C", option), make(answers, 10)
		ctx, cancel := context.WithCancel(soon(t))
		failed := make(chan error, 1)
		go func() {
			failed <- lane.Send(ctx, all.call("1234"), all.call("1234"), all.call("1234"), all.call("1234"))
		}()
		select {
		case err := <-failed:
			t.Fatalf("%s: Send did not wait: %v", name, err)
		case <-time.After(20 * time.Millisecond):
		}
		cancel()
		var not *NotTaken
		if err := <-failed; !errors.As(err, &not) || not.Calls != 2 || status.Code(err) != codes.Canceled {
			t.Errorf("%s: %v", name, err)
		}
		waits := make(chan error, 1)
		go func() { waits <- lane.Send(soon(t), all.call(strings.Repeat("large", 1000))) }()
		release <- struct{}{}
		for range 2 {
			if a := all.next(t); a.Err != nil {
				t.Error(a.Err)
			}
		}
		if err := <-waits; err != nil {
			t.Error(err)
		}
		release <- struct{}{}
		if a := all.next(t); a.Err != nil || len(a.Reply) != 5000 {
			t.Errorf("%s: %v", name, a.Err)
		}
		if err := lane.Close(); err != nil {
			t.Error(err)
		}
		if err := lane.Send(soon(t), all.call("")); !errors.As(err, &not) || not.Calls != 1 {
			t.Errorf("%s: a closed lane: %v", name, err)
		}
	}
}

func TestACallWithoutAnAnswerEndsByItsTimeout(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	singles := atomic.Int64{}
	conn := serve(t, func(method string, stream grpc.ServerStream) error {
		if !strings.HasSuffix(method, Suffix) {
			singles.Add(1)
			var request raw
			return errors.Join(stream.RecvMsg(&request), stream.SendMsg(request))
		}
		<-hold // as a proxy that does not pass on streams
		return nil
	})
	lane, all := Open(conn, "/a.B/C", Timeout(50*time.Millisecond)), make(answers, 1)
	if err := lane.Send(soon(t), all.call("1")); err != nil {
		t.Fatal(err)
	}
	if a := all.next(t); status.Code(a.Err) != codes.DeadlineExceeded || !a.Sent {
		t.Errorf("%+v", a)
	}
	for singles.Load() == 0 {
		if err := lane.Send(soon(t), all.call("2")); err != nil {
			t.Fatal(err)
		}
		all.next(t)
	}
	if err := lane.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhatALeavingServerHasNotTakenIsSentAgain(t *testing.T) {
	var streams atomic.Int64
	conn := serve(t, func(_ string, stream grpc.ServerStream) error {
		first := streams.Add(1) == 1
		for {
			calls, err := receive(stream)
			if err != nil {
				return nil
			}
			if first {
				message := AppendTaken(nil, 1)
				message = AppendAnswer(message, &AnswerFrame{Number: calls[0].Number, Reply: []byte("first")})
				_ = stream.SendMsg(raw{bytes: &message})
				return status.Error(codes.Unavailable, "stopping")
			}
			if err := answer(stream, calls...); err != nil {
				return err
			}
		}
	})
	lane, all := Open(conn, "/a.B/C"), make(answers, 10)
	if err := lane.Send(soon(t), all.call("1"), all.call("2"), all.call("3")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"first", "2", "3"} {
		if a := all.next(t); a.Err != nil || string(a.Reply) != want {
			t.Errorf("%q, %v, want %q", a.Reply, a.Err, want)
		}
	}
	_ = lane.Close()
}

func TestAnotherTokenGoesWithAnotherStream(t *testing.T) {
	refused, err := proto.Marshal(status.New(codes.Unauthenticated, "no key").Proto())
	if err != nil {
		t.Fatal(err)
	}
	var tokens atomic.Int64
	conn := serve(t, func(_ string, stream grpc.ServerStream) error {
		token := metadata.ValueFromIncomingContext(stream.Context(), "token")[0]
		if token == "1" {
			_, _ = receive(stream) // otherwise the call may go by the next stream at once
			return status.Error(codes.Unauthenticated, "no key")
		}
		for {
			calls, err := receive(stream)
			if err != nil {
				return nil
			}
			if token == "2" {
				message := AppendAnswer(nil, &AnswerFrame{Number: calls[0].Number, Status: refused})
				err = stream.SendMsg(raw{bytes: &message})
			} else {
				err = answer(stream, calls...)
			}
			if err != nil {
				return err
			}
		}
	})
	lane, all := Open(tokenConn{conn, &tokens}, "/a.B/C"), make(answers, 1)
	for i, want := range []codes.Code{codes.Unauthenticated, codes.Unauthenticated, codes.OK} {
		if err := lane.Send(soon(t), all.call("1")); err != nil {
			t.Fatal(err)
		}
		if a := all.next(t); status.Code(a.Err) != want || a.Sent != (i > 0) {
			t.Errorf("call %d: %+v", i, a)
		}
	}
	_ = lane.Close()
}

// tokenConn sends another token with each stream.
type tokenConn struct {
	*grpc.ClientConn
	tokens *atomic.Int64
}

func (c tokenConn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	return c.ClientConn.NewStream(metadata.AppendToOutgoingContext(ctx, "token", fmt.Sprint(c.tokens.Add(1))), desc, method, options...)
}

func TestALaneWaitsWhenTheServerAsksItTo(t *testing.T) {
	refused, err := proto.Marshal(status.New(codes.ResourceExhausted, "too many").Proto())
	if err != nil {
		t.Fatal(err)
	}
	const wait = 300 * time.Millisecond
	var messages, early atomic.Int64
	conn := serve(t, func(_ string, stream grpc.ServerStream) error {
		asked := time.Time{}
		for {
			calls, err := receive(stream)
			if err != nil {
				return nil
			}
			if messages.Add(1) > 1 {
				if time.Since(asked) < wait {
					early.Add(1)
				}
				if err := answer(stream, calls...); err != nil {
					return err
				}
				continue
			}
			asked = time.Now()
			message := []byte{}
			for _, c := range calls {
				message = AppendAnswer(message, &AnswerFrame{Number: c.Number, Status: refused, Trailer: metadata.Pairs("grpc-retry-pushback-ms", fmt.Sprint(wait.Milliseconds()))})
			}
			if err := stream.SendMsg(raw{bytes: &message}); err != nil {
				return err
			}
		}
	})
	lane, all := Open(conn, "/a.B/C"), make(answers, 1)
	if err := lane.Send(soon(t), all.call("1")); err != nil {
		t.Fatal(err)
	}
	if a := all.next(t); a.RetryAfter != wait || status.Code(a.Err) != codes.ResourceExhausted {
		t.Errorf("%+v", a)
	}
	if err := lane.Send(soon(t), all.call("2")); err != nil {
		t.Fatal(err)
	}
	if a := all.next(t); a.Err != nil || early.Load() > 0 {
		t.Errorf("%+v, %d messages came before the server asked for them", a, early.Load())
	}
	_ = lane.Close()
}

func TestAnAbandonedLaneEndsItsCalls(t *testing.T) {
	received := make(chan struct{}, 1)
	conn := serve(t, func(_ string, stream grpc.ServerStream) error {
		_, _ = receive(stream)
		received <- struct{}{}
		<-stream.Context().Done()
		return nil
	})
	lane, all := Open(conn, "/a.B/C"), make(answers, 1)
	if err := lane.Send(soon(t), all.call("1")); err != nil {
		t.Fatal(err)
	}
	<-received
	lane.Abandon()
	if a := all.next(t); status.Code(a.Err) != codes.Canceled {
		t.Errorf("%+v", a)
	}
}

func TestManySendersShareALane(t *testing.T) {
	conn := serve(t, func(_ string, stream grpc.ServerStream) error {
		for {
			calls, err := receive(stream)
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if err := answer(stream, calls...); err != nil {
				return err
			}
		}
	})
	lane := Open(conn, "/a.B/C", Window(50, 1<<20))
	var all sync.WaitGroup
	var wrong atomic.Int64
	for i := range 20 {
		all.Go(func() {
			for j := range 200 {
				all.Add(1)
				request := fmt.Sprint(i, " ", j)
				if err := lane.Send(soon(t), Call{Request: []byte(request), Done: func(a Answer) {
					defer all.Done()
					if a.Err != nil || string(a.Reply) != request {
						wrong.Add(1)
					}
				}}); err != nil {
					t.Error(err)
					all.Done()
				}
			}
		})
	}
	all.Wait()
	if wrong.Load() > 0 {
		t.Errorf("%d answers are wrong", wrong.Load())
	}
	_ = lane.Close()
}

func TestAServerThatStopsReadingIsLeft(t *testing.T) {
	var streams atomic.Int64
	conn := serve(t, func(_ string, stream grpc.ServerStream) error {
		first := streams.Add(1) == 1
		for {
			calls, err := receive(stream)
			if err != nil {
				return nil
			}
			if err := answer(stream, calls...); err != nil {
				return err
			}
			if first {
				<-stream.Context().Done()
				return nil
			}
		}
	})
	lane, all := Open(conn, "/a.B/C", Timeout(200*time.Millisecond)), make(answers, 100)
	if err := lane.Send(soon(t), all.call("1")); err != nil {
		t.Fatal(err)
	}
	all.next(t)
	for range 100 { // more than the stream has room for
		if err := lane.Send(soon(t), all.call(strings.Repeat("x", 8<<10))); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		all.next(t)
	}
	for {
		if err := lane.Send(soon(t), all.call("2")); err != nil {
			t.Fatal(err)
		}
		if a := all.next(t); a.Err == nil {
			break
		}
	}
	_ = lane.Close()
}

func TestASingleRequestIsItsCallers(t *testing.T) {
	request := []byte(strings.Repeat("x", 2<<10))
	sent, err := codec{}.Marshal(raw{bytes: &request})
	if err != nil {
		t.Fatal(err)
	}
	request[0] = 'y'
	if sent.Materialize()[0] != 'x' {
		t.Error("what is sent changes with the request")
	}
}

func TestAStreamThatCantBeOpenedIsUnavailable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // that never answers
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lane, all := Open(conn, "/a.B/C", Timeout(100*time.Millisecond)), make(answers, 1)
	if err := lane.Send(soon(t), all.call("1")); err != nil {
		t.Fatal(err)
	}
	if a := all.next(t); status.Code(a.Err) != codes.Unavailable || a.Sent {
		t.Errorf("%+v", a)
	}
	_ = lane.Close()
}

func TestOnlyAnswersResetTheBackOff(t *testing.T) {
	lane := Open(nil, "/a.B/C")
	lane.failed = 3
	s := &stream{lane: lane, pending: map[uint64]*taken{}}
	if err := s.answer(AppendTaken(nil, 0)); err != nil || s.brought || lane.failed < 3 {
		t.Errorf("%v, brought %v, failed %d", err, s.brought, lane.failed)
	}
}

// Answers to calls that there are not take no memory, and metadata no more than gRPC allows.
func TestAnswersOfAServerGoneWrongTakeLittleMemory(t *testing.T) {
	lane, all := Open(nil, "/a.B/C"), make(answers, 2)
	s := &stream{lane: lane, pending: map[uint64]*taken{}}
	lane.calls = 2
	for number := range uint64(2) {
		s.pending[number+1] = &taken{Call: all.call("")}
	}
	message := AppendAnswer(nil, &AnswerFrame{Number: 1})
	for range 100_000 {
		message = AppendAnswer(AppendAnswer(message, &AnswerFrame{Number: 1}), &AnswerFrame{Number: 9})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := s.answer(message)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; err != nil || len(all) != 1 || took > uint64(len(message)) {
		t.Errorf("%v: %d calls are answered, with %d bytes of memory", err, len(all), took)
	}
	pairs := bytes.Repeat([]byte{fieldHeader<<3 | 2, 0}, mostPairs/pairOverhead+1)
	message = protowire.AppendBytes(protowire.AppendTag(nil, fieldElements, protowire.BytesType), pairs)
	message = append(AppendAnswer(nil, &AnswerFrame{Number: 2}), message...)
	if err := s.answer(message); err != ErrFrame {
		t.Errorf("%d pairs of metadata: %v", len(pairs)/2, err)
	}
	if len(all) != 2 { // what came before is an answer
		t.Errorf("%d calls are answered", len(all))
	}
}

// A server or a proxy that handles single calls, and no streams, is found out.
func TestWhereStreamsFailCallsAreMadeSingly(t *testing.T) {
	for name, end := range map[string]func(grpc.ServerStream) error{
		"says OK to all":  func(grpc.ServerStream) error { return nil },
		"forbids streams": func(grpc.ServerStream) error { return status.Error(codes.PermissionDenied, "no such path") },
		"cuts them":       func(grpc.ServerStream) error { return status.Error(codes.Unavailable, "502") },
		"resets them":     func(grpc.ServerStream) error { return status.Error(codes.Internal, "reset") },
		"takes no calls": func(stream grpc.ServerStream) error {
			none := AppendTaken(nil, 0)
			return stream.SendMsg(raw{bytes: &none})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var streams atomic.Int64
			conn := serve(t, func(method string, stream grpc.ServerStream) error {
				if strings.HasSuffix(method, Suffix) {
					streams.Add(1)
					return end(stream)
				}
				var message raw
				if err := stream.RecvMsg(&message); err != nil {
					return err
				}
				return stream.SendMsg(message)
			})
			lane, all := Open(conn, "/a.B/C"), make(answers, 1)
			for tries := 0; ; tries++ {
				if err := lane.Send(soon(t), all.call("x")); err != nil {
					t.Fatal(err)
				}
				a := all.next(t)
				if a.Err == nil {
					break
				}
				if status.Code(a.Err) != codes.Unavailable || tries > 5 {
					t.Fatalf("after %d tries: %v", tries, a.Err)
				}
			}
			if n := streams.Load(); n > 5 {
				t.Errorf("%d streams were opened", n)
			}
			_ = lane.Close()
		})
	}
}

// Only a reply says that a call was handled.
func TestAStatusIsNoReply(t *testing.T) {
	for name, encoded := range map[string]string{"none": "", "OK": "\x12\x04fine", "not one": "\xff"} {
		if a := (&AnswerFrame{Status: []byte(encoded)}).answer(); status.Code(a.Err) != codes.Internal {
			t.Errorf("%s: %v", name, a.Err)
		}
	}
}

func TestOnlyIDsAndTracesGoByALane(t *testing.T) {
	if !Carries(metadata.Pairs("traceparent", "1", "x-request-id", "2")) || Carries(metadata.Pairs("authorization", "1")) {
		t.Error("a lane carries other metadata than it should")
	}
}

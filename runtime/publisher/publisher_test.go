package publisher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/bulk"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

func TestEachKindOfRPCTakesEventsOnceAndInOrder(t *testing.T) {
	for name, rpc := range rpcs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			p := open(t, t.TempDir(), s, rpc)
			want := map[string]int{}
			published := map[string]bool{}
			for n := range 20 {
				for _, subject := range []string{"a", "b"} {
					id, err := p.Publish(t.Context(), newMessage("", subject, n))
					if err != nil {
						t.Fatal(err)
					}
					published[id] = true
					want[subject]++
				}
			}
			flush(t, p)
			s.checkOrder(want)
			for id := range published {
				if _, ok := s.ids[id]; !ok {
					t.Errorf("the id %s was returned, and no event has it", id)
				}
			}
			if stats := p.Stats(); stats.Sent != 40 || stats.Pending != 0 || stats.Bytes != 0 || !stats.Oldest.IsZero() {
				t.Errorf("%+v", stats)
			}
		})
	}
}

func TestTheRPCThatTakesMostEventsIsUsedUnlessAnotherIsNamed(t *testing.T) {
	routes := []Route{route(rpcs["both stream"]), route(rpcs["single"]), route(rpcs["batch"]), route(rpcs["client stream"])}
	for _, test := range []struct{ by, want string }{
		{"", "/test.v1.Events/PutMany"},
		{"/test.v1.Events/PutBoth", "/test.v1.Events/PutBoth"},
		{"/test.v1.Events/Put", "/test.v1.Events/Put"},
	} {
		var by []string
		if test.by != "" {
			by = []string{test.by}
		}
		chosen, err := choose(routes, by)
		if err != nil || chosen["google.rpc.ErrorInfo"].Name != test.want {
			t.Errorf("by %q: %v, %v", test.by, chosen, err)
		}
	}
	if _, err := OpenInMemory("localhost:1", routes, By("/test.v1.Events/Get")); err == nil || !strings.Contains(err.Error(), "/test.v1.Events/PutBoth") {
		t.Errorf("by an RPC that takes none: %v", err)
	}
}

func TestAnEventKeepsTheIDThatItHas(t *testing.T) {
	s := newService(t)
	p := open(t, t.TempDir(), s, rpcs["batch"])
	own := newMessage("mine", "a", 0)
	if id, err := p.Publish(t.Context(), own); id != "mine" || err != nil {
		t.Errorf("%q, %v", id, err)
	}
	given := newMessage("", "a", 1)
	if id, err := p.Publish(client.WithEventID(t.Context(), "given"), given); id != "given" || err != nil {
		t.Errorf("%q, %v", id, err)
	}
	if given.Reason != "" {
		t.Error("the caller's message was changed")
	}
	if err := p.PublishAll(client.WithEventID(t.Context(), "all"), newMessage("", "a", 2), newMessage("own", "a", 3), newMessage("", "a", 4)); err != nil {
		t.Error(err)
	}
	flush(t, p)
	s.checkOrder(map[string]int{"a": 5})
	for _, id := range []string{"mine", "given", "all/1", "own", "all/3"} {
		if _, ok := s.ids[id]; !ok {
			t.Errorf("no event has the id %s: %v", id, s.ids)
		}
	}
}

func TestNothingIsLostAndNothingStoredTwiceWhateverFails(t *testing.T) {
	for _, name := range []string{"single", "single without id", "batch", "both stream"} {
		rpc := rpcs[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			s.fail = func([]string) error {
				switch rand.IntN(8) {
				case 0:
					return status.Error(codes.Unavailable, "not now")
				case 1:
					return status.Error(codes.Internal, "something is wrong")
				}
				return nil
			}
			s.lose = func() bool { return rand.IntN(8) == 0 }
			dir := t.TempDir()
			next := map[string]int{}
			// Each process publishes some events, and dies at any moment.
			for range 5 {
				p := open(t, dir, s, rpc)
				var all sync.WaitGroup
				var mu sync.Mutex
				for _, subject := range []string{"a", "b", "c", "d"} {
					all.Go(func() {
						for range 25 {
							mu.Lock()
							n := next[subject]
							mu.Unlock()
							if _, err := p.Publish(context.Background(), newMessage(fmt.Sprintf("%s-%d", subject, n), subject, n)); err != nil {
								return // and the next process publishes it again
							}
							mu.Lock()
							next[subject]++
							mu.Unlock()
						}
					})
				}
				time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
				if rand.IntN(2) == 0 {
					all.Wait()
				}
				p.crash()
				all.Wait()
			}
			s.set(func() { s.fail, s.lose = nil, nil })
			p := open(t, dir, s, rpc)
			for subject, n := range next { // what was under way may be there or not
				if _, err := p.Publish(t.Context(), newMessage(fmt.Sprintf("%s-%d", subject, n), subject, n)); err != nil {
					t.Fatal(err)
				}
				next[subject]++
			}
			flush(t, p)
			s.checkOrder(next)
		})
	}
}

func TestWhatIsRefusedIsInAFileWithTheReason(t *testing.T) {
	for name, rpc := range rpcs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			refuse := func(ids []string) error {
				if slices.ContainsFunc(ids, func(id string) bool { return strings.HasPrefix(id, "bad") }) {
					return status.Error(codes.InvalidArgument, "it is \"bad\"")
				}
				return nil
			}
			s.fail = refuse
			dir := t.TempDir()
			p := open(t, dir, s, rpc)
			var messages []proto.Message
			for n := range 30 {
				id, subject := fmt.Sprint("good-", n), "a"
				if n%10 == 3 {
					id, subject = fmt.Sprint("bad-", n), "bad"
				}
				messages = append(messages, newMessage(id, subject, n))
			}
			if err := p.PublishAll(t.Context(), messages...); err != nil {
				t.Fatal(err)
			}
			flush(t, p)
			if s.stored() != 27 {
				t.Errorf("%d events are stored, want 27", s.stored())
			}
			file, err := os.Open(filepath.Join(dir, refusedName))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			var lines []refusedEvent
			if err := eachRefused(file, func(line *refusedEvent, _ int64) error { lines = append(lines, *line); return nil }); err != nil {
				t.Fatal(err)
			}
			if len(lines) != 3 {
				t.Fatalf("%d lines: %+v", len(lines), lines)
			}
			for i, id := range []string{"bad-3", "bad-13", "bad-23"} {
				line := lines[i]
				if line.ID != id || line.Subject != "bad" || line.Type != "tested" || line.RPC != rpc.Name || line.Code != "InvalidArgument" ||
					line.Reason != `it is "bad"` || line.Message != "google.rpc.ErrorInfo" || !strings.Contains(string(line.Event), id) {
					t.Errorf("line %d: %+v", i+1, line)
				}
			}
			if stats := p.Stats(); stats.Refused != 3 || stats.Sent != 27 {
				t.Errorf("%+v", stats)
			}

			// They are published again, refused again, and taken at last.
			if n, err := p.Redrive(t.Context()); n != 3 || err != nil {
				t.Fatal(n, err)
			}
			flush(t, p)
			if stats := p.Stats(); stats.Refused != 6 {
				t.Errorf("%+v", stats)
			}
			s.set(func() { s.fail = nil })
			if n, err := p.Redrive(t.Context()); n != 3 || err != nil {
				t.Fatal(n, err)
			}
			flush(t, p)
			if s.stored() != 30 {
				t.Errorf("%d events are stored, want 30", s.stored())
			}
			if n, err := p.Redrive(t.Context()); n != 0 || err != nil {
				t.Fatal(n, err)
			}
		})
	}
}

// What is refused is decided, though another event of its record is not, and the process dies.
func TestARefusedEventIsNotSentAgainAfterADeath(t *testing.T) {
	s := newService(t)
	s.fail = func(ids []string) error {
		if ids[0] == "bad" {
			return status.Error(codes.AlreadyExists, "another event has it")
		}
		return status.Error(codes.Unavailable, "not now")
	}
	dir := t.TempDir()
	p := open(t, dir, s, rpcs["single"])
	if err := p.PublishAll(t.Context(), newMessage("bad", "", 0), newMessage("good", "", 1)); err != nil {
		t.Fatal(err)
	}
	for p.Stats().Refused == 0 {
		time.Sleep(time.Millisecond)
	}
	p.crash()
	s.set(func() { s.fail = nil })
	p = open(t, dir, s, rpcs["single"])
	flush(t, p)
	if stats := p.Stats(); stats.Sent != 1 || stats.Refused != 0 || s.stored() != 1 {
		t.Errorf("%+v, and %d are stored", stats, s.stored())
	}
}

func TestABatchThatIsTooLargeForTheServerIsSentInSmallerOnes(t *testing.T) {
	s := newService(t)
	largest := 0
	var takesAll atomic.Bool
	s.fail = func(ids []string) error {
		if len(ids) > 40 && !takesAll.Load() {
			return status.Error(codes.InvalidArgument, "there are more than 40 events")
		}
		largest = max(largest, len(ids))
		return nil
	}
	p := open(t, t.TempDir(), s, rpcs["batch"])
	var messages []proto.Message
	for n := range 2000 {
		messages = append(messages, newMessage("", fmt.Sprint(n%100), n/100))
	}
	if err := p.PublishAll(t.Context(), messages...); err != nil {
		t.Fatal(err)
	}
	flush(t, p)
	if stats := p.Stats(); stats.Sent != 2000 || stats.Refused != 0 {
		t.Errorf("%+v", stats)
	}
	if largest < 10 {
		t.Errorf("the largest batch after those that were too large has %d events", largest)
	}
	takesAll.Store(true)
	for n := range 4000 {
		messages = append(messages, newMessage("", fmt.Sprint(n%100), 20+n/100))
	}
	if err := p.PublishAll(t.Context(), messages[2000:]...); err != nil {
		t.Fatal(err)
	}
	flush(t, p)
	if largest <= 40 {
		t.Errorf("since the server takes all, the largest batch has %d events", largest)
	}
	s.checkOrder(map[string]int{"0": 60, "99": 60})
}

// A stream that is answered before the service has read it has not stored all its events.
func TestAStreamThatIsAnsweredEarlyIsSentAgain(t *testing.T) {
	for _, name := range []string{"client stream", "client stream of batches"} {
		s := newService(t)
		early := 0
		s.early = func() bool { early++; return early == 1 }
		p := open(t, t.TempDir(), s, rpcs[name])
		var messages []proto.Message
		for n := range 100 {
			message := newMessage("", "a", n)
			message.Metadata["filler"] = strings.Repeat("x", 8<<10)
			messages = append(messages, message)
		}
		if err := p.PublishAll(t.Context(), messages...); err != nil {
			t.Fatal(err)
		}
		flush(t, p)
		s.checkOrder(map[string]int{"a": 100})
	}
}

// The id of an event without a field for it depends on the kind of the RPC.
func TestAnEventStaysWithTheRPCThatItWasPublishedFor(t *testing.T) {
	s := newService(t)
	s.lose = func() bool { return true }
	dir := t.TempDir()
	routes := []Route{route(rpcs["single without id"]), route(rpcs["batch without ids"])}
	start := func(by string) *Publisher {
		p, err := Open(t.Context(), dir, s.address, routes, quiet(t), By(by))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := start(routes[1].Name)
	id, err := p.Publish(t.Context(), newMessage("", "a", 0))
	if err != nil {
		t.Fatal(err)
	}
	for s.stored() == 0 {
		time.Sleep(time.Millisecond)
	}
	p.crash()
	s.set(func() { s.lose = nil })
	p = start(routes[0].Name)
	flush(t, p)
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, ok := s.ids[id]; !ok || s.stored() != 1 {
		t.Errorf("%d are stored of the event %s: %v", s.stored(), id, s.ids)
	}
}

// An event that always fails is tried less and less often, whatever others do, and does not
// keep those back that are in one call with it.
func TestAnEventThatFailsLeavesOthersAlone(t *testing.T) {
	for _, name := range []string{"single", "batch"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			tries := 0
			s.fail = func(ids []string) error {
				if slices.Contains(ids, "bad") {
					tries++
					return status.Error(codes.Internal, "it can't be stored")
				}
				return nil
			}
			var log strings.Builder
			p := open(t, t.TempDir(), s, rpcs[name], Logger(slog.New(slog.NewTextHandler(&log, nil))))
			messages := []proto.Message{newMessage("bad", "bad", 0)}
			for n := range 20 {
				messages = append(messages, newMessage(fmt.Sprint("with-", n), "with", n))
			}
			if err := p.PublishAll(t.Context(), messages...); err != nil {
				t.Fatal(err)
			}
			sent := func(want int64) {
				t.Helper()
				for deadline := time.Now().Add(time.Minute); p.Stats().Sent < want; time.Sleep(time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatalf("%+v, want %d sent", p.Stats(), want)
					}
				}
			}
			sent(20)
			for n := range 300 {
				if _, err := p.Publish(t.Context(), newMessage("", "later", n)); err != nil {
					t.Fatal(err)
				}
				sent(21 + int64(n))
			}
			p.crash()
			if tries > 100 { // of 300 successes
				t.Errorf("it was tried %d times", tries)
			}
			if warned := strings.Count(log.String(), "level=WARN"); warned != 1 {
				t.Errorf("%d warnings: %s", warned, log.String())
			}
		})
	}
}

// ResourceExhausted without a time is how overloaded servers answer, and also those for
// which a request is too large.
func TestAnOverloadedServerRefusesNoEventForGood(t *testing.T) {
	for _, name := range []string{"single", "batch", "client stream"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			overloaded := 0
			s.fail = func(ids []string) error {
				if ids[0] == "large" {
					return status.Error(codes.ResourceExhausted, "the request is too large")
				}
				if overloaded++; overloaded <= 3 {
					return status.Error(codes.ResourceExhausted, "there is no room")
				}
				return nil
			}
			p := open(t, t.TempDir(), s, rpcs[name])
			large := newMessage("large", "", 0)
			large.Metadata["filler"] = strings.Repeat("x", 100<<10)
			messages := []proto.Message{large}
			for n := range 8 {
				messages = append(messages, newMessage(fmt.Sprint("good-", n), fmt.Sprint(n), 0))
			}
			if err := p.PublishAll(t.Context(), messages...); err != nil {
				t.Fatal(err)
			}
			flush(t, p)
			if stats := p.Stats(); stats.Sent != 8 || stats.Refused != 1 {
				t.Errorf("%+v", stats)
			}
		})
	}
}

func TestOnlyTheSourceThatIsPushedBackWaits(t *testing.T) {
	// On a busy machine a short wait may be over before the other event is sent.
	for wait := 300 * time.Millisecond; !otherIsFirst(t, wait); wait *= 4 {
		if wait > 10*time.Second {
			t.Fatal("the event of another source waits, too")
		}
	}
}

// otherIsFirst reports whether an event of another source is stored while a source waits as
// the server has asked it to.
func otherIsFirst(t *testing.T, wait time.Duration) (first bool) {
	t.Helper()
	s := newService(t)
	limited, err := status.New(codes.ResourceExhausted, "too many of this source").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
	if err != nil {
		t.Fatal(err)
	}
	var calls []time.Time
	s.fail = func(ids []string) error {
		if !strings.HasPrefix(ids[0], "much") {
			return nil
		}
		if calls = append(calls, time.Now()); len(calls) == 1 {
			return limited.Err()
		}
		return nil
	}
	p := open(t, t.TempDir(), s, rpcs["single"])
	much := newMessage("much", "a", 0)
	much.Metadata["source"] = "much"
	if _, err := p.Publish(t.Context(), much); err != nil {
		t.Fatal(err)
	}
	for p.Stats().Retries == 0 {
		time.Sleep(time.Millisecond)
	}
	later := newMessage("much-2", "b", 0)
	later.Metadata["source"] = "much"
	other := newMessage("other", "a", 0)
	if err := p.PublishAll(t.Context(), later, other); err != nil {
		t.Fatal(err)
	}
	for p.Stats().Sent == 0 {
		time.Sleep(time.Millisecond)
	}
	s.set(func() { first = s.events[0].Reason == "other" })
	flush(t, p)
	if len(calls) != 3 || calls[1].Sub(calls[0]) < wait {
		t.Errorf("calls of the source at %v", calls)
	}
	return first
}

// A server that asks for a thousand years is asked again within an hour.
func TestNoServerStopsASourceForever(t *testing.T) {
	s := newService(t)
	forever, err := status.New(codes.ResourceExhausted, "later").WithDetails(&errdetails.RetryInfo{RetryDelay: &durationpb.Duration{Seconds: math.MaxInt64}})
	if err != nil {
		t.Fatal(err)
	}
	s.fail = func([]string) error { return forever.Err() }
	p := open(t, t.TempDir(), s, rpcs["single"])
	if _, err := p.Publish(t.Context(), newMessage("", "a", 0)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return p.Stats().Retries > 0 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = p.Close(ctx) // now nothing changes the schedule
	if s.calls != 1 || len(p.delayed) != 1 {
		t.Fatalf("%d calls, %d events wait", s.calls, len(p.delayed))
	}
	for what, until := range map[string]time.Time{"the event": p.delayed[0].until, "the source": p.held[""]} {
		if wait := time.Until(until); wait < 50*time.Minute || wait > 80*time.Minute {
			t.Errorf("%s waits for %s", what, wait)
		}
	}
}

// A large event does not wait for the answers to others, nor those behind it for that.
func TestALargeEventIsSentBesideOthers(t *testing.T) {
	s := &service{address: "unix:" + filepath.Join(t.TempDir(), "s")}
	answer := make(chan struct{})
	listener, err := net.Listen("unix", strings.TrimPrefix(s.address, "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(raw{}), grpc.MaxRecvMsgSize(math.MaxInt32), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		if method, _ := grpc.MethodFromServerStream(stream); strings.HasSuffix(method, bulk.Suffix) {
			return status.Error(codes.Unimplemented, "there are no lanes")
		}
		var request []byte
		if err := stream.RecvMsg(&request); err != nil {
			return err
		}
		if bytes.Contains(request, []byte("waits")) {
			<-answer
		}
		return stream.SendMsg(&[]byte{})
	}))
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	p := open(t, t.TempDir(), s, rpcs["single"])
	large := newMessage("large", "b", 0)
	large.Metadata["filler"] = strings.Repeat("x", 10<<20)
	for _, message := range []proto.Message{newMessage("waits", "a", 0), large, newMessage("small", "c", 0)} {
		if _, err := p.Publish(t.Context(), message); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, func() bool { return p.Stats().Sent == 2 })
	close(answer)
	flush(t, p)
}

// waitFor waits until a condition holds.
func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen")
		}
	}
}

func TestAFullSpoolRefusesOrBlocks(t *testing.T) {
	s := newService(t)
	s.fail = func([]string) error { return status.Error(codes.Unavailable, "not now") }
	for policy, want := range map[Policy]error{Refuse: ErrFull, Block: context.Canceled} {
		p := open(t, t.TempDir(), s, rpcs["single"], MaxBytes(1000), WhenFull(policy))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			defer cancel()
			for waits := false; !waits && ctx.Err() == nil; time.Sleep(time.Millisecond) {
				p.mu.Lock()
				waits = p.room != nil
				p.mu.Unlock()
			}
		}()
		var err error
		published := 0
		for err == nil {
			if _, err = p.Publish(ctx, newMessage("", "a", published)); err == nil {
				published++
			}
		}
		if !errors.Is(err, want) || !errors.Is(err, ErrFull) {
			t.Errorf("policy %d: %v", policy, err)
		}
		if stats := p.Stats(); stats.Pending != int64(published) || published < 3 {
			t.Errorf("%d were published: %+v", published, stats)
		}
	}
	p := open(t, t.TempDir(), s, rpcs["single"], MaxAge(50*time.Millisecond), WhenFull(Refuse))
	if _, err := p.Publish(t.Context(), newMessage("", "a", 0)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(60 * time.Millisecond)
	if _, err := p.Publish(t.Context(), newMessage("", "a", 1)); !errors.Is(err, ErrFull) {
		t.Errorf("an old event is there: %v", err)
	}
	if _, err := p.Publish(t.Context(), newMessage("", strings.Repeat("a", 2<<20), 1)); err == nil {
		t.Error("there is room for more than 1 GiB")
	}
}

func TestWhatIsBlockedGoesOnWhenThereIsRoom(t *testing.T) {
	s := newService(t)
	p := open(t, t.TempDir(), s, rpcs["single"], MaxBytes(1000))
	for n := range 200 {
		if _, err := p.Publish(t.Context(), newMessage("", "a", n)); err != nil {
			t.Fatal(err)
		}
	}
	flush(t, p)
	s.checkOrder(map[string]int{"a": 200})
}

func TestMoreThanFitsInMemoryIsReadFromTheDisk(t *testing.T) {
	for _, name := range []string{"single", "batch"} {
		s := newService(t)
		s.server.Stop()
		window := func(s *settings) { s.window = 10_000 }
		dir := t.TempDir()
		p := open(t, dir, s, rpcs[name], window)
		const each = 300
		for n := range each {
			var messages []proto.Message
			for subject := range 10 {
				messages = append(messages, newMessage("", fmt.Sprint(subject), n))
			}
			if err := p.PublishAll(t.Context(), messages...); err != nil {
				t.Fatal(err)
			}
			if n == each/2 {
				p.crash()
				p = open(t, dir, s, rpcs[name], window)
				if stats := p.Stats(); stats.Pending != 10*(each/2+1) {
					t.Errorf("%+v", stats)
				}
			}
		}
		p.mu.Lock()
		if p.spool.window > 30_000 {
			t.Errorf("%d bytes of events are in memory", p.spool.window)
		}
		p.mu.Unlock()
		s.start()
		flush(t, p)
		s.checkOrder(map[string]int{"0": each, "9": each})
		s.server.Stop()
	}
}

func TestCloseSaysWhatIsLeftAndTheNextOpenSendsIt(t *testing.T) {
	s := newService(t)
	s.fail = func([]string) error { return status.Error(codes.PermissionDenied, "the key is revoked") }
	dir := t.TempDir()
	p := open(t, dir, s, rpcs["single"])
	for n := range 3 {
		if _, err := p.Publish(t.Context(), newMessage("", "a", n)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var left *Left
	if err := p.Close(ctx); !errors.As(err, &left) || left.Events != 3 || left.Bytes < 3 || !left.InDir || left.Oldest.IsZero() {
		t.Errorf("%v", err)
	}
	if _, err := p.Publish(t.Context(), newMessage("", "a", 3)); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
	s.set(func() { s.fail = nil })
	p = open(t, dir, s, rpcs["single"])
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	s.checkOrder(map[string]int{"a": 3})
	p = open(t, dir, s, rpcs["single"])
	if stats := p.Stats(); stats.Pending != 0 || s.calls > 50 {
		t.Errorf("%+v after %d calls", stats, s.calls)
	}
}

func TestOnePublisherAtATimeHasAFolder(t *testing.T) {
	s := newService(t)
	dir := t.TempDir()
	p := open(t, dir, s, rpcs["single"])
	_, err := Open(t.Context(), dir, s.address, []Route{route(rpcs["single"])})
	if !errors.Is(err, eventlog.ErrHeld) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("%v", err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	open(t, dir, s, rpcs["single"])
}

func TestAMessageThatNoRPCTakesIsAnError(t *testing.T) {
	s := newService(t)
	p := open(t, t.TempDir(), s, rpcs["single"])
	for _, message := range []proto.Message{&emptypb.Empty{}, (*errdetails.ErrorInfo)(nil)} {
		if _, err := p.Publish(t.Context(), message); err == nil || !strings.Contains(err.Error(), "google.rpc.ErrorInfo") {
			t.Errorf("%T: %v", message, err)
		}
	}
	if err := p.PublishAll(t.Context(), newMessage("", "a", 0), &emptypb.Empty{}); err == nil || !strings.Contains(err.Error(), "event 2 of 2") {
		t.Errorf("%v", err)
	}
	flush(t, p)
	if s.stored() != 0 {
		t.Error("one of them is stored")
	}
}

func TestInMemoryNothingIsWritten(t *testing.T) {
	s := newService(t)
	p, err := OpenInMemory(s.address, []Route{route(rpcs["batch"])}, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 100 {
		if _, err := p.Publish(t.Context(), newMessage("", "a", n)); err != nil {
			t.Fatal(err)
		}
	}
	flush(t, p)
	s.checkOrder(map[string]int{"a": 100})
	s.set(func() { s.fail = func([]string) error { return status.Error(codes.Unavailable, "not now") } })
	if _, err := p.Publish(t.Context(), newMessage("", "a", 100)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); err == nil || !strings.Contains(err.Error(), "lost") {
		t.Errorf("%v", err)
	}
}

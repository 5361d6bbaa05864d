package guard

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
)

// wantPushBack makes calls until one is refused, which must say when to come again: to
// people, in its details and in the trailer, all the same.
func wantPushBack(t *testing.T, name string, call func(...grpc.CallOption) error) {
	t.Helper()
	for range 10 {
		var trailer metadata.MD
		err := call(grpc.Trailer(&trailer))
		if err == nil {
			continue
		}
		answer := status.Convert(err)
		var wait time.Duration
		for _, detail := range answer.Details() {
			if retry, ok := detail.(*errdetails.RetryInfo); ok {
				wait = retry.GetRetryDelay().AsDuration()
			}
		}
		ms, parsed := strconv.Atoi(strings.Join(trailer.Get("grpc-retry-pushback-ms"), ","))
		if answer.Code() != codes.ResourceExhausted || parsed != nil || wait <= 0 || time.Duration(ms)*time.Millisecond < wait || time.Duration(ms-1)*time.Millisecond >= wait {
			t.Errorf("%s: the answer is %v with a wait of %s and trailers %v", name, err, wait, trailer)
		}
		return
	}
	t.Errorf("%s: no call is refused", name)
}

func TestCallsOverTheRateAreToldWhenToComeAgain(t *testing.T) {
	for name, test := range map[string]struct {
		config Config
		call   func(client, ...grpc.CallOption) error
		want   string
	}{
		"events of the server": {Config{Rate: 0.01, Burst: 3}, func(c client, options ...grpc.CallOption) error {
			return c.event(soon(t), "a", options...)
		}, "the server takes 0.01 events a second (--rate): try again in "},
		"calls without events": {Config{Rate: 0.01, Burst: 3}, func(c client, options ...grpc.CallOption) error {
			_, err := c.EmptyCall(soon(t), &testpb.Empty{}, options...)
			return err
		}, "the server takes 0.01 events a second (--rate): try again in "},
		"events of a source": {Config{SourceRate: 0.01, SourceBurst: 3}, func(c client, options ...grpc.CallOption) error {
			return c.event(soon(t), "a", options...)
		}, "the server takes 0.01 events a second of one source (--source-rate): try again in "},
	} {
		t.Run(name, func(t *testing.T) {
			s := &intake{}
			c := serve(t, test.config, s)
			wantPushBack(t, name, func(options ...grpc.CallOption) error { return test.call(c, options...) })
			if err := test.call(c); !strings.HasPrefix(status.Convert(err).Message(), test.want) {
				t.Errorf("the answer is %v, want %s", err, test.want)
			}
			if len(s.callers) != 3 {
				t.Errorf("%d calls came through, want 3", len(s.callers))
			}
		})
	}
}

func TestHealthIsOutsideOfTheRate(t *testing.T) {
	config := Config{Rate: 0.001, Burst: 1}
	health := grpc_health_v1.NewHealthClient(dial(t, servertest.Serve(t, (&intake{}).service(), config.Option())))
	for range 3 {
		if _, err := health.Check(soon(t), &grpc_health_v1.HealthCheckRequest{}); err != nil {
			t.Error(err)
		}
	}
}

// clock is a rates whose time stands still until the test moves it.
type clock struct {
	*rates
	at time.Time
}

func newClock(config Config) *clock {
	c := &clock{rates: newRates(config), at: time.Unix(1_000_000, 0)}
	c.rates.now = func() time.Time { return c.at }
	return c
}

// send sends a batch, and returns how long to wait if it may not come yet.
func (c *clock) send(sources ...string) time.Duration {
	call := (&intake{}).service().RPCs["FullDuplexCall"]
	err := c.check(context.Background(), server.Call{RPC: call}, batchOf(sources...))
	if err == nil {
		return 0
	}
	retry := status.Convert(err).Details()[0].(*errdetails.RetryInfo)
	return retry.GetRetryDelay().AsDuration()
}

func TestTheWaitIsWhenTheCallComesThrough(t *testing.T) {
	for _, config := range []Config{{Rate: 100}, {Rate: 100, Burst: 1}, {SourceRate: 3}, {Rate: 0.5}, {Rate: 1e6, SourceRate: 20, SourceBurst: 7}} {
		c := newClock(config)
		taken := 0
		for ; c.send("1") == 0; taken++ {
		}
		if want := cmpBurst(config); taken != want {
			t.Errorf("%+v: %d events come at first, want %d", config, taken, want)
		}
		for range 3 {
			wait := c.send("1")
			if wait <= 0 {
				t.Fatalf("%+v: an event comes too early", config)
			}
			c.at = c.at.Add(wait)
			if again := c.send("1"); again != 0 {
				t.Errorf("%+v: after the wait of %s there is another of %s", config, wait, again)
			}
			for c.send("1") == 0 {
			}
		}
	}
}

// cmpBurst returns how many events of one source come at once.
func cmpBurst(c Config) int {
	switch {
	case c.SourceBurst > 0:
		return c.SourceBurst
	case c.SourceRate > 0:
		return int(c.SourceRate)
	case c.Burst > 0:
		return c.Burst
	}
	return int(max(1, c.Rate))
}

func TestABatchComesLikeOneEventAndIsPaidFor(t *testing.T) {
	for _, config := range []Config{{Rate: 10}, {SourceRate: 10}} {
		c := newClock(config)
		if wait := c.send(slices.Repeat([]string{"1"}, 35)...); wait != 0 {
			t.Fatalf("%+v: the batch has to wait for %s", config, wait)
		}
		if got, want := c.send("1"), 2600*time.Millisecond; got < want || got > want+2*time.Millisecond {
			t.Errorf("%+v: the next event waits for %s, want %s", config, got, want)
		}
		c.at = c.at.Add(2600 * time.Millisecond)
		if wait := c.send(slices.Repeat([]string{"1"}, 10)...); wait != 0 {
			t.Errorf("%+v: a batch waits for %s where one event would come", config, wait)
		}
		if got, want := c.send("1"), time.Second; got < want || got > want+2*time.Millisecond {
			t.Errorf("%+v: after that the next event waits for %s, want %s", config, got, want)
		}
	}
}

func TestSourcesDoNotHinderEachOther(t *testing.T) {
	c := newClock(Config{Rate: 1000, SourceRate: 2})
	for range 500 {
		c.send("1")
	}
	if wait := c.send("2"); wait != 0 {
		t.Errorf("after what was refused to another source, an event waits for %s", wait)
	}
	// What is refused costs nothing: neither the server, nor the other sources of a batch.
	for range 500 {
		if c.send("2", "1") == 0 {
			t.Fatal("a batch comes though one of its sources may not")
		}
	}
	if wait := c.send("2"); wait != 0 {
		t.Errorf("after batches that were refused, an event waits for %s", wait)
	}
}

func TestInventedSourcesTakeBoundedMemoryAndTheRateOfTheServer(t *testing.T) {
	c := newClock(Config{Rate: 3 * mostSources, SourceRate: 1})
	for i := range 3 * mostSources {
		if wait := c.send(fmt.Sprint(i + 1)); wait != 0 {
			t.Fatalf("source %d waits for %s", i, wait)
		}
	}
	if len(c.sources) != mostSources || c.recent.Len() != mostSources {
		t.Errorf("%d sources are known, want %d", len(c.sources), mostSources)
	}
	if c.send("another") == 0 {
		t.Error("the rate of the server does not hold")
	}
}

func TestTheSourcesThatSendStayKnown(t *testing.T) {
	c := newClock(Config{SourceRate: 0.001, SourceBurst: 2})
	c.send("1")
	for i := range mostSources - 1 {
		c.send(fmt.Sprint(i + 2))
	}
	c.send("1")
	c.send(fmt.Sprint(mostSources + 1)) // source 2 is forgotten for it
	if c.send("1") == 0 {
		t.Error("the source that sent last was forgotten")
	}
	for range 2 { // the second time from what a forgotten source has again
		if c.send("2") != 0 {
			t.Error("the source that sent first was not forgotten")
		}
	}
}

// An upload is not cut off: its requests come as fast as they may.
func TestStreamsWaitForTheirTurn(t *testing.T) {
	s := &intake{}
	c := serve(t, Config{SourceRate: 50, SourceBurst: 5}, s)
	begin := time.Now()
	if err := c.upload(soon(t), slices.Repeat([]string{"a"}, 15)...); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); len(s.sources) != 15 || took < 10*time.Second/50 {
		t.Errorf("%d events came in %s", len(s.sources), took)
	}
}

func TestAStreamThatWouldWaitForTooLongIsRefused(t *testing.T) {
	s := &intake{}
	c := serve(t, Config{SourceRate: 0.01, SourceBurst: 1}, s)
	if err := c.upload(soon(t), "a", "a"); status.Code(err) != codes.ResourceExhausted || len(s.sources) != 1 {
		t.Errorf("error is %v, after %d events", err, len(s.sources))
	}
}

func TestAStreamThatWaitsEndsWhenTheServerDrains(t *testing.T) {
	s := &intake{}
	config := server.Defaults("test")
	config.Addr = "127.0.0.1:0"
	access := Config{Rate: 0.05, Burst: 1}
	running, err := server.Listen(config, s.service(), access.Option())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- running.Serve(ctx) }()
	wantUnavailable := waitForTurn(t, client{testpb.NewTestServiceClient(dial(t, running.Addr()))})
	stop()
	wantUnavailable()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// waitForTurn makes a stream wait at a rate that lets one batch through, and then none for
// seconds. The function that it returns checks that the stream ends before.
func waitForTurn(t *testing.T, c client) (wantUnavailable func()) {
	t.Helper()
	stream, err := c.FullDuplexCall(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := stream.Send(batchOf("1")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("the stream ends with %v, want code Unavailable", err)
		}
	}
}

// With keys, what takes no events counts for the source of the key.
func TestCallsOfAKeyCountForItsSource(t *testing.T) {
	c := serve(t, Config{Keys: write(t, keysOfAllKinds), SourceRate: 0.01, SourceBurst: 2}, &intake{})
	of7, of8 := with(soon(t), "Bearer of-7"), with(soon(t), "Bearer of-8")
	for i, want := range []codes.Code{codes.OK, codes.OK, codes.ResourceExhausted} {
		if err := c.empty(of7); status.Code(err) != want {
			t.Errorf("call %d: error is %v, want code %s", i, err, want)
		}
	}
	if err := c.event(of7, "7"); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("an event of that source: error is %v", err)
	}
	if err := c.empty(of8); err != nil {
		t.Errorf("another key: %v", err)
	}
}

func TestWrongRatesAreErrorsAllAtOnce(t *testing.T) {
	config := Config{Rate: -1, Burst: -2, SourceRate: math.NaN(), SourceBurst: 3}
	_, err := server.Listen(server.Defaults("test"), (&intake{}).service(), config.Option())
	want := "--rate -1: want a number that is 0 or more\n--burst -2: want a number that is 0 or more\n--source-rate NaN: want a number that is 0 or more"
	if err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
	config = Config{Keys: newSecret()}
	if _, err := server.Listen(server.Defaults("test"), (&intake{}).service(), config.Option()); err == nil || err.Error() != errSecretAsFile.Error() {
		t.Errorf("error for a key in place of the file is %v, want %v", err, errSecretAsFile)
	}
	config = Config{Keys: "missing"}
	_, err = server.Listen(server.Defaults("test"), (&intake{}).service(), config.Option())
	if want := "--keys missing: there is no such file: add the first key to it, see keys add --help"; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

// BenchmarkGuards measures what keys and rates cost an event.
func BenchmarkGuards(b *testing.B) {
	ring := &keyring{}
	if err := ring.load([]byte(keysOfAllKinds)); err != nil {
		b.Fatal(err)
	}
	rates := newRates(Config{Rate: 1e9, SourceRate: 1e9})
	rpc := (&intake{}).service().RPCs["UnaryCall"]
	call := server.Call{Method: "/grpc.testing.TestService/UnaryCall", RPC: rpc}
	incoming := metadata.NewIncomingContext(context.Background(), metadata.Pairs("authorization", "Bearer of-7"))
	request := &testpb.SimpleRequest{Payload: payload("7")}
	b.ReportAllocs()
	for b.Loop() {
		ctx, err := ring.admit(incoming, call)
		if err == nil {
			ctx, err = rates.admit(ctx, call)
		}
		if err == nil {
			err = ring.check(ctx, call, request)
		}
		if err == nil {
			err = rates.check(ctx, call, request)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

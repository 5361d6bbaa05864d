package guard

import (
	"context"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
)

// keysOfAllKinds has a key of each kind. The source 7 is theirs if they have one.
var keysOfAllKinds = "# comment\n\n" +
	line("of-7", "source=7 added=2026-11-01T00:00:00Z expires=2999-01-01T00:00:00Z") +
	line("tails-of-7", "tails source=7") +
	line("of-8", `source="8"`) +
	line("of-all", "all-sources") +
	line("expired", "source=7 expires=2026-01-01T00:00:00Z")

// TestWhoMayCall calls RPCs of all kinds, with an event of source 7 where they take
// one, and with each kind of key.
func TestWhoMayCall(t *testing.T) {
	c := serve(t, Config{Keys: write(t, keysOfAllKinds)}, &intake{})
	const ok, noKey, denied = codes.OK, codes.Unauthenticated, codes.PermissionDenied
	calls := []struct {
		name string
		call func(context.Context) error
	}{
		{"plain", c.empty},
		{"event", func(ctx context.Context) error { return c.event(ctx, "7") }},
		{"upload", func(ctx context.Context) error { return c.upload(ctx, "7", "7") }},
		{"batch", func(ctx context.Context) error { return c.batch(ctx, "7", "7") }},
		{"tail", c.tail},
	}
	for _, test := range []struct {
		name          string
		authorization []string
		want          [5]codes.Code
	}{
		{"nothing", nil, [5]codes.Code{noKey, noKey, noKey, noKey, noKey}},
		{"an empty value", []string{""}, [5]codes.Code{noKey, noKey, noKey, noKey, noKey}},
		{"an empty key", []string{"Bearer "}, [5]codes.Code{noKey, noKey, noKey, noKey, noKey}},
		{"an unknown key", []string{"Bearer other"}, [5]codes.Code{noKey, noKey, noKey, noKey, noKey}},
		{"an expired key", []string{"Bearer expired"}, [5]codes.Code{noKey, noKey, noKey, noKey, noKey}},
		{"another scheme", []string{"Basic of-all"}, [5]codes.Code{noKey, noKey, noKey, noKey, noKey}},
		{"no scheme", []string{"of-all"}, [5]codes.Code{noKey, noKey, noKey, noKey, noKey}},
		{"two keys", []string{"Bearer of-all", "Bearer of-all"}, [5]codes.Code{noKey, noKey, noKey, noKey, noKey}},
		{"a key for it", []string{"Bearer of-7"}, [5]codes.Code{ok, ok, ok, ok, denied}},
		{"a key for it and tails", []string{"Bearer tails-of-7"}, [5]codes.Code{ok, ok, ok, ok, ok}},
		{"a key for another", []string{"Bearer of-8"}, [5]codes.Code{ok, denied, denied, denied, denied}},
		{"a key for all", []string{"Bearer of-all"}, [5]codes.Code{ok, ok, ok, ok, ok}},
		{"another spelling", []string{"bEARER  of-all"}, [5]codes.Code{ok, ok, ok, ok, ok}},
	} {
		for i, rpc := range calls {
			err := rpc.call(with(soon(t), test.authorization...))
			if got := status.Code(err); got != test.want[i] {
				t.Errorf("%s, %s: error is %v, want code %s", rpc.name, test.name, err, test.want[i])
			}
			if got := status.Convert(err).Message(); test.want[i] == noKey && got != status.Convert(errNoKey).Message() {
				t.Errorf("%s, %s: the answer is %q, which is not that to all without a key", rpc.name, test.name, got)
			}
		}
	}
}

func TestNothingOfABatchWithAnotherSourceIsTaken(t *testing.T) {
	s := &intake{}
	c := serve(t, Config{Keys: write(t, keysOfAllKinds)}, s)
	ctx := with(soon(t), "Bearer of-7")
	for _, other := range []string{"8", ""} {
		err := c.batch(ctx, "7", "7", other)
		if want := `/grpc.testing.TestService/FullDuplexCall got an event of another source: this API key is for source "7"`; status.Convert(err).Message() != want {
			t.Errorf("with source %q the error is %v, want %s", other, err, want)
		}
	}
	err := c.event(ctx, "")
	if want := `/grpc.testing.TestService/UnaryCall got an event without a source: this API key is for source "7"`; status.Convert(err).Message() != want {
		t.Errorf("without a source the error is %v, want %s", err, want)
	}
	if len(s.sources) > 0 {
		t.Errorf("the method got %q", s.sources)
	}
	// In a stream, what came before is kept, and nothing after it comes.
	if err := c.upload(ctx, "7", "8", "7"); status.Code(err) != codes.PermissionDenied || !slices.Equal(s.sources, []string{"7"}) {
		t.Errorf("error is %v, and the method got %q", err, s.sources)
	}
}

func TestMethodsKnowTheirCaller(t *testing.T) {
	s, seen := &intake{}, Key{}
	c := serve(t, Config{Keys: write(t, keysOfAllKinds)}, s, server.UnaryInterceptors(
		func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			seen, _ = Caller(ctx)
			return next(ctx, request)
		}))
	ctx := with(soon(t), "Bearer of-7")
	for _, err := range []error{c.event(ctx, "7"), c.upload(ctx, "7")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := Key{Name: "of-7", Source: "7", Added: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Expires: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)}
	if !slices.Equal(s.callers, []Key{want, want}) || seen != want {
		t.Errorf("callers are %v, and %v for the interceptor, want %v", s.callers, seen, want)
	}
}

// keeper notes of which source alone each refused request may be.
type keeper struct{ sources []string }

func (k *keeper) Keep(_ context.Context, refused server.Refused) {
	k.sources = append(k.sources, refused.OnlySource)
}

func (k *keeper) Run(ctx context.Context, _ func(context.Context, string, []byte) error) error {
	<-ctx.Done()
	return nil
}

// What is refused before its source is checked may be sent again later, without a key.
func TestRefusedRequestsKeepTheSourceOfTheirKey(t *testing.T) {
	var kept keeper
	c := serve(t, Config{Keys: write(t, keysOfAllKinds)}, &intake{}, server.KeepRefused(&kept), server.UnaryInterceptors(
		func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
			return nil, status.Error(codes.InvalidArgument, "not today")
		}))
	for _, key := range []string{"Bearer of-7", "Bearer of-all"} {
		if err := c.event(with(soon(t), key), "8"); status.Code(err) != codes.InvalidArgument {
			t.Errorf("error is %v, want InvalidArgument", err)
		}
	}
	if want := []string{"7", ""}; !slices.Equal(kept.sources, want) {
		t.Errorf("sources are %q, want %q", kept.sources, want)
	}
}

func TestHealthNeedsNoKeyAndReflectionDoes(t *testing.T) {
	config := Config{Keys: write(t, keysOfAllKinds)}
	conn := dial(t, servertest.Serve(t, (&intake{}).service(), config.Option()))
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(soon(t), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
	for key, want := range map[string]codes.Code{"": codes.Unauthenticated, "of-7": codes.OK} {
		stream, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(with(soon(t), "Bearer "+key))
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.Send(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}})
		if _, err := stream.Recv(); status.Code(err) != want {
			t.Errorf("reflection with key %q: error is %v, want code %s", key, err, want)
		}
	}
}

// openStreams opens a tail and an upload with a key. ended returns how they end, the upload
// when it sends something.
func openStreams(t *testing.T, c client, s *intake, key string) (ended func() [2]error) {
	t.Helper()
	ctx := with(soon(t), "Bearer "+key)
	tail, err := c.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{})
	if err != nil {
		t.Fatal(err)
	}
	upload, err := c.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := upload.Send(batchOf("7")); err != nil {
		t.Fatal(err)
	}
	if _, err := upload.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, err := tail.Recv(); err != nil {
		t.Fatal(err)
	}
	<-s.tails
	return func() (errs [2]error) {
		_, errs[0] = tail.Recv()
		_ = upload.Send(batchOf("7"))
		_, errs[1] = upload.Recv()
		return errs
	}
}

// TestARevokedKeyIsRefused revokes a key the way an operator does, and does to the file
// what else may happen to it.
func TestARevokedKeyIsRefused(t *testing.T) {
	s := &intake{tails: make(chan struct{}, 2)}
	config := Config{Keys: write(t, keysOfAllKinds)}
	c := serve(t, config, s)
	revoked, stays := openStreams(t, c, s, "tails-of-7"), openStreams(t, c, s, "of-all")
	until := func(key string, want codes.Code) {
		t.Helper()
		for ctx := with(soon(t), "Bearer "+key); ; time.Sleep(10 * time.Millisecond) {
			err := c.event(ctx, "7")
			if status.Code(err) == want {
				return
			}
			if ctx.Err() != nil {
				t.Fatalf("the key %s still gets %v", key, err)
			}
		}
	}
	run(t, "revoke", "tails-of-7", "--keys", config.Keys)
	until("tails-of-7", codes.Unauthenticated)
	for i, err := range revoked() {
		if status.Code(err) != codes.Unauthenticated || status.Convert(err).Message() != status.Convert(errNoKey).Message() {
			t.Errorf("stream %d of the key ends with %v", i, err)
		}
	}

	// A file that can't be read, or that is away, opens and closes nothing.
	rewrite(t, config.Keys, keysOfAllKinds+"nonsense\n")
	time.Sleep(700 * time.Millisecond)
	if err := os.Remove(config.Keys); err != nil {
		t.Fatal(err)
	}
	time.Sleep(700 * time.Millisecond)
	until("of-all", codes.OK)
	until("tails-of-7", codes.Unauthenticated)

	// An empty one lets nobody in.
	rewrite(t, config.Keys, line("of-7", "source=7"))
	until("of-all", codes.Unauthenticated)
	until("of-7", codes.OK)
	rewrite(t, config.Keys, "")
	until("of-7", codes.Unauthenticated)
	for i, err := range stays() {
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("stream %d of the other key ends with %v", i, err)
		}
	}
}

func TestAChangedFileKeepsTheStreamsOfItsOtherKeys(t *testing.T) {
	ring := &keyring{}
	if err := ring.load([]byte(keysOfAllKinds)); err != nil {
		t.Fatal(err)
	}
	before := map[string]*inUse{}
	for _, key := range []string{"of-7", "tails-of-7", "of-all"} {
		before[key] = ring.find(key)
	}
	err := ring.load([]byte(line("new", "all-sources") + line("of-7", "source=7 expires=2999-01-01T00:00:00Z added=2026-11-01T00:00:00Z") + line("tails-of-7", "source=7")))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]bool{"of-7": true, "tails-of-7": false, "of-all": false} {
		if got := before[key].isValid(); got != want {
			t.Errorf("streams of %s go on: %t, want %t", key, got, want)
		}
	}
	if ring.find("of-all") != nil || ring.find("new") == nil {
		t.Error("the new keys are not those of the file")
	}
}

func TestAStreamEndsWhenItsKeyExpires(t *testing.T) {
	t.Parallel()
	s := &intake{tails: make(chan struct{}, 1)}
	expires := time.Now().Add(3 * time.Second).Format(time.RFC3339Nano) // the streams are open before, on a busy machine, too
	c := serve(t, Config{Keys: write(t, line("brief", "all-sources expires="+expires))}, s)
	for i, err := range openStreams(t, c, s, "brief")() {
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("stream %d ends with %v", i, err)
		}
	}
}

// TestKeysChangeWhileTheyAreUsed is for the race detector.
func TestKeysChangeWhileTheyAreUsed(t *testing.T) {
	ring := &keyring{}
	both, one := []byte(keysOfAllKinds), []byte(line("of-all", "all-sources"))
	if err := ring.load(both); err != nil {
		t.Fatal(err)
	}
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 2000 {
				if ring.find("of-all") == nil || ring.find("other") != nil {
					t.Error("a key is not what it was in both files")
					return
				}
				ring.find("of-7")
			}
		})
	}
	for range 200 {
		for _, content := range [][]byte{one, both} {
			if err := ring.load(content); err != nil {
				t.Fatal(err)
			}
		}
	}
	callers.Wait()
}

func TestOwnServerHasGuards(t *testing.T) {
	s := &intake{tails: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(t.Context())
	config := Config{Keys: write(t, keysOfAllKinds), SourceRate: 0.001, SourceBurst: 4}
	guards, err := server.GuardOptions(ctx, s.service(), config.Option())
	if err != nil {
		t.Fatal(err)
	}
	own, c := serveOwn(t, ctx, s, guards)
	for _, test := range []struct {
		call string
		err  error
		want codes.Code
	}{
		{"without a key", c.event(soon(t), "7"), codes.Unauthenticated},
		{"a tail without a key", c.tail(soon(t)), codes.Unauthenticated},
		{"another source", c.event(with(soon(t), "Bearer of-8"), "7"), codes.PermissionDenied},
		{"another source in a stream", c.batch(with(soon(t), "Bearer of-8"), "7"), codes.PermissionDenied},
		{"its source", c.event(with(soon(t), "Bearer of-7"), "7"), codes.OK},
		{"its source in a stream", c.batch(with(soon(t), "Bearer of-7"), "7"), codes.OK},
	} {
		if status.Code(test.err) != test.want {
			t.Errorf("%s: error is %v, want code %s", test.call, test.err, test.want)
		}
	}
	revoked := openStreams(t, c, s, "of-all")
	wantPushBack(t, "own server", func(options ...grpc.CallOption) error { return c.event(with(soon(t), "Bearer of-7"), "7", options...) })
	rewrite(t, config.Keys, strings.Replace(keysOfAllKinds, line("of-all", "all-sources"), "", 1))
	for i, err := range revoked() {
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("stream %d of a revoked key ends with %v", i, err)
		}
	}
	stop()
	own.GracefulStop()
	config.Keys += "-missing"
	if _, err := server.GuardOptions(t.Context(), s.service(), config.Option()); err == nil || !strings.Contains(err.Error(), config.Keys) {
		t.Errorf("error for a file that is not there is %v", err)
	}
}

func TestAStreamOfAnOwnServerThatWaitsEndsWhenThatDrains(t *testing.T) {
	s := &intake{}
	ctx, stop := context.WithCancel(t.Context())
	config := Config{Rate: 0.05, Burst: 1}
	guards, err := server.GuardOptions(ctx, s.service(), config.Option())
	if err != nil {
		t.Fatal(err)
	}
	own, c := serveOwn(t, ctx, s, guards)
	wantUnavailable := waitForTurn(t, c)
	stop()
	wantUnavailable()
	own.GracefulStop()
}

// serveOwn serves until the test ends, by a server that is not ours.
func serveOwn(t *testing.T, ctx context.Context, s *intake, guards []grpc.ServerOption) (*grpc.Server, client) {
	t.Helper()
	drain := grpc.ChainStreamInterceptor(server.DrainStreams(ctx))
	own := grpc.NewServer(append([]grpc.ServerOption{drain}, guards...)...)
	testpb.RegisterTestServiceServer(own, s)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go own.Serve(listener)
	t.Cleanup(own.Stop)
	return own, client{testpb.NewTestServiceClient(dial(t, listener.Addr().String()))}
}

package guard

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
)

// testTimeout bounds how long a test waits for what must happen. It is far longer
// than that takes.
const testTimeout = time.Minute

// intake is a service with RPCs of all kinds. It notes the sources that its methods get.
type intake struct {
	testpb.UnimplementedTestServiceServer
	tails chan struct{} // gets one for each tail that has begun; nil for none

	mu      sync.Mutex
	sources []string
	callers []Key
}

func (s *intake) got(ctx context.Context, sources ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sources = append(s.sources, sources...)
	key, _ := Caller(ctx)
	s.callers = append(s.callers, key)
}

// EmptyCall takes no events.
func (s *intake) EmptyCall(ctx context.Context, _ *testpb.Empty) (*testpb.Empty, error) {
	s.got(ctx)
	return &testpb.Empty{}, nil
}

// UnaryCall takes an event.
func (s *intake) UnaryCall(ctx context.Context, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	s.got(ctx, sourceOf(request))
	return &testpb.SimpleResponse{}, nil
}

// StreamingInputCall takes a stream of events.
func (s *intake) StreamingInputCall(stream testpb.TestService_StreamingInputCallServer) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&testpb.StreamingInputCallResponse{})
		}
		if err != nil {
			return err
		}
		s.got(stream.Context(), sourceOf(request))
	}
}

// FullDuplexCall takes a stream of batches, and answers each.
func (s *intake) FullDuplexCall(stream testpb.TestService_FullDuplexCallServer) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, event := range request.GetResponseParameters() {
			s.got(stream.Context(), sizeOf(event))
		}
		if err := stream.Send(&testpb.StreamingOutputCallResponse{}); err != nil {
			return err
		}
	}
}

// StreamingOutputCall is a tail.
func (s *intake) StreamingOutputCall(_ *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
	s.got(stream.Context())
	ctx, stop := server.UntilDrain(stream.Context())
	defer stop()
	if err := stream.Send(&testpb.StreamingOutputCallResponse{}); err != nil || s.tails == nil {
		return err
	}
	s.tails <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

func sourceOf(request interface{ GetPayload() *testpb.Payload }) string {
	return string(request.GetPayload().GetBody())
}

func sizeOf(event *testpb.ResponseParameters) string { return strconv.Itoa(int(event.GetSize())) }

func (s *intake) service() server.Service {
	return server.Service{Desc: &testpb.TestService_ServiceDesc, Impl: s, RPCs: map[string]server.RPC{
		"UnaryCall":           server.TakesEvent(func(r *testpb.SimpleRequest) string { return sourceOf(r) }),
		"StreamingInputCall":  server.TakesEvent(func(r *testpb.StreamingInputCallRequest) string { return sourceOf(r) }),
		"FullDuplexCall":      server.TakesEvents((*testpb.StreamingOutputCallRequest).GetResponseParameters, sizeOf),
		"StreamingOutputCall": {Tails: true},
	}}
}

// client calls an [intake].
type client struct{ testpb.TestServiceClient }

func serve(t *testing.T, config Config, s *intake, options ...server.Option) client {
	t.Helper()
	return client{testpb.NewTestServiceClient(dial(t, servertest.Serve(t, append(options, s.service(), config.Option())...)))}
}

func dial(t testing.TB, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func (c client) empty(ctx context.Context) error {
	_, err := c.EmptyCall(ctx, &testpb.Empty{})
	return err
}

func (c client) event(ctx context.Context, source string, options ...grpc.CallOption) error {
	_, err := c.UnaryCall(ctx, &testpb.SimpleRequest{Payload: payload(source)}, options...)
	return err
}

func (c client) upload(ctx context.Context, sources ...string) error {
	stream, err := c.StreamingInputCall(ctx)
	if err != nil {
		return err
	}
	for _, source := range sources {
		if stream.Send(&testpb.StreamingInputCallRequest{Payload: payload(source)}) != nil {
			break // CloseAndRecv says why
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

// batch sends a batch of events in a stream.
func (c client) batch(ctx context.Context, sources ...string) error {
	stream, err := c.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(batchOf(sources...)); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	_, err = stream.Recv()
	return err
}

func (c client) tail(ctx context.Context) error {
	stream, err := c.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{})
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}

func payload(source string) *testpb.Payload { return &testpb.Payload{Body: []byte(source)} }

// batchOf returns a batch of events, whose sources are numbers, or nil for "".
func batchOf(sources ...string) *testpb.StreamingOutputCallRequest {
	batch := &testpb.StreamingOutputCallRequest{}
	for _, source := range sources {
		size, _ := strconv.Atoi(source)
		batch.ResponseParameters = append(batch.ResponseParameters, &testpb.ResponseParameters{Size: int32(size)})
	}
	return batch
}

func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// with returns a context whose calls have these values of the authorization.
func with(ctx context.Context, values ...string) context.Context {
	for _, value := range values {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", value)
	}
	return ctx
}

// line returns a line of a file of keys, for a key that is called as it is itself.
func line(key, may string) string {
	return stored{digest: sha256.Sum256([]byte(key))}.digestOf(key) + " " + may + "\n"
}

func (s stored) digestOf(name string) string {
	s.Name, s.AllSources = name, true
	return strings.Join(strings.Fields(s.line())[:2], " ")
}

// write writes a file, and returns its name.
func write(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "keys")
	rewrite(t, name, text)
	return name
}

func rewrite(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

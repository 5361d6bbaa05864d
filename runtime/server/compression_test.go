package server

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// TestARequestMayBeCompressed: its bound is that of what it is uncompressed. (The
// server's import makes gzip known to this process, and so to the client, too.)
func TestARequestMayBeCompressed(t *testing.T) {
	config := free()
	config.MaxMessageBytes = 100_000
	client := testpb.NewTestServiceClient(dial(t, serve(t, config, tested(&service{})).Addr()))
	for size, want := range map[int]codes.Code{
		90_000:     codes.OK,
		101_000:    codes.ResourceExhausted,
		50_000_000: codes.ResourceExhausted, // 49 KB, compressed
	} {
		request := &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, size)}}
		if _, err := client.UnaryCall(soon(t), request, grpc.UseCompressor("gzip")); status.Code(err) != want {
			t.Errorf("%d bytes: %v, want %v", size, err, want)
		}
	}
}

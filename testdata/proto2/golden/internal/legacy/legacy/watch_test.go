package legacy

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb"
)

// TestWatch expects Unimplemented until Watch is implemented.
func TestWatch(t *testing.T) {
	client, _ := serve(t)
	stream, err := client.Watch(t.Context(), servertest.Sample[*legacypb.Receipt]())
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}

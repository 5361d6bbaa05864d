package other

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// TestServerStream expects Unimplemented until ServerStream is implemented.
func TestServerStream(t *testing.T) {
	client := serve(t)
	stream, err := client.ServerStream(t.Context(), servertest.Sample[*kindspb.ClickEvent]())
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}

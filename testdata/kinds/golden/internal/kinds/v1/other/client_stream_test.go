package other

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestClientStream expects Unimplemented until ClientStream is implemented.
func TestClientStream(t *testing.T) {
	client := serve(t)
	stream, err := client.ClientStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.CloseAndRecv()
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}

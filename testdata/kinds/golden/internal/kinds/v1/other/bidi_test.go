package other

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Until Bidi is written it says so, and never that all is well.
func TestBidi(t *testing.T) {
	client := serve(t)
	stream, err := client.Bidi(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v, want code Unimplemented", err)
	}
}

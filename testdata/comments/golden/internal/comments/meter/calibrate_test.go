package meter

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb"
)

// That events are stored, and once, is tested by the contract; what is answered
// is for you to say here.
func TestCalibrate(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Sample[*commentspb.Calibration]()
	_, err := client.Calibrate(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
}

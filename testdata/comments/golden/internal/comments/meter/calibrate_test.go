package meter

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb"
)

// TestCalibrate checks the reply. TestContract checks that events are stored exactly once.
func TestCalibrate(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Sample[*commentspb.Calibration]()
	_, err := client.Calibrate(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
}

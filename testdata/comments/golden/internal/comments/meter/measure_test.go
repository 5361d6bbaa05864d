package meter

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb"
)

// TestMeasure checks the reply. TestContract checks that events are stored exactly once.
func TestMeasure(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Sample[*commentspb.Measurement]("comments.Measurement.number")
	_, err := client.Measure(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
}

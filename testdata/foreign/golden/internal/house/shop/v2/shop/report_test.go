package shop

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	commonv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/common/v1"
)

// TestReport checks the reply. TestContract checks that events are stored exactly once.
func TestReport(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Sample[*commonv1.Event]()
	_, err := client.Report(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
}

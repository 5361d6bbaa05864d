package shop

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v1"
)

// TestReportOwn checks the reply. TestContract checks that events are stored exactly once.
func TestReportOwn(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Sample[*shopv1.Event]()
	_, err := client.ReportOwn(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
}

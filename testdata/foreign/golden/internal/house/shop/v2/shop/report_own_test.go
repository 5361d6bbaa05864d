package shop

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	shopv2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v2"
)

// TestReportOwn checks the reply. TestContract checks that events are stored exactly once.
func TestReportOwn(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Sample[*shopv2.Event]()
	_, err := client.ReportOwn(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
}

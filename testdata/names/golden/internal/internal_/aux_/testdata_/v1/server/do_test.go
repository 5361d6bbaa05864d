package server

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// TestDo checks the reply. TestContract checks that events are stored exactly once.
func TestDo(t *testing.T) {
	client, _ := serve(t)
	event := servertest.Sample[*context.ClientEvent]()
	_, err := client.Do(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
}

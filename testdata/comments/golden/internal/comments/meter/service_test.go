package meter

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb/commentsevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb/commentsserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/comments/golden/gen/commentspb/commentstest"
)

// newService makes the service for every test, as main does.
func newService(_ testing.TB, events *commentsevents.Log) *Service {
	return New(events)
}

// serve runs the service with a new log, and returns a client of it and the log.
func serve(t testing.TB) (commentspb.MeterClient, *commentsevents.Log) {
	events := commentsevents.New(servertest.Log(t))
	return commentstest.Serve(t, commentsserver.Meter(newService(t, events))).Meter(), events
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	commentstest.MeterContract{
		NewService: func(t testing.TB, events *commentsevents.Log) commentspb.MeterServer {
			return newService(t, events)
		},
	}.Test(t)
}

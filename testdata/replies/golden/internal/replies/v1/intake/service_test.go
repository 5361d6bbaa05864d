package intake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb/repliesevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb/repliesserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb/repliestest"
)

// newService makes the service for every test, as main does.
func newService(_ testing.TB, events *repliesevents.Log) *Service {
	return New(events)
}

// serve runs the service with a new log, and returns a client of it and the log.
func serve(t testing.TB) (repliespb.IntakeClient, *repliesevents.Log) {
	events := repliesevents.New(servertest.Log(t))
	return repliestest.Serve(t, repliesserver.Intake(newService(t, events))).Intake(), events
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	repliestest.IntakeContract{
		NewService: func(t testing.TB, events *repliesevents.Log) repliespb.IntakeServer {
			return newService(t, events)
		},
	}.Test(t)
}

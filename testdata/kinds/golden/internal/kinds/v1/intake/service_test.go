package intake

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindsevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindsserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindstest"
)

// newService makes the service for every test, as main does.
func newService(_ testing.TB, events *kindsevents.Log) *Service {
	return New(events)
}

// serve runs the service with a new log, and returns a client of it and the log.
func serve(t testing.TB) (kindspb.IntakeClient, *kindsevents.Log) {
	events := kindsevents.New(servertest.Log(t))
	return kindstest.Serve(t, kindsserver.Intake(newService(t, events))).Intake(), events
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	kindstest.IntakeContract{
		NewService: func(t testing.TB, events *kindsevents.Log) kindspb.IntakeServer {
			return newService(t, events)
		},
	}.Test(t)
}

package clickstreamservice

import (
	"path/filepath"
	"testing"

	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
	"example.com/clickstream/gen/clickstream/v1/clickstreamv1events"
	"example.com/clickstream/gen/clickstream/v1/clickstreamv1server"
	"example.com/clickstream/gen/clickstream/v1/clickstreamv1test"
	"example.com/clickstream/internal/pageviews"
	"example.com/clickstream/internal/receiver-runtime/servertest"
)

// newService makes the service for every test, as main does, with new counts.
func newService(t testing.TB, events *clickstreamv1events.Log) *Service {
	counts, err := pageviews.Open(t.Context(), filepath.Join(t.TempDir(), "counts.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := counts.Close(); err != nil {
			t.Error(err)
		}
	})
	return New(events, counts)
}

// serve runs the service with a new log, and returns a client of it and the log.
func serve(t testing.TB) (clickstreamv1.ClickstreamServiceClient, *clickstreamv1events.Log) {
	events := clickstreamv1events.New(servertest.Log(t))
	return clickstreamv1test.Serve(t, clickstreamv1server.ClickstreamService(newService(t, events))).ClickstreamService(), events
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	clickstreamv1test.ClickstreamServiceContract{
		NewService: func(t testing.TB, events *clickstreamv1events.Log) clickstreamv1.ClickstreamServiceServer {
			return newService(t, events)
		},
	}.Test(t)
}

package notes

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/plain/golden/gen/notespb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/plain/golden/gen/notespb/notesserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/plain/golden/gen/notespb/notestest"
)

// newService makes the service for every test, as main does.
func newService(testing.TB) *Service {
	return New()
}

// serve runs the service, and returns a client of it.
func serve(t testing.TB) notespb.NotesClient {
	return notestest.Serve(t, notesserver.Notes(newService(t))).Notes()
}

// TestContract runs the tests that every implementation must pass.
func TestContract(t *testing.T) {
	notestest.NotesContract{
		NewService: func(t testing.TB) notespb.NotesServer { return newService(t) },
	}.Test(t)
}

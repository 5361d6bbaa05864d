// Package notes implements the service notes.Notes, one file per RPC.
package notes

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/plain/golden/gen/notespb"

// Service implements notespb.NotesServer.
type Service struct {
	notespb.UnimplementedNotesServer // answers RPCs that have no method here
}

// New returns the service.
func New() *Service {
	return &Service{}
}

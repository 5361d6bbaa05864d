// Package notes implements the service notes.Notes: an RPC a file.
package notes

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/plain/golden/gen/notespb"

// Service implements notespb.NotesServer.
type Service struct {
	notespb.UnimplementedNotesServer // answers the RPCs that have no file
}

// New makes the service.
func New() *Service {
	return &Service{}
}

// Package other implements the service kinds.v1.Other, one file per RPC. It counts
// what callers send, by name.
package other

import (
	"sync"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// Service implements kindspb.OtherServer.
type Service struct {
	kindspb.UnimplementedOtherServer // answers RPCs that have no method here

	mu     sync.Mutex
	counts map[string]uint32 // by name
}

// New returns the service. It has counted nothing yet.
func New() *Service {
	return &Service{counts: map[string]uint32{}}
}

// add counts a name some more times, and returns how often it was counted.
func (s *Service) add(name string, times uint32) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[name] += times
	return s.counts[name]
}

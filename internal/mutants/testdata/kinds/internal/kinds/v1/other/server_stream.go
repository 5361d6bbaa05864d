package other

import (
	"maps"
	"slices"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// ServerStream sends all names, in order, with how often each was counted.
func (s *Service) ServerStream(request *kindspb.ClickEvent, stream kindspb.Other_ServerStreamServer) error {
	s.mu.Lock()
	counts := maps.Clone(s.counts)
	s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if err := stream.Send(&kindspb.Reply{Message: name, Count: counts[name]}); err != nil {
			return err
		}
	}
	return nil
}

package other

import (
	"errors"
	"io"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// Bidi counts each name once, and answers how often it was counted by then.
func (s *Service) Bidi(stream kindspb.Other_BidiServer) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		count := s.add(request.GetMessage(), 1)
		if err := stream.Send(&kindspb.Reply{Message: request.GetMessage(), Count: count}); err != nil {
			return err
		}
	}
}

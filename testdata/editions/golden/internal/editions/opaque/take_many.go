package opaque

import (
	"errors"
	"io"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb"
)

// TakeMany stores each event as it arrives, and acknowledges all of them at the
// end.
func (s *Service) TakeMany(stream editionspb.Opaque_TakeManyServer) error {
	ctx := eventid.Sequence(stream.Context())
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if _, err := s.events.AppendPressEvent(ctx, request.GetPresses()...); err != nil {
			return err
		}
	}
	return stream.SendAndClose(&editionspb.Reply{})
}

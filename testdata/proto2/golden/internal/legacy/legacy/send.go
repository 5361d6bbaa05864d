package legacy

import (
	"errors"
	"io"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/proto2/golden/gen/legacypb"
)

// Send stores each event as it arrives, and then acknowledges it.
func (s *Service) Send(stream legacypb.Legacy_SendServer) error {
	ctx := eventid.Sequence(stream.Context())
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := s.events.AppendLegacyEvent(ctx, event); err != nil {
			return err
		}
		if err := stream.Send(&legacypb.Nothing{}); err != nil {
			return err
		}
	}
}

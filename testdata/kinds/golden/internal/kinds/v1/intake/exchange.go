package intake

import (
	"errors"
	"io"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// Exchange stores each event as it arrives, and then acknowledges it.
func (s *Service) Exchange(stream kindspb.Intake_ExchangeServer) error {
	ctx := eventid.Sequence(stream.Context())
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := s.events.AppendClickEvent(ctx, event); err != nil {
			return err
		}
		if err := stream.Send(&kindspb.Reply{Count: 1, Message: "stored"}); err != nil {
			return err
		}
	}
}

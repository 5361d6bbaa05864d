package orders

import (
	"errors"
	"io"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// Exchange stores each event as it arrives, and then acknowledges it.
func (s *Service) Exchange(stream rulesv1.Orders_ExchangeServer) error {
	ctx := eventid.Sequence(stream.Context())
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		receipts, err := s.events.AppendOrderEvent(ctx, event)
		if err != nil {
			return err
		}
		err = stream.Send(&rulesv1.Placed{
			Message:  "stored",
			Position: int64(receipts[0].Position),
		})
		if err != nil {
			return err
		}
	}
}

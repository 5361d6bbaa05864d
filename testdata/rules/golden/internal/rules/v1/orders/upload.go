package orders

import (
	"errors"
	"fmt"
	"io"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

// Upload stores each event as it arrives, and acknowledges all of them at the
// end.
func (s *Service) Upload(stream rulesv1.Orders_UploadServer) error {
	ctx := eventid.Sequence(stream.Context())
	var stored eventlog.Sum
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		receipts, err := s.events.AppendOrderEvent(ctx, event)
		if err != nil {
			return err
		}
		stored.Add(receipts...)
	}
	return stream.SendAndClose(&rulesv1.Placed{
		Message:  fmt.Sprintf("%d stored", stored.Events),
		Position: int64(stored.Last.Position),
	})
}

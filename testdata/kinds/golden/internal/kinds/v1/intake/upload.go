package intake

import (
	"errors"
	"fmt"
	"io"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// Upload stores each event as it arrives, and acknowledges all of them at the
// end.
func (s *Service) Upload(stream kindspb.Intake_UploadServer) error {
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
		receipts, err := s.events.AppendClickEvent(ctx, event)
		if err != nil {
			return err
		}
		stored.Add(receipts...)
	}
	return stream.SendAndClose(&kindspb.Reply{
		Count:   uint32(stored.Events),
		Message: fmt.Sprintf("%d stored", stored.Events),
	})
}

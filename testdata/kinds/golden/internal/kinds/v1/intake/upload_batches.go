package intake

import (
	"errors"
	"fmt"
	"io"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// UploadBatches stores each event as it arrives, and acknowledges all of them
// at the end.
func (s *Service) UploadBatches(stream kindspb.Intake_UploadBatchesServer) error {
	ctx := eventid.Sequence(stream.Context())
	var stored eventlog.Sum
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		receipts, err := s.events.AppendClickEvent(ctx, request.GetEvents()...)
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

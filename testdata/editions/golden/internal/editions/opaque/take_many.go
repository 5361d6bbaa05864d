package opaque

import (
	"errors"
	"fmt"
	"io"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/editions/golden/gen/editionspb"
)

// TakeMany stores each event as it arrives, and acknowledges all of them at the
// end.
func (s *Service) TakeMany(stream editionspb.Opaque_TakeManyServer) error {
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
		receipts, err := s.events.AppendPressEvent(ctx, request.GetPresses()...)
		if err != nil {
			return err
		}
		stored.Add(receipts...)
	}
	return stream.SendAndClose(editionspb.Reply_builder{
		Message: fmt.Sprintf("%d stored", stored.Events),
	}.Build())
}

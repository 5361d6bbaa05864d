package intake

import (
	"errors"
	"io"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// UploadHeld stores each event as it arrives, and acknowledges all of them at
// the end.
func (s *Service) UploadHeld(stream kindspb.Intake_UploadHeldServer) error {
	ctx := eventid.Sequence(stream.Context())
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if _, err := s.events.AppendClickEvent(ctx, request.GetEvent()); err != nil {
			return err
		}
	}
	return stream.SendAndClose(&emptypb.Empty{})
}

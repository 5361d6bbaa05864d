package intake

import (
	"errors"
	"io"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// ExchangeBatches stores each event as it arrives, and then acknowledges it.
func (s *Service) ExchangeBatches(stream kindspb.Intake_ExchangeBatchesServer) error {
	ctx := eventid.Sequence(stream.Context())
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := s.events.AppendClickEvent(ctx, request.GetEvents()...); err != nil {
			return err
		}
		if err := stream.Send(&emptypb.Empty{}); err != nil {
			return err
		}
	}
}

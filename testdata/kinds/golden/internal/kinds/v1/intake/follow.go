package intake

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindsevents"
)

// Follows the clicks.
func (s *Service) Follow(request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
	ctx, stop := server.UntilDrain(stream.Context())
	defer stop()
	from := kindsevents.After(kindsevents.Position(request.GetAfter()))
	if since := request.GetSince(); since != nil {
		from = kindsevents.Since(since.AsTime())
	}
	for stored, err := range s.events.TailClickEvent(ctx, from) {
		if err != nil {
			return err
		}
		if err := stream.Send(stored.Message); err != nil {
			return err
		}
	}
	return nil
}

package intake

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindsevents"
)

// Follow sends what is stored behind the position asked for since the time
// asked for, and then what comes.
//
// Follows the clicks.
func (s *Service) Follow(request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
	ctx, stop := server.UntilDrain(stream.Context())
	defer stop()
	for stored, err := range s.events.TailClickEvent(ctx, kindsevents.Position(request.GetAfter())) {
		if err != nil {
			return err
		}
		if stored.Recorded.Before(request.GetSince().AsTime()) {
			continue
		}
		if err := stream.Send(stored.Message); err != nil {
			return err
		}
	}
	return nil
}

package intake

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb/repliesevents"
)

// Follow sends the stored events after the requested position, and then each
// new one. It ignores request.Filter and request.PageSize: write what those
// should do.
func (s *Service) Follow(request *repliespb.FollowRequest, stream repliespb.Intake_FollowServer) error {
	ctx, stop := server.UntilDrain(stream.Context())
	defer stop()
	from := repliesevents.After(repliesevents.Position(request.GetAfter()))
	for stored, err := range s.events.TailSaleEvent(ctx, from) {
		if err != nil {
			return err
		}
		err = stream.Send(&repliespb.FollowResponse{
			Event:        stored.Message,
			Position:     int64(stored.Position),
			EventId:      stored.ID,
			RecordedTime: eventlog.Timestamp(stored.Recorded),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

package intake

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb/repliesevents"
)

// FollowLists sends the stored events after the requested position, and then
// each new one. It ignores request.Filter and request.PageSize: write what
// those should do.
func (s *Service) FollowLists(request *repliespb.FollowRequest, stream repliespb.Intake_FollowListsServer) error {
	ctx, stop := server.UntilDrain(stream.Context())
	defer stop()
	from := repliesevents.After(repliesevents.Position(request.GetAfter()))
	for stored, err := range s.events.TailSaleEvent(ctx, from) {
		if err != nil {
			return err
		}
		err = stream.Send(&repliespb.FollowListsResponse{
			Events:   []*repliespb.SaleEvent{stored.Message},
			Position: proto.Int64(int64(stored.Position)),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

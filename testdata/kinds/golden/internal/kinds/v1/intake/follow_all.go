package intake

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindsevents"
)

// FollowAll sends the stored events, and then each new one.
func (s *Service) FollowAll(request *emptypb.Empty, stream kindspb.Intake_FollowAllServer) error {
	ctx, stop := server.UntilDrain(stream.Context())
	defer stop()
	from := kindsevents.From{}
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

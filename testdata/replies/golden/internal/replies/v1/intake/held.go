package intake

import (
	"context"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
)

// Held stores the event and then acknowledges it. It ignores request.Parent and
// request.DryRun: write what those should do.
func (s *Service) Held(ctx context.Context, request *repliespb.HeldRequest) (*repliespb.OptionalReply, error) {
	receipts, err := s.events.AppendSaleEvent(ctx, request.GetEvent())
	if err != nil {
		return nil, err
	}
	recorded, err := s.events.RecordedTime(ctx, receipts[0])
	if err != nil {
		return nil, err
	}
	return &repliespb.OptionalReply{
		Accepted:       proto.Uint32(1),
		Message:        proto.String("stored"),
		Position:       proto.Int64(int64(receipts[0].Position)),
		EventId:        proto.String(receipts[0].ID),
		Duplicate:      proto.Bool(receipts[0].Duplicate),
		RecordedTimeMs: proto.Int64(eventlog.UnixNumber(recorded, time.Millisecond)),
	}, nil
}

package receiver

import (
	"context"
	"log/slog"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"example.com/receiver/gen/receiverpb"
)

// Receive refuses what our apps should never send, stores the rest, and says how.
func (in *Intake) Receive(ctx context.Context, event *receiverpb.Event) (*receiverpb.Reply, error) {
	if event.GetXwhat() == "forbidden" {
		return nil, status.Error(codes.PermissionDenied, "this must not be sent")
	}
	receipts, err := in.store.AppendEvent(ctx, event)
	if err != nil {
		return nil, err
	}
	for _, receipt := range receipts {
		slog.DebugContext(ctx, "stored", "position", receipt.Position, "duplicate", receipt.Duplicate, "durability", receipt.Durability)
	}
	return &receiverpb.Reply{Message: in.greeting + ", " + event.GetXwho() + "!"}, nil
}

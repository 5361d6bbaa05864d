package shop

import (
	"context"
	"log/slog"

	commonv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/common/v1"
	shopv2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v2"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/foreign/golden/gen/house/shop/v2/shopv2events"
)

// consumerName is the name by which the log knows what was handled. A consumer of
// another name begins with the first event.
const consumerName = "house.shop.v2.Shop"

// Consume handles stored events until ctx ends, each at least once, and those of
// one source and subject in order. It gets all events of these types in the log,
// whichever service stored them.
func (s *Service) Consume(ctx context.Context) error {
	return s.events.Consume(ctx, consumerName,
		shopv2events.OnCommonv1Event(s.storedCommonv1Event),
		shopv2events.OnEvent(s.storedEvent),
	)
}

// storedCommonv1Event handles a stored event. If it returns an error, it is called again
// later; after ten tries the event goes to the dead letters.
func (s *Service) storedCommonv1Event(ctx context.Context, event shopv2events.Stored[*commonv1.Event]) error {
	slog.InfoContext(ctx, "stored", "position", event.Position, "source", event.Source, "id", event.ID, "type", event.Type, "subject", event.Subject)
	return nil
}

// storedEvent handles a stored event. If it returns an error, it is called again
// later; after ten tries the event goes to the dead letters.
func (s *Service) storedEvent(ctx context.Context, event shopv2events.Stored[*shopv2.Event]) error {
	slog.InfoContext(ctx, "stored", "position", event.Position, "source", event.Source, "id", event.ID, "type", event.Type, "subject", event.Subject)
	return nil
}

package intake

import (
	"context"
	"log/slog"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb/repliesevents"
)

// consumerName is the name by which the log knows what was handled. A consumer of
// another name begins with the first event.
const consumerName = "replies.v1.Intake"

// Consume handles stored events until ctx ends, each at least once, and those of
// one source and subject in order. It gets all events of these types in the log,
// whichever service stored them.
func (s *Service) Consume(ctx context.Context) error {
	return s.events.Consume(ctx, consumerName,
		repliesevents.OnSaleEvent(s.storedSaleEvent),
	)
}

// storedSaleEvent handles a stored event. If it returns an error, it is called again
// later; after ten tries the event goes to the dead letters.
func (s *Service) storedSaleEvent(ctx context.Context, event repliesevents.Stored[*repliespb.SaleEvent]) error {
	slog.InfoContext(ctx, "stored", "position", event.Position, "source", event.Source, "id", event.ID, "type", event.Type, "subject", event.Subject)
	return nil
}

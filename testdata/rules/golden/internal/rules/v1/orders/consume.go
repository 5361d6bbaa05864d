package orders

import (
	"context"
	"log/slog"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1/rulesv1events"
)

// consumerName is the name by which the log knows what was handled. A consumer of
// another name begins with the first event.
const consumerName = "rules.v1.Orders"

// Consume handles stored events until ctx ends, each at least once, and those of
// one source and subject in order. It gets all events of these types in the log,
// whichever service stored them.
func (s *Service) Consume(ctx context.Context) error {
	return s.events.Consume(ctx, consumerName,
		rulesv1events.OnOrderEvent(s.storedOrderEvent),
	)
}

// storedOrderEvent handles a stored event. If it returns an error, it is called again
// later; after ten tries the event goes to the dead letters.
func (s *Service) storedOrderEvent(ctx context.Context, event rulesv1events.Stored[*rulesv1.OrderEvent]) error {
	slog.InfoContext(ctx, "stored", "position", event.Position, "source", event.Source, "id", event.ID, "type", event.Type, "subject", event.Subject)
	return nil
}

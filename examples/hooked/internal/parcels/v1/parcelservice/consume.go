package parcelservice

import (
	"context"
	"log/slog"

	parcelsv1 "example.com/hooked/gen/parcels/v1"
	"example.com/hooked/gen/parcels/v1/parcelsv1events"
)

// consumerName is the name by which the log knows what was handled. A consumer of
// another name begins with the first event.
const consumerName = "parcels.v1.ParcelService"

// Consume handles stored events until ctx ends, each at least once, and those of
// one source and subject in order. It gets all events of these types in the log,
// whichever service stored them.
func (s *Service) Consume(ctx context.Context) error {
	return s.events.Consume(ctx, consumerName,
		parcelsv1events.OnScanEvent(s.storedScanEvent),
	)
}

// storedScanEvent handles a stored event. If it returns an error, it is called again
// later; after ten tries the event goes to the dead letters.
func (s *Service) storedScanEvent(ctx context.Context, event parcelsv1events.Stored[*parcelsv1.ScanEvent]) error {
	slog.InfoContext(ctx, "stored", "position", event.Position, "source", event.Source, "id", event.ID, "type", event.Type, "subject", event.Subject)
	return nil
}

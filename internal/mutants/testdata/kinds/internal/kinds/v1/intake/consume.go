package intake

import (
	"context"
	"slices"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindsevents"
)

// consumerName is the name by which the log knows what was handled. A consumer of
// another name begins with the first event.
const consumerName = "kinds.v1.Intake"

// Consume handles stored events until ctx ends, each at least once, and those of
// one source and subject in order. It gets all events of these types in the log,
// whichever service stored them.
func (s *Service) Consume(ctx context.Context) error {
	return s.events.Consume(ctx, consumerName,
		kindsevents.OnClickEvent(s.storedClickEvent),
	)
}

// storedClickEvent adds an event to the clicks of its user, once.
func (s *Service) storedClickEvent(ctx context.Context, event kindsevents.Stored[*kindspb.ClickEvent]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	user := event.Message.GetUserId()
	clicks := s.clicks[user]
	if slices.ContainsFunc(clicks, func(c click) bool { return c.at == event.Position }) {
		return nil // handled before
	}
	s.clicks[user] = append(clicks, click{event.ID, event.Position})
	return nil
}

// handled returns the ids of the events that were handled, those of a user in their order.
func (s *Service) handled() (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, clicks := range s.clicks {
		for _, click := range clicks {
			ids = append(ids, click.id)
		}
	}
	return ids
}

// positions returns where the clicks of a user are in the log.
func (s *Service) positions(user string) (at []kindsevents.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, click := range s.clicks[user] {
		at = append(at, click.at)
	}
	return at
}

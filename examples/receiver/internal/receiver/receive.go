package receiver

import (
	"context"

	"example.com/receiver/gen/receiverpb"
)

// Receive stores the event and then acknowledges it.
func (s *Service) Receive(ctx context.Context, event *receiverpb.Event) (*receiverpb.Reply, error) {
	if _, err := s.events.AppendEvent(ctx, event); err != nil {
		return nil, err
	}
	return &receiverpb.Reply{Message: "Hello, " + event.GetXwho() + "!"}, nil
}

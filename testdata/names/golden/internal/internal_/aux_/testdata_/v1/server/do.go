package server

import (
	"context"

	context2 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"
)

// Do stores the event and then acknowledges it.
func (s *Service) Do(ctx context.Context, event *context2.ClientEvent) (*context2.Err, error) {
	if _, err := s.events.AppendClientEvent(ctx, event); err != nil {
		return nil, err
	}
	return &context2.Err{}, nil
}

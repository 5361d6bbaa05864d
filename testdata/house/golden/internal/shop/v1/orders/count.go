package orders

import (
	"context"
	"errors"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/house/golden/gen/shop/v1"
)

// Count is this house's skeleton.
func (s *Service) Count(context.Context, *shopv1.CountRequest) (*shopv1.Reply, error) {
	return nil, errors.New("Count is not written yet")
}

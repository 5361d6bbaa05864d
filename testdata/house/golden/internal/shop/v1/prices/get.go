package prices

import (
	"context"
	"errors"

	shopv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/house/golden/gen/shop/v1"
)

// Get is this house's skeleton.
func (s *Service) Get(context.Context, *shopv1.CountRequest) (*shopv1.Reply, error) {
	return nil, errors.New("Get is not written yet")
}

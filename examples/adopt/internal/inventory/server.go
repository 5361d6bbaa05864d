package inventory

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	inventoryv1 "example.com/inventory/gen/inventory/v1"
)

// Server implements inventoryv1.InventoryServiceServer.
type Server struct {
	inventoryv1.UnimplementedInventoryServiceServer

	store *Store
}

// NewServer returns a server of what is in a store.
func NewServer(store *Store) *Server { return &Server{store: store} }

// GetStock returns the stock of an article.
func (s *Server) GetStock(ctx context.Context, request *inventoryv1.GetStockRequest) (*inventoryv1.GetStockResponse, error) {
	quantity, err := s.store.Quantity(ctx, request.GetSku())
	if err != nil {
		return nil, err
	}
	return &inventoryv1.GetStockResponse{Quantity: quantity}, nil
}

// SetStock sets the stock of an article.
func (s *Server) SetStock(ctx context.Context, request *inventoryv1.SetStockRequest) (*inventoryv1.SetStockResponse, error) {
	if request.GetSku() == "" || request.GetQuantity() < 0 {
		return nil, status.Error(codes.InvalidArgument, "want a sku, and a quantity of 0 or more")
	}
	if err := s.store.Set(ctx, request.GetSku(), request.GetQuantity()); err != nil {
		return nil, err
	}
	return &inventoryv1.SetStockResponse{}, nil
}

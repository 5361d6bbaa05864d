package parcelservice

import (
	parcelsv1 "example.com/hooked/gen/parcels/v1"
	"example.com/hooked/gen/parcels/v1/parcelsv1events"
	"example.com/hooked/internal/receiver-runtime/server"
)

// Follow sends the stored scans after a position, and then each new one.
func (s *Service) Follow(request *parcelsv1.FollowRequest, stream parcelsv1.ParcelService_FollowServer) error {
	ctx, stop := server.UntilDrain(stream.Context())
	defer stop()
	from := parcelsv1events.After(parcelsv1events.Position(request.GetAfter()))
	for stored, err := range s.events.TailScanEvent(ctx, from) {
		if err != nil {
			return err
		}
		err = stream.Send(&parcelsv1.FollowResponse{
			Scan:     stored.Message,
			Position: uint64(stored.Position),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Package clickstreamservice implements the service clickstream.v1.ClickstreamService, one file per RPC.
package clickstreamservice

import (
	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
	"example.com/clickstream/gen/clickstream/v1/clickstreamv1events"
	"example.com/clickstream/internal/pageviews"
)

// Service implements clickstreamv1.ClickstreamServiceServer.
//
// ClickstreamService collects what visitors do on web sites, and counts the
// views of their pages.
type Service struct {
	clickstreamv1.UnimplementedClickstreamServiceServer // answers RPCs that have no method here

	events *clickstreamv1events.Log
	counts *pageviews.Counts
}

// New returns the service. It stores events in the given log, and counts views in counts.
func New(events *clickstreamv1events.Log, counts *pageviews.Counts) *Service {
	return &Service{events: events, counts: counts}
}

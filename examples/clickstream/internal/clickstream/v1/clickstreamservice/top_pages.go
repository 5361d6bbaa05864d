package clickstreamservice

import (
	"cmp"
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
)

const (
	defaultLimit = 10
	maxLimit     = 100
)

// TopPages returns the pages of a site with the most views, as far as they are counted:
// that is soon after an event is acknowledged, not before.
func (s *Service) TopPages(ctx context.Context, request *clickstreamv1.TopPagesRequest) (*clickstreamv1.TopPagesResponse, error) {
	if request.GetSite() == "" {
		return nil, status.Error(codes.InvalidArgument, "site is empty")
	}
	limit := cmp.Or(request.GetLimit(), defaultLimit)
	if limit < 0 || limit > maxLimit {
		return nil, status.Errorf(codes.InvalidArgument, "limit is %d, want at most %d", limit, maxLimit)
	}
	pages, err := s.counts.Top(ctx, request.GetSite(), int(limit))
	if err != nil {
		return nil, err
	}
	response := new(clickstreamv1.TopPagesResponse)
	for _, page := range pages {
		response.Pages = append(response.Pages, &clickstreamv1.Page{Path: page.Path, Views: page.Views})
	}
	return response, nil
}

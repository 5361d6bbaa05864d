package clickstreamservice

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
	"example.com/clickstream/gen/clickstream/v1/clickstreamv1events"
	"example.com/clickstream/gen/clickstream/v1/clickstreamv1server"
	"example.com/clickstream/gen/clickstream/v1/clickstreamv1test"
	"example.com/clickstream/internal/pageviews"
	"example.com/clickstream/internal/receiver-runtime/servertest"
)

func TestTopPages(t *testing.T) {
	service := newService(t, clickstreamv1events.New(servertest.Log(t)))
	client := clickstreamv1test.Serve(t, clickstreamv1server.ClickstreamService(service)).ClickstreamService()
	for i := range maxLimit + 1 {
		path := fmt.Sprintf("/%03d", i)
		if err := service.counts.Add(t.Context(), pageviews.View{Site: site, ID: path, Path: path}); err != nil {
			t.Fatal(err)
		}
	}
	if err := service.counts.Add(t.Context(), pageviews.View{Site: site, ID: "again", Path: "/050"}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		site        string
		limit       int32
		want        codes.Code
		pages       int
		first, last string
	}{
		{site, 0, codes.OK, 10, "/050", "/008"},
		{site, 1, codes.OK, 1, "/050", "/050"},
		{site, 100, codes.OK, 100, "/050", "/099"},
		{site, 101, codes.InvalidArgument, 0, "", ""},
		{site, -1, codes.InvalidArgument, 0, "", ""},
		{"", 1, codes.InvalidArgument, 0, "", ""},
		{"other.example", 1, codes.OK, 0, "", ""},
	} {
		response, err := client.TopPages(t.Context(), &clickstreamv1.TopPagesRequest{Site: test.site, Limit: test.limit})
		pages := response.GetPages()
		if status.Code(err) != test.want || len(pages) != test.pages {
			t.Errorf("%d pages of %q are %v (%v), want %d and code %v", test.limit, test.site, pages, err, test.pages, test.want)
			continue
		}
		if test.pages > 0 && (pages[0].GetPath() != test.first || pages[len(pages)-1].GetPath() != test.last) {
			t.Errorf("%d pages of %q are %v, want %s to %s", test.limit, test.site, pages, test.first, test.last)
		}
	}
}

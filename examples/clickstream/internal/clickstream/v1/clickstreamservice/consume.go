package clickstreamservice

import (
	"context"
	"fmt"
	"net/url"
	"path"

	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
	"example.com/clickstream/gen/clickstream/v1/clickstreamv1events"
	"example.com/clickstream/internal/pageviews"
)

// consumerName is the name by which the log knows what was handled. A consumer of
// another name begins with the first event.
const consumerName = "clickstream.v1.ClickstreamService"

// Consume counts the views among the stored events until ctx ends. It takes many events
// at once, because each call of the handler is a transaction, which is synced to the disk.
func (s *Service) Consume(ctx context.Context) error {
	return s.events.ConsumeClickEventBatches(ctx, consumerName, s.countViews)
}

// countViews counts the views among stored events. If it returns an error, it is called
// again for each event alone: so one that can't be counted doesn't hold up the others.
func (s *Service) countViews(ctx context.Context, events []clickstreamv1events.Stored[*clickstreamv1.ClickEvent]) error {
	var views []pageviews.View
	for _, event := range events {
		if event.Type != "view" {
			continue
		}
		page, err := pagePath(event.Message.GetUrl())
		if err != nil {
			return clickstreamv1events.GiveUp(err) // to the dead letters: another try would end the same
		}
		views = append(views, pageviews.View{Site: event.Source, ID: event.ID, Path: page})
	}
	return s.counts.Add(ctx, views...)
}

// pagePath returns the path of the page at an address, such as "/cart", without what
// differs from visitor to visitor: the query, the fragment, a slash at the end.
func pagePath(address string) (string, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	if parsed.Scheme != "https" && parsed.Scheme != "http" || parsed.Host == "" {
		return "", fmt.Errorf("url %q: want the address of a page, such as https://shop.example/cart", address)
	}
	return path.Clean("/" + parsed.Path), nil
}

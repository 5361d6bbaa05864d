package clickstreamservice

import (
	"fmt"
	"maps"
	"testing"

	clickstreamv1 "example.com/clickstream/gen/clickstream/v1"
	"example.com/clickstream/gen/clickstream/v1/clickstreamv1events"
	"example.com/clickstream/internal/receiver-runtime/eventlog"
	"example.com/clickstream/internal/receiver-runtime/servertest"
)

const site = "shop.example"

// click is an event of a visitor.
func click(id, kind, address string) *clickstreamv1.ClickEvent {
	return &clickstreamv1.ClickEvent{EventId: id, Site: site, EventType: kind, Visitor: "visitor-" + id, Url: address}
}

// store stores events in a log.
func store(t *testing.T, log eventlog.Log, events ...*clickstreamv1.ClickEvent) {
	t.Helper()
	if _, err := clickstreamv1events.New(log).AppendClickEvent(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
}

// expectViews checks what a service has counted.
func expectViews(t *testing.T, service *Service, want map[string]int64) {
	t.Helper()
	pages, err := service.counts.Top(t.Context(), site, maxLimit)
	got := map[string]int64{}
	for _, page := range pages {
		got[page.Path] = page.Views
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("the views are %v (%v), want %v", got, err, want)
	}
}

// TestConsume tests that views of one page are counted together, and nothing else is.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	store(t, log,
		click("1", "view", "https://shop.example"),
		click("2", "view", "https://shop.example/cart?session=17#total"),
		click("3", "view", "https://shop.example/cart/"),
		click("4", "click", "https://shop.example/cart"),
		click("5", "click", "not the address of a page"),
	)
	service := newService(t, clickstreamv1events.New(log))
	servertest.Consume(t, log, consumerName, service.Consume)
	expectViews(t, service, map[string]int64{"/": 1, "/cart": 2})
}

// TestConsumeGoesOn restarts the consumer. The second one has counts of its own, so they
// show what it handled: what the first one had not.
func TestConsumeGoesOn(t *testing.T) {
	log := servertest.Log(t)
	store(t, log, click("1", "view", "https://shop.example/before"))
	first := newService(t, clickstreamv1events.New(log))
	servertest.Consume(t, log, consumerName, first.Consume)
	store(t, log, click("2", "view", "https://shop.example/after"))
	second := newService(t, clickstreamv1events.New(log))
	servertest.Consume(t, log, consumerName, second.Consume)
	expectViews(t, first, map[string]int64{"/before": 1})
	expectViews(t, second, map[string]int64{"/after": 1})
}

// TestEventsThatComeAgainCountOnce deletes the consumer's position, as a crash loses the
// last of it. All events come again, and those that were counted are not counted again.
func TestEventsThatComeAgainCountOnce(t *testing.T) {
	log := servertest.Log(t)
	service := newService(t, clickstreamv1events.New(log))
	for _, id := range []string{"1", "2"} {
		store(t, log, click(id, "view", "https://shop.example/cart"))
		servertest.Consume(t, log, consumerName, service.Consume)
		hold, err := log.Hold(t.Context(), consumerName)
		if err != nil {
			t.Fatal(err)
		}
		if err := hold.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	servertest.Consume(t, log, consumerName, service.Consume)
	expectViews(t, service, map[string]int64{"/cart": 2})
}

// TestAPoisonEventGoesToTheDeadLetters has events among views whose pages are unknown.
// The views before and after them are counted.
func TestAPoisonEventGoesToTheDeadLetters(t *testing.T) {
	log := servertest.Log(t)
	store(t, log,
		click("1", "view", "https://shop.example/cart"),
		click("2", "view", "about:blank"),
		click("3", "view", "https://shop.example/cart"),
		click("4", "view", "https://shop.example/%zz"),
		click("5", "view", "https://shop.example/cart"),
	)
	service := newService(t, clickstreamv1events.New(log))
	dead := map[string]string{}
	for _, letter := range servertest.DeadLetters(t, log, consumerName, service.Consume) {
		dead[letter.ID] = letter.Reason
		if letter.Tries > 2 {
			t.Errorf("event %s was tried %d times, want once with the others and once alone", letter.ID, letter.Tries)
		}
	}
	want := map[string]string{
		"2": `url "about:blank": want the address of a page, such as https://shop.example/cart`,
		"4": `parse "https://shop.example/%zz": invalid URL escape "%zz"`,
	}
	if !maps.Equal(dead, want) {
		t.Errorf("the dead letters are %v, want %v", dead, want)
	}
	expectViews(t, service, map[string]int64{"/cart": 3})
}

func TestPagePath(t *testing.T) {
	for address, want := range map[string]string{
		"https://shop.example":                  "/",
		"http://shop.example/":                  "/",
		"https://shop.example:8443/a/b/?c=d#e":  "/a/b",
		"https://shop.example//a/../b":          "/b",
		"https://shop.example/caf%C3%A9":        "/café",
		"HTTPS://SHOP.example/Cart":             "/Cart",
		"":                                      "",
		"/cart":                                 "",
		"shop.example/cart":                     "",
		"https:///cart":                         "",
		"file:///home/ann/cart.html":            "",
		"https://shop.example/\x00":             "",
		"android-app://com.example.shop/https/": "",
	} {
		got, err := pagePath(address)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("the page at %q is %q (%v), want %q", address, got, err, want)
		}
	}
}

// BenchmarkConsume counts views of ten pages.
func BenchmarkConsume(b *testing.B) {
	log := servertest.Log(b)
	for first := 0; first < b.N; first += 1000 {
		var events []*clickstreamv1.ClickEvent
		for i := first; i < min(first+1000, b.N); i++ {
			events = append(events, click(fmt.Sprint(i), "view", fmt.Sprintf("https://shop.example/%d", i%10)))
		}
		if _, err := clickstreamv1events.New(log).AppendClickEvent(b.Context(), events...); err != nil {
			b.Fatal(err)
		}
	}
	service := newService(b, clickstreamv1events.New(log))
	b.ResetTimer()
	servertest.Consume(b, log, consumerName, service.Consume)
}

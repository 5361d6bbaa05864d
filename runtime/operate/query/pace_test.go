package query_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate/query"
)

// A query leaves the processor to a server that appends, whichever columns it is about, and
// does not wait for one that doesn't.
func TestQueriesPauseWhileOthersAppend(t *testing.T) {
	kind := compile(t, orders, "shop.v1.OrderEvent")
	for _, text := range []string{
		"SELECT max(amount) FROM order_event", "SELECT count(*) FROM order_event WHERE subject = 'jerry'", "SELECT count(data) FROM events", "SELECT count(*) FROM events",
	} {
		for name, test := range map[string]struct{ others, hurry, pauses bool }{
			"alone": {false, false, false}, "beside a server": {true, false, true}, "in a hurry": {true, true, false},
		} {
			t.Run(name+" "+text, func(t *testing.T) {
				log := open(t, sqliteURL(t))
				var events []eventlog.Event
				for i := range 600 {
					events = append(events, event(t, fmt.Sprint(i), kind, paid))
				}
				mustAppend(t, log, events...)
				s, _, _ := session(t, log, query.Range{})
				var clock, slept time.Duration
				appended := 0
				s.DB.SetClock(func() time.Time {
					clock += 5 * time.Millisecond
					if appended++; test.others {
						mustAppend(t, log, event(t, fmt.Sprint("more", appended), kind, paid))
					}
					return time.Time{}.Add(time.Hour + clock)
				}, func(pause time.Duration) { slept += pause })
				if test.hurry {
					s.DB.Hurry()
				}
				if err := s.Run(t.Context(), text); err != nil {
					t.Fatal(err)
				}
				if test.pauses && slept < clock || !test.pauses && slept > 0 {
					t.Errorf("it worked for %v and paused for %v", clock, slept)
				}
			})
		}
	}
}

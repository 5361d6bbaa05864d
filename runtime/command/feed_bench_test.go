package command

import (
	"strings"
	"testing"
)

// BenchmarkFeed measures what a line costs beside sending it.
func BenchmarkFeed(b *testing.B) {
	text := strings.Repeat(userLines("a user with a name"), 10_000)
	b.SetBytes(int64(len(text) / 10_000))
	b.ReportAllocs()
	for n := 0; n < b.N; n += 10_000 {
		f := &from{command: events, parsed: &parsed{request: events.Call.request()}}
		feed, err := f.feeder(&source{reader: strings.NewReader(text), size: int64(len(text))})
		if err != nil {
			b.Fatal(err)
		}
		feed.lane, feed.patience = fakeLane(func(string, [][]byte) laneAnswer { return laneAnswer{} }), 1<<40
		feed.refuse = func([]rejection) error { return nil }
		if err := feed.run(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

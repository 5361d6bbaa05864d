package query_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate/query"
)

func TestTimesAreFormattedAsPackageTimeDoes(t *testing.T) {
	first, last := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
	random := rand.New(rand.NewPCG(1, 1))
	for i := range 10_000 {
		seconds, nanos := first+random.Int64N(last-first), random.Int32N(1e9)
		switch i {
		case 0:
			seconds, nanos = first, 0
		case 1:
			seconds, nanos = last, 999_999_999
		case 2:
			seconds, nanos = -1, 1
		}
		want := time.Unix(seconds, int64(nanos)).UTC().Format("2006-01-02T15:04:05.000000000Z")
		if got, err := query.FormatTimestamp(seconds, nanos); err != nil || got != want {
			t.Fatalf("%d, %d: got %s (%v), want %s", seconds, nanos, got, err, want)
		}
	}
	for _, outside := range []int64{first - 1, last + 1} {
		if got, err := query.FormatTimestamp(outside, 0); err == nil {
			t.Errorf("%d: got %s, want an error", outside, got)
		}
	}
}

func BenchmarkTimestamp(b *testing.B) {
	for b.Loop() {
		if _, err := query.FormatTimestamp(1796000000, 0); err != nil {
			b.Fatal(err)
		}
	}
}

package sqlite

import (
	"testing"
	"time"
)

func FuzzTimesAreReadAsTheTimePackageDoes(f *testing.F) {
	for _, text := range []string{
		"2026-11-22T17:05:00.000000070Z", "0001-01-01T00:00:00.000000001Z", "9999-12-31T23:59:59.999999999Z", "2024-02-29T12:00:00.500000000Z",
		"", "2026-11-22", "2026-11-22T17:05:00Z", "2026-11-22T17:05:00.00000007xZ", "2026-11-22 17:05:00.000000070Z", "２026-11-22T17:05:00.0000000Z",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, wrong := time.Parse(timeFormat, text)
		got, err := parseTime(text)
		if wrong == nil && len(text) == len(timeFormat) && (err != nil || !got.Equal(want) || got.Location() != time.UTC) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
		if err == nil && formatTime(got) != got.Format(timeFormat) {
			t.Errorf("%v is formatted as %s", got, formatTime(got))
		}
	})
}

package spelling_test

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/spelling"
)

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "event", 5}, {"event", "event", 0},
		{"evnt", "event", 1}, {"events", "event", 1}, {"avent", "event", 1},
		{"reciever", "receiver", 1}, {"reveiver", "receiver", 1}, {"tial", "tail", 1}, {"subject", "source", 5},
	} {
		if got := spelling.Distance(test.a, test.b); got != test.want {
			t.Errorf("from %q to %q it is %d, want %d", test.a, test.b, got, test.want)
		}
		if got := spelling.Distance(test.b, test.a); got != test.want {
			t.Errorf("from %q to %q it is %d, want %d", test.b, test.a, got, test.want)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"event", "plain", "tail"}
	for word, want := range map[string]string{"Evnt": "event", "plian": "plain", "colour": "", "": ""} {
		if got := spelling.Nearest(word, words); got != want {
			t.Errorf("the nearest to %q is %q, want %q", word, got, want)
		}
	}
}

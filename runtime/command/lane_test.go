package command

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestASmallCallThatFindsNoRoomIsTriedAgain(t *testing.T) {
	full := status.Error(codes.ResourceExhausted, "full")
	for name, test := range map[string]struct {
		answer laneAnswer
		tries  int
		want   outcome
	}{
		"small":             {laneAnswer{err: full, size: 100}, 10, again},
		"small, for long":   {laneAnswer{err: full, size: 100}, mostTries, refused},
		"large":             {laneAnswer{err: full, size: smallCall}, 1, refused},
		"large with a time": {laneAnswer{err: full, size: smallCall, retryAfter: time.Second}, 1, again},
	} {
		if got := outcomeOf(test.answer, test.tries); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

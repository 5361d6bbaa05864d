package servertest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// pair is two RPCs, each of which is answered once both are called at the same time.
func pair(answer error) func(testing.TB) map[string]func(context.Context) error {
	return func(testing.TB) map[string]func(context.Context) error {
		one, two := make(chan struct{}), make(chan struct{})
		call := func(mine, other chan struct{}) func(context.Context) error {
			called := sync.OnceFunc(func() { close(mine) })
			return func(ctx context.Context) error {
				called()
				select {
				case <-other:
					return answer
				case <-ctx.Done():
					return errors.New("nobody called the other")
				}
			}
		}
		return map[string]func(context.Context) error{"/a.B/One": call(one, two), "/a.B/Two": call(two, one)}
	}
}

// TestCallsAreMadeTogether of different RPCs, and have to be answered.
func TestCallsAreMadeTogether(t *testing.T) {
	t.Run("right", func(t *testing.T) {
		Together(t, Options{Callers: 2}, pair(status.Error(codes.NotFound, "there is none")))
	})
	t.Run("wrong", func(t *testing.T) {
		fails(t, "rpc a.B.One: a call while others were made ended with", func(t *testing.T) {
			Together(t, Options{Callers: 2}, pair(errors.New("lost")))
		})
	})
}

// TestCallsOfAMeetingBeginTogether: none goes on before all are there.
func TestCallsOfAMeetingBeginTogether(t *testing.T) {
	short(t, &patience, time.Minute) // it is long here
	together := meeting(8)
	outgoing, _ := metadata.FromOutgoingContext(together(t.Context()))
	ctx := metadata.NewIncomingContext(t.Context(), outgoing)
	var came atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			came.Add(1)
			if meet(ctx); came.Load() < 8 {
				t.Error("one went on before all were there")
			}
		})
	}
	group.Wait()
}

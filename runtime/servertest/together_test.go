package servertest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
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

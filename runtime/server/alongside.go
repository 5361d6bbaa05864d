package server

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Alongside has something run for as long as the server serves, such as a
// consumer of the events that it stores. It is started when serving starts. Its
// context ends when the server drains, which then waits for it as for calls
// under way. If it returns an error before, the server drains and ends with
// that; if it returns nil, the server goes on without it.
func Alongside(name string, run func(context.Context) error) Option {
	return companion{name, run}
}

type companion struct {
	name string
	run  func(context.Context) error
}

func (c companion) apply(all *services) { all.alongside = append(all.alongside, c) }

// company is what runs alongside.
type company struct {
	leave  context.CancelFunc
	failed chan error    // receives the first error
	gone   chan struct{} // closed once nothing runs any more

	mu      sync.Mutex
	running []string // names
}

// accompany starts what runs alongside.
func accompany(ctx context.Context, companions []companion) *company {
	ctx, leave := context.WithCancel(context.WithoutCancel(ctx))
	c := &company{leave: leave, failed: make(chan error, 1), gone: make(chan struct{})}
	var group sync.WaitGroup
	for _, companion := range companions {
		c.running = append(c.running, companion.name)
	}
	for _, companion := range companions {
		group.Go(func() {
			err := companion.run(ctx)
			c.left(companion.name)
			if err != nil {
				select {
				case c.failed <- fmt.Errorf("%s: %w", companion.name, err):
				default: // another was first
				}
			}
		})
	}
	go func() {
		group.Wait()
		close(c.gone)
	}()
	return c
}

func (c *company) left(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.running, name)
	c.running = slices.Delete(c.running, i, i+1)
}

// names are those that still run.
func (c *company) names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.running)
}

// failure is the first error, or nil if there is none.
func (c *company) failure() error {
	select {
	case err := <-c.failed:
		return err
	default:
		return nil
	}
}

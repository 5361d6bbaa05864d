package server

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Alongside runs a function for as long as the server serves, such as a
// consumer of the events that the server stores. The server starts it when
// serving starts, cancels its context when it drains, and then waits for it as
// it waits for calls under way. If the function returns an error before that,
// the server drains and returns the error. If it returns nil, the server goes
// on without it.
func Alongside(name string, run func(context.Context) error) Option {
	return option(func(all *services) { all.alongside = append(all.alongside, companion{name, run}) })
}

type companion struct {
	name string
	run  func(context.Context) error
}

// companions are the functions that run alongside.
type companions struct {
	cancel context.CancelFunc
	failed chan error    // receives the first error
	ended  chan struct{} // closed once all have returned

	mu      sync.Mutex
	running []string // names
}

// startAll starts all functions that run alongside.
func startAll(ctx context.Context, all []companion) *companions {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &companions{cancel: cancel, failed: make(chan error, 1), ended: make(chan struct{})}
	var group sync.WaitGroup
	for _, companion := range all {
		c.running = append(c.running, companion.name)
	}
	for _, companion := range all {
		group.Go(func() {
			err := companion.run(ctx)
			c.remove(companion.name)
			if err != nil {
				select {
				case c.failed <- fmt.Errorf("%s: %w", companion.name, err):
				default: // only the first error is kept
				}
			}
		})
	}
	go func() {
		group.Wait()
		close(c.ended)
	}()
	return c
}

// remove takes a function that has returned off the list of those that run.
func (c *companions) remove(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.running, name)
	c.running = slices.Delete(c.running, i, i+1)
}

// stillRunning returns the names of the functions that have not returned.
func (c *companions) stillRunning() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.running)
}

// firstError returns the first error of a function, or nil if there is none.
func (c *companions) firstError() error {
	select {
	case err := <-c.failed:
		return err
	default:
		return nil
	}
}

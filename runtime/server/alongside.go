//runtime:with rejected console server.Needs server.ReportHealth

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
	return option(func(all *services) { alongsideOf(all).add(name, run) })
}

// allAlongside is all that runs alongside a server, and its needs.
type allAlongside struct {
	readiness
	all    []companion
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu    sync.Mutex
	names []string // of those that run
}

type companion struct {
	name string
	run  func(context.Context) error
}

func alongsideOf(all *services) *allAlongside {
	if all.alongside == nil {
		all.alongside = &allAlongside{}
	}
	return all.alongside.(*allAlongside)
}

func (all *allAlongside) add(name string, run func(context.Context) error) {
	all.all, all.names = append(all.all, companion{name, run}), append(all.names, name)
}

func (all *allAlongside) start(ctx context.Context) <-chan error {
	ctx, all.cancel = context.WithCancel(context.WithoutCancel(ctx))
	failed := make(chan error, 1)
	for _, companion := range all.all {
		all.group.Go(func() {
			err := companion.run(ctx)
			all.remove(companion.name)
			if err != nil {
				select {
				case failed <- fmt.Errorf("%s: %w", companion.name, err):
				default: // only the first error is kept
				}
			}
		})
	}
	return failed
}

// remove takes a function that has returned off the list of those that run.
func (all *allAlongside) remove(name string) {
	all.mu.Lock()
	defer all.mu.Unlock()
	i := slices.Index(all.names, name)
	all.names = slices.Delete(all.names, i, i+1)
}

func (all *allAlongside) end() {
	all.cancel()
	all.group.Wait()
}

func (all *allAlongside) running() []string {
	all.mu.Lock()
	defer all.mu.Unlock()
	return slices.Clone(all.names)
}

package server

import (
	"context"
	"sync"
	"time"
)

// Needs has the server be ready only while a check succeeds, such as that of
// its event log. It is made about once a second, and must return within five.
// While it fails the health of all services is NOT_SERVING, so that load
// balancers send calls elsewhere; those that come are answered all the same.
func Needs(name string, check func(context.Context) error) Option {
	return need{name, check}
}

type need struct {
	name  string
	check func(context.Context) error
}

func (n need) apply(all *services) { all.needs = append(all.needs, n) }

const (
	checkInterval = time.Second
	checkTimeout  = 5 * time.Second
)

// readiness is which needs are met. At first none is.
type readiness struct {
	mu    sync.Mutex
	unmet map[int]bool // by their indexes
}

// watchNeeds checks needs until the server drains.
func (s *Server) watchNeeds() {
	ready := readiness{unmet: map[int]bool{}}
	for i := range s.needs {
		ready.unmet[i] = true
	}
	for i, need := range s.needs {
		go func() {
			for said := false; ; {
				ctx, cancel := context.WithTimeout(s.health.draining, checkTimeout)
				err := need.check(ctx)
				cancel()
				switch {
				case s.health.draining.Err() != nil:
					return
				case err != nil && !said:
					s.log.Warn("not ready", "needs", need.name, "error", err)
				case err == nil && said:
					s.log.Info("ready again", "needs", need.name)
				}
				said = err != nil
				s.health.ready(ready.note(i, err == nil))
				select {
				case <-s.health.draining.Done():
					return
				case <-time.After(checkInterval):
				}
			}
		}()
	}
}

// note returns whether all needs are met.
func (r *readiness) note(i int, met bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if met {
		delete(r.unmet, i)
	} else {
		r.unmet[i] = true
	}
	return len(r.unmet) == 0
}

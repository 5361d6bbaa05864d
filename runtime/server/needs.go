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
	tell  func(ready bool)
}

// checks runs alongside, one for each need, until the server drains.
func (s *Server) checks() (checks []companion) {
	ready := readiness{unmet: map[int]bool{}, tell: s.health.ready}
	for i, need := range s.needs {
		ready.unmet[i] = true
		checks = append(checks, companion{"the check of " + need.name, func(ctx context.Context) error {
			for said := false; ; {
				err := need.checked(ctx)
				switch {
				case ctx.Err() != nil:
					return nil
				case err != nil && !said:
					s.log.Warn("not ready", "needs", need.name, "error", err)
				case err == nil && said:
					s.log.Info("ready again", "needs", need.name)
				}
				said = err != nil
				ready.note(i, err == nil)
				select {
				case <-ctx.Done():
					return nil
				case <-time.After(checkInterval):
				}
			}
		}})
	}
	return checks
}

// checked is what the check says within its time.
func (n need) checked(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return n.check(ctx)
}

// note tells whether all needs are met. Nobody else does meanwhile: what is
// told last is so.
func (r *readiness) note(i int, met bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if met {
		delete(r.unmet, i)
	} else {
		r.unmet[i] = true
	}
	r.tell(len(r.unmet) == 0)
}

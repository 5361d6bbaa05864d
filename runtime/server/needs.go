package server

import (
	"context"
	"sync"
	"time"
)

// Needs makes the server ready only while a check succeeds, such as the check
// of its event log. The server calls check about once a second, with a context
// that ends after five. While it fails, the health of all services is
// NOT_SERVING, so that load balancers send calls elsewhere; the server still
// answers the calls that come.
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

// readiness keeps which needs are not met. At first none is met.
type readiness struct {
	mu    sync.Mutex
	unmet map[int]bool // keys are the indexes of needs
	set   func(ready bool)
}

// checks returns a function to run alongside for each need. It checks the need
// until the server drains.
func (s *Server) checks() (checks []companion) {
	ready := readiness{unmet: map[int]bool{}, set: s.health.setReady}
	for i, need := range s.needs {
		ready.unmet[i] = true
		checks = append(checks, companion{"the check of " + need.name, func(ctx context.Context) error {
			for failing := false; ; {
				err := need.checkInTime(ctx)
				switch {
				case ctx.Err() != nil:
					return nil
				case err != nil && !failing:
					s.log.Warn("not ready", "needs", need.name, "error", err)
				case err == nil && failing:
					s.log.Info("ready again", "needs", need.name)
				}
				failing = err != nil
				ready.record(i, err == nil)
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

// checkInTime runs the check with its timeout.
func (n need) checkInTime(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return n.check(ctx)
}

// record records whether a need is met, and sets whether all are. It holds the
// lock during both, so that the value that is set last is the current one.
func (r *readiness) record(i int, met bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if met {
		delete(r.unmet, i)
	} else {
		r.unmet[i] = true
	}
	r.set(len(r.unmet) == 0)
}

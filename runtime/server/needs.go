package server

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Needs makes services ready only while a check succeeds, such as the check of the
// event log. The services are those named, such as "shop.v1.Orders", or all without a
// name. The server calls check about once a second, with a context that ends after five.
// While it fails, the health of the services is NOT_SERVING, so that load balancers send
// calls elsewhere; the server still answers the calls that come. The health of the server
// as a whole, whose name is empty, is NOT_SERVING while any check fails.
func Needs(name string, check func(context.Context) error, services ...string) Option {
	return need{name, check, services}
}

type need struct {
	name     string
	check    func(context.Context) error
	services []string // none for all
}

func (n need) apply(all *services) { all.needs = append(all.needs, n) }

// isOf reports whether a service has the need, or with an empty name the server.
func (n need) isOf(service string) bool {
	return service == "" || len(n.services) == 0 || slices.Contains(n.services, service)
}

const (
	checkInterval = time.Second
	checkTimeout  = 5 * time.Second
)

// readiness keeps which needs are met. At first none is.
type readiness struct {
	health   func(service string, ready bool) // sets it
	services []string                         // whose health is set; one has the empty name of the server
	needs    []need

	mu     sync.Mutex
	states []NeedState // by the index of needs
}

// NeedState says how one of the [Needs] of a server is now.
type NeedState struct {
	Name string
	// Err is the error of the last check; nil if the need is met.
	Err error
	// Since is when the need began to be met, or not to be.
	Since time.Time
}

// errUnchecked is the error of a need at first.
var errUnchecked = errors.New("it has not been checked yet")

// Readiness returns the states of all needs, and whether the server is leaving: it stops,
// and load balancers are to send calls elsewhere. It is ready if it is not leaving and
// all needs are met.
func (s *Server) Readiness() (needs []NeedState, leaving bool) {
	s.readiness.mu.Lock()
	defer s.readiness.mu.Unlock()
	return slices.Clone(s.readiness.states), s.leaving.Load()
}

// newReadiness sets the health of services that need nothing to SERVING, and that of
// the others to NOT_SERVING.
func newReadiness(health *watchedHealth, all *services) *readiness {
	r := &readiness{services: []string{""}, needs: all.needs}
	for _, need := range all.needs {
		r.states = append(r.states, NeedState{need.name, errUnchecked, time.Now()})
	}
	r.health = func(service string, ready bool) { setHealth(health.Server, service, ready) }
	for _, service := range all.served {
		r.services = append(r.services, service.Desc.ServiceName)
	}
	r.set()
	return r
}

// checks returns a function to run alongside for each need. It checks the need
// until the server drains.
func (r *readiness) checks(log *slog.Logger) (checks []companion) {
	for i, need := range r.needs {
		checks = append(checks, companion{"the check of " + need.name, func(ctx context.Context) error {
			need.watch(ctx, log, func(err error) { r.record(i, err) })
			return nil
		}})
	}
	return checks
}

// record records the error of a check, and sets the health. It holds the lock during
// both, so that the health that is set last is the current one.
func (r *readiness) record(i int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := &r.states[i]
	changed := (state.Err == nil) != (err == nil)
	if state.Err = err; changed {
		state.Since = time.Now()
		r.set()
	}
}

// set sets the health of each service: whether all that it needs is met.
func (r *readiness) set() {
	for _, service := range r.services {
		ready := true
		for i, need := range r.needs {
			ready = ready && (r.states[i].Err == nil || !need.isOf(service))
		}
		r.health(service, ready)
	}
}

// watch checks a need until ctx ends, records the error of each check, and logs when it
// begins to fail or to succeed.
func (n need) watch(ctx context.Context, log *slog.Logger, record func(error)) {
	for failing := false; ; {
		err := n.checkInTime(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			log.Warn("not ready", "needs", n.name, "error", err)
		case err == nil && failing:
			log.Info("ready again", "needs", n.name)
		}
		failing = err != nil
		record(err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(checkInterval):
		}
	}
}

// checkInTime runs the check with its timeout.
func (n need) checkInTime(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return n.check(ctx)
}

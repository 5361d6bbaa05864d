package server

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/health"
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

	mu  sync.Mutex
	met []bool // by the index of needs
}

// newReadiness sets the health of services that need nothing to SERVING, and that of
// the others to NOT_SERVING.
func newReadiness(health *watchedHealth, all *services) *readiness {
	r := &readiness{services: []string{""}, needs: all.needs, met: make([]bool, len(all.needs))}
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
			need.watch(ctx, log, func(met bool) { r.record(i, met) })
			return nil
		}})
	}
	return checks
}

// record records whether a need is met, and sets the health. It holds the lock during
// both, so that the health that is set last is the current one.
func (r *readiness) record(i int, met bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.met[i] != met {
		r.met[i] = met
		r.set()
	}
}

// set sets the health of each service: whether all that it needs is met.
func (r *readiness) set() {
	for _, service := range r.services {
		ready := true
		for i, need := range r.needs {
			ready = ready && (r.met[i] || !need.isOf(service))
		}
		r.health(service, ready)
	}
}

// ReportHealth is [Needs] for a health service of your own. Until ctx ends it calls check
// about once a second, and sets the status of the named services to SERVING or
// NOT_SERVING. When ctx ends it sets them to NOT_SERVING, and returns. It logs to
// [slog.Default] when check begins to fail, and when it succeeds again.
func ReportHealth(ctx context.Context, to *health.Server, name string, check func(context.Context) error, services ...string) {
	set := func(met bool) {
		for _, service := range services {
			setHealth(to, service, met)
		}
	}
	set(false)
	defer set(false)
	need{name: name, check: check}.watch(ctx, slog.Default(), set)
}

// watch checks a need until ctx ends, records whether it is met, and logs when that
// changes.
func (n need) watch(ctx context.Context, log *slog.Logger, record func(met bool)) {
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
		record(!failing)
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

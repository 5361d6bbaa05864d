package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
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
			need.watch(ctx, s.log, func(met bool) { ready.record(i, met) })
			return nil
		}})
	}
	return checks
}

// ReportHealth is [Needs] for a health service of your own. Until ctx ends it calls check
// about once a second, and sets the status of the named services to SERVING or
// NOT_SERVING. When ctx ends it sets them to NOT_SERVING, and returns. It logs to
// [slog.Default] when check begins to fail, and when it succeeds again.
func ReportHealth(ctx context.Context, to *health.Server, name string, check func(context.Context) error, services ...string) {
	set := func(met bool) {
		status := grpc_health_v1.HealthCheckResponse_NOT_SERVING
		if met {
			status = grpc_health_v1.HealthCheckResponse_SERVING
		}
		for _, service := range services {
			to.SetServingStatus(service, status)
		}
	}
	set(false)
	defer set(false)
	need{name, check}.watch(ctx, slog.Default(), set)
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

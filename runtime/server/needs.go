//runtime:with rejected console server.Alongside

package server

import (
	"context"
	"errors"
	"fmt"
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

func (n need) apply(all *services) {
	of := alongsideOf(all)
	of.needs = append(of.needs, n)
}

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
	now []NeedState // by the index of needs
}

// errUnchecked is the error of a need at first.
var errUnchecked = errors.New("it has not been checked yet")

// check checks that the services which needs name are served.
func (r *readiness) check(served map[string]bool) error {
	for _, need := range r.needs {
		for _, name := range need.services {
			if !served[name] {
				return fmt.Errorf("server.Needs(%q) names the service %s, which is not served: spell it as its proto does, with its package", need.name, name)
			}
		}
	}
	return nil
}

func (r *readiness) states() []NeedState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.now)
}

// follow sets the health of services that need something to NOT_SERVING. From its start
// on, the server checks each need until it drains.
func (all *allAlongside) follow(s *Server) {
	r := &all.readiness
	r.services = []string{""}
	for _, service := range s.services {
		r.services = append(r.services, service.Desc.ServiceName)
	}
	r.health = func(service string, ready bool) { setHealth(s.health.Server, service, ready) }
	for i, need := range r.needs {
		r.now = append(r.now, NeedState{need.name, errUnchecked, time.Now()})
		all.add("the check of "+need.name, func(ctx context.Context) error {
			need.watch(ctx, s.log, func(err error) { r.record(i, err) })
			return nil
		})
	}
	r.set()
}

// record records the error of a check, and sets the health. It holds the lock during
// both, so that the health that is set last is the current one.
func (r *readiness) record(i int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := &r.now[i]
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
			ready = ready && (r.now[i].Err == nil || !need.isOf(service))
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

// ReportHealth is [Needs] for a health service of your own. Until ctx ends it calls check
// about once a second, and sets the status of the named services to SERVING or
// NOT_SERVING. When ctx ends it sets them to NOT_SERVING, and returns. It logs to
// [slog.Default] when check begins to fail, and when it succeeds again.
func ReportHealth(ctx context.Context, to *health.Server, name string, check func(context.Context) error, services ...string) {
	set := func(err error) {
		for _, service := range services {
			setHealth(to, service, err == nil)
		}
	}
	set(errUnchecked)
	defer set(errUnchecked)
	need{name: name, check: check}.watch(ctx, slog.Default(), set)
}

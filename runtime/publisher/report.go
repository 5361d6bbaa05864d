package publisher

import (
	"log/slog"
	"sync"
	"time"
)

// What is logged of events that can't be sent: the first failure, how often it still fails,
// and so many of those that are refused.
const (
	reportInterval = time.Minute
	maxLogged      = 10
)

// report logs what a publisher can't send: when that begins, and once a minute.
type report struct {
	logger *slog.Logger

	mu       sync.Mutex
	since    time.Time // when events began to fail; zero: they don't
	logged   time.Time // when it was last logged that they fail
	event    *event    // that failed last
	err      error
	tries    int64
	refusals int       // since others were counted
	counted  time.Time // when that was
	problems map[string]time.Time
}

// failing notes that an event could not be sent.
func (r *report) failing(now time.Time, e *event, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.event, r.err = e, err
	r.tries++
	if !r.since.IsZero() {
		return
	}
	r.since, r.tries = now, 1
	if now.Sub(r.logged) < reportInterval {
		return // one that fails again and again, while others are sent
	}
	r.logged = now
	r.logger.Warn("an event can't be sent; the publisher tries again", "id", e.id, "subject", e.subject, "rpc", e.route.Name, "error", err)
}

// back notes that events are sent again.
func (r *report) back(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.since.IsZero() && !r.logged.Before(r.since) && now.Sub(r.since) >= time.Second {
		r.logger.Info("events are sent again", "after", now.Sub(r.since).Round(time.Millisecond), "tries", r.tries)
	}
	r.since, r.event, r.err = time.Time{}, nil, nil
}

// progress logs that events still can't be sent, if that was not logged within the last
// minute.
func (r *report) progress(now time.Time, p *Publisher) {
	r.mu.Lock()
	since, err, e := r.since, r.err, r.event
	due := !since.IsZero() && now.Sub(r.logged) >= reportInterval
	if due {
		r.logged = now
	}
	tries := r.tries
	r.mu.Unlock()
	if !due {
		return
	}
	stats := p.Stats()
	r.logger.Warn("events still can't be sent", "since", since.UTC(), "tries", tries, "pending", stats.Pending, "bytes", stats.Bytes,
		"id", e.id, "subject", e.subject, "error", err)
}

// refused logs that an event is refused: the first ones of a minute. A publisher in memory
// keeps none.
func (r *report) refused(now time.Time, one refusal, kept bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.counted) >= reportInterval {
		r.counted, r.refusals = now, 0
	}
	if r.refusals++; r.refusals > maxLogged {
		return
	}
	text := "an event is refused, and will not be sent again"
	if kept {
		text += "; " + refusedName + " has it"
	}
	r.logger.Error(text, "id", one.event.id, "source", one.event.source,
		"subject", one.event.subject, "type", one.event.kind, "code", one.why.Code().String(), "reason", one.why.Message())
}

// failed logs a problem of the spool, at most once a minute.
func (r *report) failed(problem string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.problems == nil {
		r.problems = map[string]time.Time{}
	}
	if now := time.Now(); now.Sub(r.problems[problem]) >= reportInterval {
		r.problems[problem] = now
		r.logger.Error(problem, "error", err)
	}
}

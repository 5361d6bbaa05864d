package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

// usualSpeed makes a minute pass in 0.6 seconds. By that clock a server is scraped each
// 15 seconds, as many Prometheus do: so really each 150 ms.
const (
	usualSpeed    = 100
	usualInterval = 15 * time.Second
)

// set sets up a stage in a new folder below dir.
func set(ctx context.Context, m module, dir string, f fault) (s *stage, err error) {
	s = &stage{module: m, how: f.how}
	if s.dir, err = os.MkdirTemp(dir, "stage-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.strike())
		}
	}()
	if f.nats {
		if s.nats, err = startNATS(); err != nil {
			return s, err
		}
		s.how.flags = append(slices.Clone(s.how.flags), "--events", s.nats.url())
	}
	var secure *tls.Config
	if f.tls {
		s.how.flags, secure = append(slices.Clone(s.how.flags), tlsFlags...), anyCertificate()
		if err := putCertificate(s.dir, 90*24*time.Hour); err != nil {
			return s, err
		}
	}
	if s.at, err = freeAddresses(); err != nil {
		return s, err
	}
	if s.server, err = startServer(ctx, m.server(), s.dir, s.at, s.how); err != nil {
		return s, err
	}
	if s.caller, err = newCaller(s.server, secure); err != nil {
		return s, err
	}
	s.scraper, err = startScraper(m.deployed("prometheus.yaml"), s.server.ops, filepath.Join(s.dir, "tsdb"), newClock(cmp.Or(f.speed, usualSpeed)), cmp.Or(f.interval, usualInterval))
	return s, err
}

// strike ends all that is on the stage.
func (s *stage) strike() (err error) {
	if s.scraper != nil {
		err = errors.Join(err, s.scraper.stop())
	}
	if s.caller != nil {
		err = errors.Join(err, s.caller.close())
	}
	for _, process := range append(s.others, s.server) {
		if process != nil {
			err = errors.Join(err, process.stop())
		}
	}
	if s.nats != nil {
		err = errors.Join(err, s.nats.stop())
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// outcome is what came of a fault.
type outcome struct {
	fault
	after  time.Duration // by the clock, until the alert fired
	took   time.Duration // that
	others []string      // alerts that fired, too
	text   string        // what the alert says
}

// quiet is for how long no alert may fire before a fault, by the clock.
const quiet = 8 * time.Minute

// try makes a fault, and returns what fired.
func (f fault) try(ctx context.Context, m module, dir string) (out outcome, err error) {
	out.fault = f
	s, err := set(ctx, m, dir, f)
	if err != nil {
		return out, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s, %s: %w", f.alert, f.what, err)
		}
		err = errors.Join(err, s.strike())
	}()
	rules, err := s.scraper.watch(ctx, m.deployed("alerts.yaml"))
	if err != nil {
		return out, err
	}
	calling, hangUp := context.WithCancel(ctx)
	defer hangUp()
	honest := make(chan error, 1)
	var faulty atomic.Bool // whether the calls may fail
	go func() {
		if f.quiet {
			honest <- s.caller.usual(calling)
			return
		}
		honest <- each(calling, 20*time.Millisecond, func(ctx context.Context) error {
			ctx, stop := context.WithTimeout(ctx, 2*time.Second)
			defer stop()
			if err := s.caller.usual(ctx); err != nil && !faulty.Load() {
				return err
			}
			return nil
		})
	}()
	early, err := rules.until(ctx, "", quiet)
	if err != nil {
		return out, err
	}
	if early {
		return out, fmt.Errorf("before it, %v fire", rules.firing())
	}
	select {
	case err := <-honest:
		if err != nil || !f.quiet {
			return out, fmt.Errorf("before it: %w", cmp.Or(err, errors.New("no calls")))
		}
	default:
	}
	since, begin := s.scraper.clock.now(), time.Now()
	faulty.Store(true)
	more, err := f.begin(ctx, s)
	if err != nil {
		return out, err
	}
	failed := make(chan error, 8)
	if more != nil {
		for range cap(failed) {
			go func() { failed <- more(calling) }()
		}
	}
	patience := rules.patience(f.alert)
	for s.scraper.clock.now().Sub(since) < patience {
		fires, err := rules.until(ctx, f.alert, 5*time.Minute)
		if err != nil {
			return out, err
		}
		select {
		case err := <-failed:
			return out, fmt.Errorf("the calls that make it: %w", err)
		default:
		}
		for _, other := range rules.firing() {
			if other != f.alert && !slices.Contains(out.others, other) {
				out.others = append(out.others, other)
			}
		}
		if fires {
			out.after, out.took = s.scraper.clock.now().Sub(since), time.Since(begin)
			if out.text, err = rules.text(f.alert); err != nil {
				return out, err
			}
			for _, other := range out.others {
				if !slices.Contains(f.also, other) {
					return out, fmt.Errorf("%s fires, too", other)
				}
			}
			return out, nil
		}
	}
	return out, fmt.Errorf("the alert does not fire within %s; there fire %v", patience, rules.firing())
}

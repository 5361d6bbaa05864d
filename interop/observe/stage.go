package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
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

// honest calls as honest clients do until ctx ends, or once on a quiet stage. It returns the
// first error, unless calls may fail by then.
func (s *stage) honest(ctx context.Context, quiet bool, mayFail *atomic.Bool) error {
	call := func(ctx context.Context) error {
		ctx, stop := context.WithTimeout(ctx, 2*time.Second)
		defer stop()
		if err := s.caller.usual(ctx); err != nil && !mayFail.Load() {
			return err
		}
		return nil
	}
	if quiet {
		return call(ctx)
	}
	return each(ctx, 20*time.Millisecond, call)
}

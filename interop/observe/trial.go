package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// outcome is what came of a fault.
type outcome struct {
	fault
	after  time.Duration // by the clock, until the alert fired
	took   time.Duration // that
	others []string      // alerts that fired, too
	text   string        // the summary of the alert
}

// silence is for how long no alert may fire before a fault, by the clock.
const silence = 8 * time.Minute

// try makes a fault, and returns what fired. No alert may fire before, and then only that
// of the fault and those that the fault allows.
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
	failed := make(chan error, 1)
	var faulty atomic.Bool
	go func() {
		if err := s.honest(calling, f.quiet, &faulty); err != nil {
			failed <- err
		}
	}()
	early, err := rules.until(ctx, "", silence)
	if early {
		err = fmt.Errorf("%v fire", rules.firing())
	}
	select {
	case broken := <-failed:
		err = errors.Join(err, broken)
	default:
	}
	if err != nil {
		return out, fmt.Errorf("before it: %w", err)
	}
	since, begin := s.scraper.clock.now(), time.Now()
	faulty.Store(true)
	more, err := f.begin(ctx, s)
	if err != nil {
		return out, err
	}
	if more != nil {
		for range 8 {
			go func() {
				if err := more(calling); err != nil {
					select {
					case failed <- err:
					default: // the first is enough
					}
				}
			}()
		}
	}
	err = out.await(ctx, rules, failed)
	out.after, out.took = s.scraper.clock.now().Sub(since), time.Since(begin)
	return out, err
}

// await waits until the alert of a fault fires, and notes which others do. The channel
// receives an error of the calls that make the fault.
func (o *outcome) await(ctx context.Context, rules *watcher, failed <-chan error) error {
	clock := rules.scraper.clock
	for latest := clock.now().Add(rules.patience(o.alert)); clock.now().Before(latest); {
		fires, err := rules.until(ctx, o.alert, 5*time.Minute)
		if err != nil {
			return err
		}
		select {
		case err := <-failed:
			return fmt.Errorf("the calls that make it: %w", err)
		default:
		}
		for _, other := range rules.firing() {
			if other != o.alert && !slices.Contains(o.others, other) {
				o.others = append(o.others, other)
			}
		}
		if !fires {
			continue
		}
		if o.text, err = rules.text(o.alert); err != nil {
			return err
		}
		if unwanted := slices.IndexFunc(o.others, func(other string) bool { return !slices.Contains(o.also, other) }); unwanted >= 0 {
			return fmt.Errorf("%s fires, too", o.others[unwanted])
		}
		return nil
	}
	return fmt.Errorf("the alert does not fire within %s; there fire %v", rules.patience(o.alert), rules.firing())
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/rules"
)

// alertNames returns the names of the alerts in a file, which must be as promtool wants it.
func alertNames(path string) ([]string, error) {
	groups, errs := rulefmt.ParseFile(path, false, model.LegacyValidation, promParser, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	var names []string
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			if rule.Alert != "" && !slices.Contains(names, rule.Alert) {
				names = append(names, rule.Alert)
			}
		}
	}
	return names, nil
}

// watcher evaluates alert rules over what a scraper scrapes, as Prometheus does.
type watcher struct {
	scraper *scraper
	groups  []*rules.Group
	rules   []*rules.AlertingRule
}

// watch reads rules from a file.
func (s *scraper) watch(ctx context.Context, path string) (*watcher, error) {
	manager := rules.NewManager(&rules.ManagerOptions{
		ExternalURL: &url.URL{}, Context: ctx, QueryFunc: rules.EngineQueryFunc(s.engine, s.db),
		NotifyFunc:   func(context.Context, string, ...*rules.Alert) {},
		AppendableV2: s.db, Queryable: s.db, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
		NameValidationScheme: model.LegacyValidation, Parser: promParser,
	})
	// The second argument is the usual interval of Prometheus.
	groups, errs := manager.LoadGroups(time.Minute, labels.EmptyLabels(), "", nil, false, path)
	if len(errs) > 0 {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(errs...))
	}
	w := &watcher{scraper: s}
	for _, group := range groups {
		w.groups = append(w.groups, group)
		w.rules = append(w.rules, group.AlertingRules()...)
	}
	return w, nil
}

// evaluate evaluates all rules now.
func (w *watcher) evaluate(ctx context.Context) error {
	now := w.scraper.clock.now()
	for _, group := range w.groups {
		group.Eval(ctx, now)
	}
	var errs []error
	for _, rule := range w.rules {
		if err := rule.LastError(); err != nil && ctx.Err() == nil {
			errs = append(errs, fmt.Errorf("alert %s: %w", rule.Name(), err))
		}
	}
	return errors.Join(errs...)
}

// firing returns the names of the alerts that fire.
func (w *watcher) firing() (names []string) {
	for _, rule := range w.rules {
		if rule.State() == rules.StateFiring && !slices.Contains(names, rule.Name()) {
			names = append(names, rule.Name())
		}
	}
	slices.Sort(names)
	return names
}

// patience returns after how long at most, by the clock, an alert has to fire.
func (w *watcher) patience(name string) time.Duration {
	longest := 30 * time.Minute
	for _, rule := range w.rules {
		if rule.Name() == name {
			longest += 2 * rule.HoldDuration()
		}
	}
	return longest
}

// text returns the summary of an alert that fires. All that it says must be complete.
func (w *watcher) text(name string) (string, error) {
	for _, rule := range w.rules {
		for _, alert := range rule.ActiveAlerts() {
			if rule.Name() != name || alert.State != rules.StateFiring {
				continue
			}
			var parts []string
			alert.Annotations.Range(func(l labels.Label) { parts = append(parts, l.Value) })
			said := strings.Join(parts, " ")
			if len(parts) == 0 || strings.Contains(said, "<error expanding") || strings.Contains(said, "no value") {
				return said, fmt.Errorf("alert %s says %q", name, said)
			}
			return alert.Annotations.Get("summary"), nil
		}
	}
	return "", fmt.Errorf("alert %s does not fire", name)
}

// until evaluates the rules in steps of a scrape, for at most a span of the clock, until
// one fires that is named, or any if none is.
func (w *watcher) until(ctx context.Context, name string, span time.Duration) (fires bool, err error) {
	step := time.NewTicker(w.scraper.clock.takes(w.scraper.interval))
	defer step.Stop()
	for end := w.scraper.clock.now().Add(span); w.scraper.clock.now().Before(end); {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-step.C:
		}
		if err := w.evaluate(ctx); err != nil {
			return false, err
		}
		firing := w.firing()
		if slices.Contains(firing, name) || name == "" && len(firing) > 0 {
			return true, nil
		}
	}
	return false, nil
}

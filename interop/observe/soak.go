package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// growth is by how much a figure of the last third of the time may be more than that of
// the second third.
const growth = 1.10

// soak sends events to a server for a time, while it is scraped each second and sends a
// hundredth of its spans, and prints its memory and how many series there are. Neither may
// grow. A short time is not enough for the memory.
func soak(ctx context.Context, m module, dir string, lasts time.Duration, perSecond int, print io.Writer) (err error) {
	spans, err := startCollector()
	if err != nil {
		return err
	}
	defer spans.server.Stop()
	dir, err = os.MkdirTemp(dir, "soak-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	at, err := freeAddresses()
	if err != nil {
		return err
	}
	to, err := startServer(ctx, m.server(), dir, at, start{
		// More is sent than the disk should have to take.
		flags: []string{"--events", "sqlite:data/observe.db?max-bytes=1GB"}, environment: spans.environment("0.01"),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.stop()) }()
	calls, err := newCaller(to, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, calls.close()) }()
	s, err := startScraper(m.deployed("prometheus.yaml"), to.ops, filepath.Join(dir, "tsdb"), newClock(1), time.Second)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()

	if err := s.await(ctx, "up"); err != nil {
		return err
	}
	loading, stop := context.WithTimeout(ctx, lasts)
	defer stop()
	l := &load{to: to, caller: calls}
	ended := make(chan error, 1)
	go func() { ended <- l.run(loading, perSecond) }()
	table := newTable(print)
	fmt.Fprintln(table, "after\tevents/s\theap in use\tresident\tseries\tlag\tspans\tscrape")
	var figures []figure
	rows := max(3, min(30, int(lasts/time.Second))) / 3 * 3
	begin, before := time.Now(), time.Now()
	for row := 1; row <= rows; row++ {
		select {
		case err := <-ended:
			if err != nil || ctx.Err() != nil {
				return errors.Join(err, ctx.Err(), errors.New(to.log.last()))
			}
			ended = nil // it is the end
		case <-time.After(time.Until(begin.Add(lasts * time.Duration(row) / time.Duration(rows)))):
		}
		now := time.Now()
		f, err := s.figure(ctx, to, max(5*time.Second, lasts/time.Duration(rows)))
		if err != nil {
			return err
		}
		f.events = l.events.Load()
		rate := float64(f.events)
		if len(figures) > 0 {
			rate -= float64(figures[len(figures)-1].events)
		}
		rate /= now.Sub(before).Seconds()
		before = now
		figures = append(figures, f)
		fmt.Fprintf(table, "%s\t%.0f\t%s\t%s\t%d\t%.0f\t%d\t%.0f ms\n", time.Since(begin).Round(time.Second/10), rate,
			megabytes(f.heap), megabytes(f.resident), f.series, f.lag, spans.spans.Load(), 1000*f.scrape)
		if err := table.Flush(); err != nil {
			return err
		}
	}
	took := time.Since(begin)
	fmt.Fprintf(print, "\n%d events acknowledged in %s: %.0f a second\n", l.events.Load(), took.Round(time.Second/10), float64(l.events.Load())/took.Seconds())
	if spans.spans.Load() == 0 {
		err = errors.New("no span came")
	}
	return errors.Join(err, s.bounded(ctx), compareThirds(figures, lasts))
}

// figure is what a server takes at a time.
type figure struct {
	events         int64 // that it has acknowledged
	heap, resident float64
	series         uint64 // that there ever were
	lag, scrape    float64
}

// figure measures: means of a span of time until now.
func (s *scraper) figure(ctx context.Context, of *server, span time.Duration) (f figure, err error) {
	ask := func(expr string, to *float64) {
		var failed error
		*to, failed = s.value(ctx, fmt.Sprintf(expr, fmt.Sprintf("[%ds]", int(span.Seconds()))))
		err = errors.Join(err, failed)
	}
	ask("sum(avg_over_time(go_memstats_heap_inuse_bytes%s))", &f.heap)
	ask("sum(avg_over_time(process_resident_memory_bytes%s))", &f.resident)
	ask("sum(avg_over_time(eventlog_consumer_lag_events%s)) or vector(0)", &f.lag)
	ask("max(max_over_time(scrape_duration_seconds%s))", &f.scrape)
	f.series = s.series()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, of.log.last())
	}
	return f, err
}

// compareThirds returns an error if memory or series have grown in the last third.
func compareThirds(figures []figure, lasts time.Duration) error {
	third := len(figures) / 3
	mean := func(from, to int, of func(figure) float64) (sum float64) {
		for _, f := range figures[from:to] {
			sum += of(f)
		}
		return sum / float64(to-from)
	}
	var errs []error
	for what, of := range map[string]func(figure) float64{
		"the heap in use":     func(f figure) float64 { return f.heap },
		"the resident memory": func(f figure) float64 { return f.resident },
	} {
		second, last := mean(third, 2*third, of), mean(2*third, len(figures), of)
		if lasts >= time.Minute && last > second*growth {
			errs = append(errs, fmt.Errorf("%s grows: %s in the second third, then %s", what, megabytes(second), megabytes(last)))
		}
	}
	if second, last := figures[2*third-1].series, figures[len(figures)-1].series; float64(last) > float64(second)*1.01 {
		errs = append(errs, fmt.Errorf("there are more and more series: %d after two thirds, then %d", second, last))
	}
	return errors.Join(errs...)
}

// bounded returns an error if a label has a value that a client made up.
func (s *scraper) bounded(ctx context.Context) error {
	querier, err := s.db.Querier(0, s.clock.now().UnixMilli())
	if err != nil {
		return err
	}
	defer querier.Close()
	names, _, err := querier.LabelNames(ctx, nil)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		values, err := s.labelValues(ctx, name, "")
		if err != nil {
			return err
		}
		made := slices.IndexFunc(values, func(value string) bool {
			return slices.ContainsFunc([]string{"random", "source-", "kind-", "subject-", "unknown", "Unknown", "agent/"}, func(part string) bool {
				return strings.Contains(value, part) && !slices.Contains([]string{"Unknown", "unknown", "unknown RPC", "unknown compression"}, value)
			})
		})
		if made >= 0 && name != model.MetricNameLabel {
			errs = append(errs, fmt.Errorf("the label %s has the value %q, which a client made up", name, values[made]))
		}
	}
	return errors.Join(errs...)
}

func megabytes(bytes float64) string { return fmt.Sprintf("%.1f MB", bytes/1e6) }

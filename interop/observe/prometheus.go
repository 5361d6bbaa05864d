package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// scraper is Prometheus: its scrape loop, its storage and its engine, configured by the
// file that was generated beside the server.
type scraper struct {
	clock    clock
	interval time.Duration // between scrapes, by the clock
	db       *tsdb.DB
	engine   *promql.Engine
	manager  *scrape.Manager
	targets  chan map[string][]*targetgroup.Group
	job      string
}

var promParser = parser.NewParser(parser.Options{})

// startScraper scrapes addr as the configuration says for its first job, into a storage
// in the folder dir. The interval is by the clock; 0 is that of the configuration.
func startScraper(configuration, addr, dir string, clock clock, interval time.Duration) (*scraper, error) {
	text, err := os.ReadFile(configuration)
	if err != nil {
		return nil, err
	}
	cfg, err := config.Load(string(text), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", configuration, err)
	}
	scraped, err := cfg.GetScrapeConfigs()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", configuration, err)
	}
	if len(scraped) == 0 {
		return nil, fmt.Errorf("%s scrapes nothing", configuration)
	}
	job := scraped[0]
	s := &scraper{clock: clock, interval: cmp.Or(interval, time.Duration(job.ScrapeInterval)), job: job.JobName, targets: make(chan map[string][]*targetgroup.Group, 1)}
	// The target that is named there runs in a container.
	job.ServiceDiscoveryConfigs = nil
	job.ScrapeInterval = model.Duration(clock.takes(s.interval))
	job.ScrapeTimeout = min(job.ScrapeTimeout, job.ScrapeInterval)
	cfg.ScrapeConfigs, cfg.ScrapeConfigFiles, cfg.RuleFiles = []*config.ScrapeConfig{job}, nil, nil
	cfg.GlobalConfig.ScrapeInterval, cfg.GlobalConfig.ScrapeTimeout = job.ScrapeInterval, job.ScrapeTimeout

	options := tsdb.DefaultOptions()
	options.MinBlockDuration = (7 * 24 * time.Hour).Milliseconds() // all stays in memory
	options.MaxBlockDuration, options.RetentionDuration = options.MinBlockDuration, 0
	if s.db, err = tsdb.Open(dir, slog.New(slog.DiscardHandler), nil, options, nil); err != nil {
		return nil, err
	}
	s.engine = promql.NewEngine(promql.EngineOpts{
		MaxSamples: 50_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute,
		EnableAtModifier: true, EnableNegativeOffset: true, Parser: promParser,
	})
	// Each of several scrapers in a process has a registry of its own.
	s.manager, err = scrape.NewManager(&scrape.Options{DiscoveryReloadInterval: model.Duration(10 * time.Millisecond), DiscoveryReloadOnStartup: true},
		slog.New(slog.DiscardHandler), nil, nil, fastAppendable{s.db, clock}, prometheus.NewRegistry())
	if err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	if err := s.manager.ApplyConfig(cfg); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	go func() { _ = s.manager.Run(s.targets) }()
	s.targets <- map[string][]*targetgroup.Group{job.JobName: {{
		Source: "observe", Targets: []model.LabelSet{{model.AddressLabel: model.LabelValue(addr)}},
	}}}
	return s, nil
}

func (s *scraper) stop() error {
	s.manager.Stop()
	return errors.Join(s.engine.Close(), s.db.Close())
}

// instant returns the value of an expression now.
func (s *scraper) instant(ctx context.Context, expr string) (promql.Vector, error) {
	query, err := s.engine.NewInstantQuery(ctx, s.db, nil, expr, s.clock.now())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	defer query.Close()
	result := query.Exec(ctx)
	if scalar, err := result.Scalar(); err == nil {
		return promql.Vector{{T: scalar.T, F: scalar.V}}, nil
	}
	vector, err := result.Vector()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	// What the query returns is used again after it was closed.
	out := make(promql.Vector, 0, len(vector))
	for _, sample := range vector {
		out = append(out, promql.Sample{T: sample.T, F: sample.F, H: copied(sample.H), Metric: sample.Metric.Copy()})
	}
	return out, nil
}

func copied(h *histogram.FloatHistogram) *histogram.FloatHistogram {
	if h == nil {
		return nil
	}
	return h.Copy()
}

// value returns the single value of an expression now.
func (s *scraper) value(ctx context.Context, expr string) (float64, error) {
	vector, err := s.instant(ctx, expr)
	if err != nil {
		return 0, err
	}
	if len(vector) != 1 {
		return 0, fmt.Errorf("%s has %d values instead of one", expr, len(vector))
	}
	return vector[0].F, nil
}

// await waits until an expression has a value that is not 0, for at most 10 seconds.
func (s *scraper) await(ctx context.Context, expr string) error {
	const patience = 10 * time.Second
	var vector promql.Vector
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(s.clock.takes(s.interval)) {
		var err error
		if vector, err = s.instant(ctx, expr); err != nil {
			return err
		}
		if len(vector) > 0 && vector[0].F != 0 {
			return nil
		}
	}
	return fmt.Errorf("%s is not so within %s: %v", expr, patience, vector)
}

// labelValues returns the values of a label, of the series of a selector, or of all if
// that is empty.
func (s *scraper) labelValues(ctx context.Context, label, selector string) ([]string, error) {
	querier, err := s.db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	defer querier.Close()
	var matchers []*labels.Matcher
	if selector != "" {
		if matchers, err = promParser.ParseMetricSelector(selector); err != nil {
			return nil, fmt.Errorf("%s: %w", selector, err)
		}
	}
	values, _, err := querier.LabelValues(ctx, label, nil, matchers...)
	return values, err
}

// series returns how many series there ever were.
func (s *scraper) series() uint64 { return s.db.Head().NumSeries() }

// fastAppendable stores what is scraped at the times that a clock shows then.
type fastAppendable struct {
	storage.AppendableV2
	clock clock
}

func (a fastAppendable) AppenderV2(ctx context.Context) storage.AppenderV2 {
	return fastAppender{a.AppendableV2.AppenderV2(ctx), a.clock}
}

type fastAppender struct {
	storage.AppenderV2
	clock clock
}

// isTime reports whether the values of a metric are Unix times.
func isTime(name string) bool {
	return strings.HasSuffix(name, "_timestamp_seconds") || name == "process_start_time_seconds" || name == "go_memstats_last_gc_time_seconds"
}

func (a fastAppender) Append(ref storage.SeriesRef, ls labels.Labels, _, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, options storage.AOptions) (storage.SeriesRef, error) {
	if h == nil && fh == nil && isTime(ls.Get(model.MetricNameLabel)) {
		v = a.clock.seconds(v)
	}
	options.Exemplars = nil
	return a.AppenderV2.Append(ref, ls, 0, a.clock.at(time.UnixMilli(t)).UnixMilli(), v, h, fh, options)
}

// freeAddr returns a loopback address that nothing listens on.
func freeAddr() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

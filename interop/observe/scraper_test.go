package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// scrapeOf scrapes metrics of this process, by a clock that makes a minute pass in 0.3
// seconds.
func scrapeOf(t *testing.T, registry *prometheus.Registry) *scraper {
	t.Helper()
	page := httptest.NewServer(http.StripPrefix("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{})))
	t.Cleanup(page.Close)
	configuration := put(t, "prometheus.yaml", "global: {scrape_interval: 10s}\nscrape_configs:\n  - job_name: tested\n    scrape_native_histograms: true\n")
	s, err := startScraper(configuration, strings.TrimPrefix(page.URL, "http://"), t.TempDir(), newClock(200), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	if err := s.await(t.Context(), "up"); err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAlertFiresForItsFaultOnly(t *testing.T) {
	registry := prometheus.NewRegistry()
	ready := prometheus.NewGauge(prometheus.GaugeOpts{Name: "ready", Help: "Whether it is ready."})
	end := prometheus.NewGauge(prometheus.GaugeOpts{Name: "end_timestamp_seconds", Help: "When it ends."})
	registry.MustRegister(ready, end)
	ready.Set(1)
	end.Set(unix(time.Now().Add(24 * time.Hour)))
	s := scrapeOf(t, registry)
	file := put(t, "alerts.yaml", `
groups:
  - name: tested
    rules:
      - {alert: NotReady, expr: ready == 0, for: 2m, annotations: {summary: "{{ $labels.job }} is not ready"}}
      - {alert: Ends, expr: end_timestamp_seconds < time() + 3600, annotations: {summary: "ends at {{ $labels.nonesuch }}"}}
`)
	if got, err := alertNames(file); err != nil || !slices.Equal(got, []string{"NotReady", "Ends"}) {
		t.Fatalf("the alerts are %v, error %v", got, err)
	}
	rules, err := s.watch(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	if fires, err := rules.until(t.Context(), "", 5*time.Minute); fires || err != nil {
		t.Fatalf("before the fault there fire %v, error %v", rules.firing(), err)
	}
	since := s.clock.now()
	ready.Set(0)
	fires, err := rules.until(t.Context(), "NotReady", time.Hour)
	if !fires || err != nil {
		t.Fatalf("the alert does not fire; error %v", err)
	}
	if after := s.clock.now().Sub(since); after < 2*time.Minute {
		t.Errorf("the alert fires after %s, and should after two minutes", after)
	}
	if got := rules.firing(); !slices.Equal(got, []string{"NotReady"}) {
		t.Errorf("there fire %v", got)
	}
	if said, err := rules.text("NotReady"); said != "tested is not ready" || err != nil {
		t.Errorf("the alert says %q, error %v", said, err)
	}
	end.Set(unix(time.Now().Add(time.Minute)))
	if fires, err := rules.until(t.Context(), "Ends", time.Hour); !fires || err != nil {
		t.Errorf("the second alert does not fire; error %v", err)
	}
}

func TestPanelWithoutDataIsReported(t *testing.T) {
	registry := prometheus.NewRegistry()
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "calls_total", Help: "Calls."}, []string{"method"})
	took := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "took_seconds", Help: "Times.", NativeHistogramBucketFactor: 1.1})
	registry.MustRegister(calls, took)
	s := scrapeOf(t, registry)
	calling, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	if err := each(calling, 10*time.Millisecond, func(context.Context) error {
		calls.WithLabelValues("Get").Inc()
		calls.WithLabelValues("Put").Inc()
		took.Observe(0.1)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	board, err := readDashboard(put(t, "dashboard.json", `{
		"templating": {"list": [
			{"name": "datasource", "type": "datasource", "query": "prometheus"},
			{"name": "job", "type": "query", "query": {"query": "label_values(calls_total, job)"}},
			{"name": "method", "type": "query", "query": "label_values(calls_total{job=\"$job\"}, method)", "includeAll": true}]},
		"panels": [
			{"title": "Rate", "targets": [{"expr": "sum by (method) (rate(calls_total{job=\"$job\", method=~\"$method\"}[$__rate_interval]))", "legendFormat": "{{method}}"}]},
			{"type": "row", "panels": [
				{"title": "Time", "targets": [{"expr": "histogram_quantile(0.9, rate(took_seconds[$__rate_interval]))"}]},
				{"title": "Legend", "targets": [{"expr": "sum(calls_total)", "legendFormat": "{{method}}"}]},
				{"title": "Missing", "targets": [{"expr": "nonesuch"}]},
				{"title": "Zero", "targets": [{"expr": "0 * sum(calls_total)"}]},
				{"title": "Wrong", "targets": [{"expr": "sum("}]},
				{"title": "Empty"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.show(t.Context(), board, s.clock.now().Sub(s.clock.start))
	if err != nil {
		t.Fatal(err)
	}
	series, failed := map[string]int{}, map[string]bool{}
	for _, one := range all {
		series[one.panel], failed[one.panel] = one.series, one.err != nil
	}
	for panel, want := range map[string]struct {
		series int
		failed bool
	}{"Rate": {2, false}, "Time": {1, false}, "Legend": {1, true}, "Missing": {0, true}, "Zero": {1, true}, "Wrong": {0, true}, "Empty": {0, true}} {
		if series[panel] != want.series || failed[panel] != want.failed {
			t.Errorf("panel %s has %d series, failed %v; want %v", panel, series[panel], failed[panel], want)
		}
	}
}

func TestLabelThatAClientMadeUpIsReported(t *testing.T) {
	registry := prometheus.NewRegistry()
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "calls_total", Help: "Calls."}, []string{"method"})
	registry.MustRegister(calls)
	calls.WithLabelValues("Publish").Inc()
	calls.WithLabelValues("unknown RPC").Inc()
	s := scrapeOf(t, registry)
	if err := s.bounded(t.Context()); err != nil {
		t.Error(err)
	}
	calls.WithLabelValues("random-17").Inc()
	if err := s.await(t.Context(), `calls_total{method=~"random.*"}`); err != nil {
		t.Fatal(err)
	}
	if err := s.bounded(t.Context()); err == nil || !strings.Contains(err.Error(), `label method has the value "random-17"`) {
		t.Errorf("the error is %v", err)
	}
}

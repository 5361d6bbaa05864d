//runtime:used

package publisher

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Collect returns the figures of a publisher as metrics for Prometheus, for Register of a
// registry. A program with several publishers gives them labels by
// [prometheus.WrapRegistererWith].
func Collect(p *Publisher) prometheus.Collector { return collector{p} }

type collector struct{ publisher *Publisher }

func describe(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("publisher_"+name, help, nil, nil)
}

var (
	pendingEvents = describe("pending_events", "Events that are published and not sent yet.")
	pendingBytes  = describe("pending_bytes", "Bytes of events that are published and not sent yet.")
	oldestSeconds = describe("oldest_pending_seconds", "How long the first event that is not sent yet has waited.")
	awaySeconds   = describe("away_seconds", "For how long no event could be sent; 0 if the last one was.")
	published     = describe("published_events_total", "Events that were stored on this machine.")
	sent          = describe("sent_events_total", "Events that the service has acknowledged.")
	duplicates    = describe("duplicate_events_total", "Events that the service had already when they were sent, if its answers say that.")
	retries       = describe("retries_total", "How often an event was sent again.")
	refused       = describe("refused_events_total", "Events that the service refused for good.")
)

// Describe implements [prometheus.Collector].
func (c collector) Describe(into chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, into) }

// Collect implements [prometheus.Collector].
func (c collector) Collect(into chan<- prometheus.Metric) {
	stats := c.publisher.Stats()
	oldest := 0.0
	if !stats.Oldest.IsZero() {
		oldest = time.Since(stats.Oldest).Seconds()
	}
	for _, one := range []struct {
		what  *prometheus.Desc
		kind  prometheus.ValueType
		value float64
	}{
		{pendingEvents, prometheus.GaugeValue, float64(stats.Pending)},
		{pendingBytes, prometheus.GaugeValue, float64(stats.Bytes)},
		{oldestSeconds, prometheus.GaugeValue, oldest},
		{awaySeconds, prometheus.GaugeValue, stats.Away.Seconds()},
		{published, prometheus.CounterValue, float64(stats.Published)},
		{sent, prometheus.CounterValue, float64(stats.Sent)},
		{duplicates, prometheus.CounterValue, float64(stats.Duplicates)},
		{retries, prometheus.CounterValue, float64(stats.Retries)},
		{refused, prometheus.CounterValue, float64(stats.Refused)},
	} {
		into <- prometheus.MustNewConstMetric(one.what, one.kind, one.value)
	}
}

package publisher

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestMetricsAreTheFiguresOfThePublisher(t *testing.T) {
	s := newService(t)
	p := open(t, t.TempDir(), s, rpcs["single"])
	for n := range 3 {
		if _, err := p.Publish(t.Context(), newMessage("", "a", n)); err != nil {
			t.Fatal(err)
		}
	}
	flush(t, p)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(Collect(p))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		metric := family.GetMetric()[0]
		got[family.GetName()] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
	}
	for name, want := range map[string]float64{"publisher_published_events_total": 3, "publisher_sent_events_total": 3, "publisher_pending_events": 0, "publisher_refused_events_total": 0} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %v, want %v", name, value, want)
		}
	}
}

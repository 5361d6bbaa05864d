//runtime:with eventlog

package metrics

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Log returns what counts what happens in an event log, for [eventlog.Observe]. When
// metrics are scraped, they ask the log for its [eventlog.Stats]. It panics if it is
// called twice: a second log needs Metrics of its own.
func (m *Metrics) Log(log eventlog.Log) eventlog.Observer {
	l := newLogMetrics(log)
	m.registry.MustRegister(l)
	return l.observer()
}

// What becomes of events that are appended.
const (
	stored      = "stored"
	duplicate   = "duplicate"   // stored before
	conflict    = "conflict"    // another event has its source and id
	invalid     = "invalid"     // the log can't take it
	full        = "full"        // the log has no room, or too many wait
	unavailable = "unavailable" // the storage does not answer, or the log is closed
	canceled    = "canceled"    // its caller left before it was known
	failed      = "error"       // anything else
)

// resultOf returns what became of the events of an append that failed.
func resultOf(err error) string {
	for _, kind := range []struct {
		err    error
		result string
	}{
		{eventlog.ErrConflict, conflict}, {eventlog.ErrInvalid, invalid}, {eventlog.ErrFull, full},
		{eventlog.ErrUnavailable, unavailable}, {eventlog.ErrClosed, unavailable},
		{context.Canceled, canceled}, {context.DeadlineExceeded, canceled},
	} {
		if errors.Is(err, kind.err) {
			return kind.result
		}
	}
	return failed
}

// logMetrics are those of a log.
type logMetrics struct {
	figures  figures
	appended map[string]prometheus.Counter // by the result
	took     prometheus.Histogram          // appends
	last     prometheus.Gauge
	commits  prometheus.Histogram // their time
	sizes    prometheus.Histogram // their events
	bytes    prometheus.Counter
	handled  *prometheus.CounterVec
	retries  *prometheus.CounterVec
	gaveUp   *prometheus.CounterVec
	all      []prometheus.Collector

	consumers sync.Map // from a name to *consumerMetrics
}

// consumerMetrics are the counters of a consumer.
type consumerMetrics struct{ handled, retries, gaveUp prometheus.Counter }

func newLogMetrics(log eventlog.Log) *logMetrics {
	appended := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "eventlog_appended_events_total", Help: "Events that were appended, by what became of them.",
	}, []string{"result"})
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"consumer"})
	}
	l := &logMetrics{
		figures:  figures{log: log},
		appended: preset(appended, []string{stored, duplicate, conflict, invalid, full, unavailable, canceled, failed}),
		took:     prometheus.NewHistogram(seconds("eventlog_append_seconds", "How long appends took, with the time in which they waited for each other.")),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "eventlog_last_append_timestamp_seconds", Help: "When this process last stored an event; 0 if it has not.",
		}),
		commits: prometheus.NewHistogram(seconds("eventlog_commit_seconds", "How long the storage took to make what was committed durable.")),
		sizes: prometheus.NewHistogram(histogram("eventlog_commit_events", "How many events shared a commit.",
			prometheus.ExponentialBuckets(1, 2, 11))),
		bytes:   prometheus.NewCounter(prometheus.CounterOpts{Name: "eventlog_committed_bytes_total", Help: "Bytes of the events that were stored."}),
		handled: counter("eventlog_consumer_handled_events_total", "Events that a consumer of this process has handled."),
		retries: counter("eventlog_consumer_retries_total", "How often a consumer's handler failed at an event that is tried again."),
		gaveUp:  counter("eventlog_consumer_gave_up_total", "Events that a consumer gave up on: they go to its dead letters."),
	}
	l.all = []prometheus.Collector{appended, l.took, l.last, l.commits, l.sizes, l.bytes, l.handled, l.retries, l.gaveUp}
	return l
}

func (l *logMetrics) observer() eventlog.Observer {
	return eventlog.Observer{
		Appended: func(receipts []eventlog.Receipt, events int, err error, took time.Duration) {
			if took > 0 { // else the log had no part in it
				l.took.Observe(took.Seconds())
			}
			if err != nil {
				l.appended[resultOf(err)].Add(float64(events))
				return
			}
			before := 0
			for i := range receipts {
				if receipts[i].Duplicate {
					before++
				}
			}
			if before > 0 {
				l.appended[duplicate].Add(float64(before))
			}
			if before < len(receipts) {
				l.appended[stored].Add(float64(len(receipts) - before))
				l.last.SetToCurrentTime()
			}
		},
		Committed: func(events int, bytes int64, took time.Duration) {
			l.commits.Observe(took.Seconds())
			l.sizes.Observe(float64(events))
			l.bytes.Add(float64(bytes))
		},
		Handling: func(ctx context.Context, consumer string, records []eventlog.Record) (context.Context, func(error)) {
			events := len(records)
			return ctx, func(err error) {
				if err == nil {
					l.consumer(consumer).handled.Add(float64(events))
				}
			}
		},
		Failed: func(_ context.Context, consumer string, _ *eventlog.Record, _ int, then eventlog.Then) {
			if then.GiveUp {
				l.consumer(consumer).gaveUp.Inc()
			} else {
				l.consumer(consumer).retries.Inc()
			}
		},
	}
}

// consumer returns the counters of a consumer.
func (l *logMetrics) consumer(name string) *consumerMetrics {
	if known, ok := l.consumers.Load(name); ok {
		return known.(*consumerMetrics)
	}
	known, _ := l.consumers.LoadOrStore(name, &consumerMetrics{
		l.handled.WithLabelValues(name), l.retries.WithLabelValues(name), l.gaveUp.WithLabelValues(name),
	})
	return known.(*consumerMetrics)
}

var (
	upDesc     = prometheus.NewDesc("eventlog_up", "Whether the log could say how much it stores: 1 or 0. If not, the figures of its size and consumers are missing.", nil, nil)
	eventsDesc = prometheus.NewDesc("eventlog_events", "Events that the log stores.", nil, nil)
	bytesDesc  = prometheus.NewDesc("eventlog_bytes", "Bytes that they take.", nil, nil)
	freeDesc   = prometheus.NewDesc("eventlog_free_bytes", "Bytes that the disk, or the limit of the stream, still takes. It is missing if that is not known or not limited.", nil, nil)
	lagDesc    = prometheus.NewDesc("eventlog_consumer_lag_events", "Events that a consumer has not handled yet.", []string{"consumer"}, nil)
	oldestDesc = prometheus.NewDesc("eventlog_consumer_oldest_unhandled_timestamp_seconds",
		"When the first event that a consumer has not handled was recorded; 0 if there is none.", []string{"consumer"}, nil)
	deadDesc    = prometheus.NewDesc("eventlog_consumer_dead_letters", "Events that a consumer gave up on.", []string{"consumer"}, nil)
	runningDesc = prometheus.NewDesc("eventlog_consumer_running", "Whether a process runs a consumer, this one or another: 1 or 0.", []string{"consumer"}, nil)
)

// Describe implements [prometheus.Collector].
func (l *logMetrics) Describe(descs chan<- *prometheus.Desc) {
	for _, collector := range l.all {
		collector.Describe(descs)
	}
	for _, desc := range []*prometheus.Desc{upDesc, eventsDesc, bytesDesc, freeDesc, lagDesc, oldestDesc, deadDesc, runningDesc} {
		descs <- desc
	}
}

// Collect implements [prometheus.Collector].
func (l *logMetrics) Collect(to chan<- prometheus.Metric) {
	stats, ok := l.figures.get()
	if ok {
		gauge(to, eventsDesc, float64(stats.Events))
		gauge(to, bytesDesc, float64(stats.Bytes))
		if stats.Free != nil {
			gauge(to, freeDesc, float64(*stats.Free))
		}
		for _, consumer := range stats.Consumers {
			l.consumer(consumer.Name) // its counters begin at zero
			gauge(to, lagDesc, float64(consumer.Lag), consumer.Name)
			gauge(to, oldestDesc, timestamp(consumer.Oldest), consumer.Name)
			gauge(to, deadDesc, float64(consumer.Dead), consumer.Name)
			gauge(to, runningDesc, truth(consumer.Holder != ""), consumer.Name)
		}
	}
	gauge(to, upDesc, truth(ok))
	for _, collector := range l.all {
		collector.Collect(to)
	}
}

const (
	// figuresEvery is how long figures of a log are used again, for scrapes that come
	// one after the other.
	figuresEvery = 500 * time.Millisecond
	// figuresWait is how long a scrape waits for them. The log may take longer, up to
	// figuresTimeout; until it answers or that is over, scrapes don't ask again.
	figuresWait    = 2 * time.Second
	figuresTimeout = 10 * time.Second
)

// figures are what a log says about itself, asked for at most once at a time. What takes
// long is asked for less often.
type figures struct {
	log eventlog.Log

	mu    sync.Mutex
	asked *answer // the last question
}

// answer is what comes of a question. What it has may be read once done is closed.
type answer struct {
	done  chan struct{}
	stats eventlog.Stats
	err   error
	until time.Time // when to ask again
}

// get returns the figures, or false if the log fails, or takes longer than a scrape waits.
func (f *figures) get() (eventlog.Stats, bool) {
	asked := f.ask()
	select {
	case <-asked.done:
		return asked.stats, asked.err == nil
	case <-time.After(figuresWait):
		return eventlog.Stats{}, false
	}
}

// ask returns the last question if its answer is new enough or has not come yet, or else
// asks again.
func (f *figures) ask() *answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked != nil {
		select {
		case <-f.asked.done:
			if time.Now().Before(f.asked.until) {
				return f.asked
			}
		default:
			return f.asked
		}
	}
	a := &answer{done: make(chan struct{})}
	f.asked = a
	go func() {
		defer close(a.done)
		begin := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), figuresTimeout)
		defer cancel()
		a.stats, a.err = f.log.Stats(ctx)
		took := time.Since(begin)
		a.until = begin.Add(took + max(figuresEvery, 5*took))
	}()
	return a
}

// Package eventlogtest tests engines of package eventlog: what every engine
// promises, as tests that run on any of them, ours or yours.
package eventlogtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Engine is what the tests have to know of an engine, which must be registered.
type Engine struct {
	// URL returns the URL of a log that is empty, and of another one at each
	// call.
	URL func(testing.TB) string
	// Durability is the durability that receipts have.
	Durability eventlog.Durability
	// Steal takes the lease of a consumer away from its holder, as the loss of a
	// connection would. It is nil if no lease can be lost.
	Steal func(t testing.TB, url, consumer string)
	// Replace replaces the events of a log that nobody has open by none, so that
	// its positions will be those of other events. It is nil if that can't
	// happen to the log of a URL, since consumers' positions go with the events.
	Replace func(t testing.TB, url string)
	// Delete deletes the events of a log up to a position, as the limit of its age
	// or size does. It is nil if the log has none.
	Delete func(t testing.TB, url string, last eventlog.Position)
}

// Run tests an engine. A log that is opened twice takes the place of one that
// two processes have open.
func Run(t *testing.T, engine Engine) {
	for _, promise := range []struct {
		name string
		keep func(Engine, *testing.T)
	}{
		{"append", Engine.appends},
		{"duplicates", Engine.storesOnce},
		{"conflicts", Engine.refusesAnother},
		{"validation", Engine.refusesInvalid},
		{"read", Engine.reads},
		{"tail", Engine.tails},
		{"deleted", Engine.passesOverDeletedEvents},
		{"leases", Engine.holds},
		{"failures", Engine.storesFailures},
		{"keepers", Engine.storesKeepers},
		{"deleted consumers", Engine.deletesConsumers},
		{"replaced", Engine.noticesThatItIsReplaced},
		{"dead letters", Engine.keepsDeadLetters},
		{"schemas", Engine.keepsSchemas},
		{"shared schemas", Engine.sharesSchemas},
		{"unknown schemas", Engine.refusesUnknownVersions},
		{"misread events", Engine.refusesToMisread},
		{"imports", Engine.imports},
		{"erasures", Engine.erases},
		{"erased letters", Engine.erasesLettersOfDeletedEvents},
		{"stats", Engine.counts},
		{"commits", Engine.reportsCommits},
		{"consume", Engine.consumes},
		{"contexts", Engine.endsWithItsContext},
		{"close", Engine.closes},
		{"many at once", Engine.bears},
	} {
		t.Run(promise.name, func(t *testing.T) { promise.keep(engine, t) })
	}
}

// testTimeout is how long a test waits for what should come soon.
const testTimeout = time.Minute

// within returns a context for what should not take long.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// empty opens a new log.
func (e Engine) empty(t testing.TB) eventlog.Log {
	t.Helper()
	return open(t, e.URL(t))
}

// shared opens a new log twice.
func (e Engine) shared(t testing.TB) (one, another eventlog.Log) {
	t.Helper()
	url := e.URL(t)
	return open(t, url), open(t, url)
}

func open(t testing.TB, url string) eventlog.Log {
	t.Helper()
	log, err := eventlog.Open(within(t), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

func closeLog(t testing.TB, log eventlog.Log) {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

// event returns a valid event with an id.
func event(id string) eventlog.Event {
	return eventlog.Event{ID: id, Source: "shop", Type: "order.placed", Subject: "jerry", Schema: "shop.v1.OrderEvent", Data: []byte("data of " + id)}
}

// other returns another event with the same id.
func other(id string) eventlog.Event {
	event := event(id)
	event.Data = []byte("something else")
	return event
}

// events returns a number of valid events, with ids that begin alike.
func events(prefix string, count int) []eventlog.Event {
	events := make([]eventlog.Event, count)
	for i := range events {
		events[i] = event(fmt.Sprint(prefix, i))
	}
	return events
}

func mustAppend(t testing.TB, log eventlog.Log, events ...eventlog.Event) []eventlog.Receipt {
	t.Helper()
	receipts, err := log.Append(within(t), events...)
	if err != nil {
		t.Fatal(err)
	}
	if len(receipts) != len(events) {
		t.Fatalf("%d receipts for %d events", len(receipts), len(events))
	}
	return receipts
}

func mustRead(t testing.TB, log eventlog.Log, from eventlog.From) (records []eventlog.Record) {
	t.Helper()
	for record, err := range log.Read(within(t), from) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	return records
}

// ids returns the ids of all events of a log.
func ids(t testing.TB, log eventlog.Log) []string {
	t.Helper()
	return idsOf(mustRead(t, log, eventlog.From{}))
}

func idsOf(records []eventlog.Record) (ids []string) {
	for _, record := range records {
		ids = append(ids, record.ID)
	}
	return ids
}

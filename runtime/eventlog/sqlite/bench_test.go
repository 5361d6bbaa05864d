package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// benchEvent is an event as a shop would send it, with 200 bytes of data.
func benchEvent() eventlog.Event {
	return eventlog.Event{
		ID:      uuid.Must(uuid.NewV7()).String(),
		Source:  "shop",
		Type:    "order.placed",
		Subject: "customer-81723",
		Time:    time.Now(),
		Schema:  "shop.v1.OrderEvent",
		Data:    benchData,
	}
}

var benchData = []byte(strings.Repeat("0123456789", 20))

func BenchmarkAppend(b *testing.B) {
	benchmarkAppend(b, func(ctx context.Context, log eventlog.Log) error {
		_, err := log.Append(ctx, benchEvent())
		return err
	})
}

// BenchmarkAppendMessages is what generated code does: it encodes a message, and stores it
// with the version of its schema.
func BenchmarkAppendMessages(b *testing.B) {
	benchmarkAppend(b, func(ctx context.Context, log eventlog.Log) error {
		_, err := eventlog.AppendMessages(ctx, log, []*wrapperspb.BytesValue{{Value: benchData}}, func(*wrapperspb.BytesValue) eventlog.Event { return benchEvent() })
		return err
	})
}

func benchmarkAppend(b *testing.B, appendOne func(context.Context, eventlog.Log) error) {
	for _, callers := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			log, err := eventlog.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "events.db"))
			if err != nil {
				b.Fatal(err)
			}
			// As in a server: each call has a context that can end.
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			b.ReportAllocs()
			b.ResetTimer()
			var next atomic.Int64
			var group sync.WaitGroup
			for range callers {
				group.Go(func() {
					for next.Add(1) <= int64(b.N) {
						if err := appendOne(ctx, log); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(b.N)/float64(commits(b, log)), "events/commit")
			if err := log.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}

// commits is the number of transactions in which the events were stored: those
// of one have the same time of recording.
func commits(b *testing.B, log eventlog.Log) (count int) {
	row := log.(*fileLog).readers.pool.QueryRowContext(b.Context(), "SELECT count(DISTINCT recorded) FROM events")
	if err := row.Scan(&count); err != nil {
		b.Fatal(err)
	}
	return count
}

// BenchmarkBaseline is the same table without a log around it.
func BenchmarkBaseline(b *testing.B) {
	b.Run("one_transaction_each", func(b *testing.B) { benchmarkBaseline(b, 1) })
	b.Run("one_writer_multirow_256", func(b *testing.B) { benchmarkBaseline(b, 256) })
}

func benchmarkBaseline(b *testing.B, rows int) {
	ctx := b.Context()
	path := filepath.Join(b.TempDir(), "events.db")
	log, err := openWriter(ctx, path, parameters{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	insert, err := log.changes.PrepareContext(ctx, "INSERT INTO events (recorded, source, id, type, subject, time, schema, data) VALUES "+
		strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?, ?, ?, ?), ", rows), ", "))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = insert.Close() }()
	values := make([]any, 0, 8*rows)
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += rows {
		values = values[:0]
		for range rows {
			event := benchEvent()
			happened := event.Time.UTC().Format(timeFormat)
			values = append(values, happened, event.Source, event.ID, event.Type, event.Subject, happened, event.Schema, event.Data)
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil { // a transaction of its own
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64((b.N+rows-1)/rows*rows)/b.Elapsed().Seconds(), "events/s")
}

package sqlite

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// benchLog is a log of at least as many events as a benchmark has rounds: it
// is read again and again from where it was left.
func benchLog(b *testing.B, data []byte, schema string) eventlog.Log {
	log, err := eventlog.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "events.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = log.Close() })
	for left := b.N; left > 0; {
		part := make([]eventlog.Event, min(left, 1000))
		for i := range part {
			part[i] = benchEvent()
			part[i].Subject = part[i].ID[30:]
			part[i].Data, part[i].Schema = data, schema
		}
		if _, err := log.Append(b.Context(), part...); err != nil {
			b.Fatal(err)
		}
		left -= len(part)
	}
	b.ReportAllocs()
	b.ResetTimer()
	return log
}

func reportEvents(b *testing.B) {
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkRead(b *testing.B) {
	log := benchLog(b, benchData, "shop.v1.OrderEvent")
	for _, err := range log.Read(b.Context(), eventlog.From{}) {
		if err != nil {
			b.Fatal(err)
		}
	}
	reportEvents(b)
}

// benchStruct is a message of eight keys, with 200 bytes or so.
func benchStruct() (data []byte, schema string) {
	message, err := structpb.NewStruct(map[string]any{
		"idfa": "7f0c1f9e-2b1a-4c55-9d55-1f6f1a2f3e4d", "amount": 123.5, "currency": "EUR", "country": "DE",
		"campaign": "autumn-2026", "organic": true, "retries": 3, "device": "phone",
	})
	if err != nil {
		panic(err)
	}
	data, err = proto.Marshal(message)
	if err != nil {
		panic(err)
	}
	return data, string(message.ProtoReflect().Descriptor().FullName())
}

func BenchmarkReplayMessages(b *testing.B) {
	data, schema := benchStruct()
	log := benchLog(b, data, schema)
	for _, err := range eventlog.ReplayMessages[*structpb.Struct](b.Context(), log, eventlog.From{}) {
		if err != nil {
			b.Fatal(err)
		}
	}
	reportEvents(b)
}

// benchmarkConsume has a consumer count the events, until it has seen all.
func benchmarkConsume(b *testing.B, consume func(ctx context.Context, count func(events int)) error) {
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	var seen atomic.Int64
	err := consume(ctx, func(events int) {
		if seen.Add(int64(events)) == int64(b.N) {
			cancel()
		}
	})
	if err != nil || seen.Load() != int64(b.N) {
		b.Fatalf("%d of %d events, %v", seen.Load(), b.N, err)
	}
	reportEvents(b)
}

var quiet = eventlog.Logger(slog.New(slog.DiscardHandler))

func BenchmarkConsume(b *testing.B) {
	log := benchLog(b, benchData, "shop.v1.OrderEvent")
	benchmarkConsume(b, func(ctx context.Context, count func(int)) error {
		return eventlog.Consume(ctx, log, "bench", func(context.Context, eventlog.Record) error { count(1); return nil }, quiet)
	})
}

func BenchmarkConsumeBatches(b *testing.B) {
	log := benchLog(b, benchData, "shop.v1.OrderEvent")
	benchmarkConsume(b, func(ctx context.Context, count func(int)) error {
		return eventlog.ConsumeBatches(ctx, log, "bench", func(_ context.Context, batch []eventlog.Record) error { count(len(batch)); return nil }, quiet)
	})
}

func BenchmarkConsumeMessages(b *testing.B) {
	data, schema := benchStruct()
	log := benchLog(b, data, schema)
	benchmarkConsume(b, func(ctx context.Context, count func(int)) error {
		return eventlog.ConsumeMessages(ctx, log, "bench", eventlog.On(func(context.Context, eventlog.Stored[*structpb.Struct]) error { count(1); return nil }), quiet)
	})
}

// BenchmarkConsumeWork has a handler that does something: it takes about 20 µs, as
// one that changes a row in a local database would at the very least.
func BenchmarkConsumeWork(b *testing.B) {
	data, schema := benchStruct()
	log := benchLog(b, data, schema)
	work := make([]byte, 16<<10)
	benchmarkConsume(b, func(ctx context.Context, count func(int)) error {
		return eventlog.ConsumeMessages(ctx, log, "bench", eventlog.On(func(_ context.Context, stored eventlog.Stored[*structpb.Struct]) error {
			if sum := sha256.Sum256(work); sum[0] == 0 && sum[1] == 0 && stored.Message == nil {
				b.Error("no message")
			}
			count(1)
			return nil
		}), quiet)
	})
}

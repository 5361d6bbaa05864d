package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// The goals of reading, in events per second.
const (
	goalRaw   = 700_000
	goalTyped = 250_000
)

// stored is the number of events in a log that is read.
const stored = 1_000_000

// reads measures replay and consumers on a log of raw data, and on one of
// messages: a Struct of eight keys.
func (b *bench) reads(ctx context.Context) error {
	message, err := structpb.NewStruct(map[string]any{
		"idfa": "7f0c1f9e-2b1a-4c55-9d55-1f6f1a2f3e4d", "amount": 123.5, "currency": "EUR", "country": "DE",
		"campaign": "autumn-2026", "organic": true, "retries": 3, "device": "phone",
	})
	if err != nil {
		return err
	}
	encoded, err := proto.Marshal(message)
	if err != nil {
		return err
	}
	b.row("events/s", "replay", "to the goal", "consume", "to the goal")
	err = withStored(ctx, data, "shop.v1.OrderEvent", func(log eventlog.Log) error {
		replay, err := b.timed(func() error { return drain(log.Read(ctx, eventlog.From{})) })
		if err != nil {
			return err
		}
		consume, err := b.consumed(ctx, func(ctx context.Context, count func()) error {
			return eventlog.Consume(ctx, log, "raw", func(context.Context, eventlog.Record) error { count(); return nil }, quiet)
		})
		b.row("raw, 200 bytes", replay, replay.to(goalRaw, 1), consume, consume.to(goalRaw, 1))
		return err
	})
	if err != nil {
		return err
	}
	return withStored(ctx, encoded, string(message.ProtoReflect().Descriptor().FullName()), func(log eventlog.Log) error {
		replay, err := b.timed(func() error { return drain(eventlog.ReplayMessages[*structpb.Struct](ctx, log, eventlog.From{})) })
		if err != nil {
			return err
		}
		consume, err := b.consumed(ctx, func(ctx context.Context, count func()) error {
			return eventlog.ConsumeMessages(ctx, log, "typed", quiet, eventlog.On(
				func(context.Context, eventlog.Stored[*structpb.Struct]) error { count(); return nil }))
		})
		b.row("a Struct of 8 keys", replay, replay.to(goalTyped, 1), consume, consume.to(goalTyped, 1))
		return err
	})
}

var quiet = eventlog.Logger(slog.New(slog.DiscardHandler))

// withStored makes a log of events. They have so many subjects that consumers can
// handle many at once.
func withStored(ctx context.Context, data []byte, schema string, do func(eventlog.Log) error) error {
	return inFolder(func(dir string) error {
		log, err := eventlog.Open(ctx, "sqlite:"+filepath.Join(dir, "events.db"))
		if err != nil {
			return err
		}
		batch := make([]eventlog.Event, 1000)
		for range stored / len(batch) {
			for i := range batch {
				batch[i] = event()
				batch[i].Subject, batch[i].Data, batch[i].Schema = batch[i].ID[30:], data, schema
			}
			if _, err := log.Append(ctx, batch...); err != nil {
				return errors.Join(err, log.Close())
			}
		}
		return errors.Join(do(log), log.Close())
	})
}

// drain reads all records.
func drain[R any](records func(func(R, error) bool)) error {
	for _, err := range records {
		if err != nil {
			return err
		}
	}
	return nil
}

// timed returns the rate of do, which reads all stored events.
func (b *bench) timed(do func() error) (rate, error) {
	begin := b.clock()
	err := do()
	return rate(stored / (b.clock() - begin).Seconds()), err
}

// consumed returns the rate of a consumer that handles all stored events.
func (b *bench) consumed(ctx context.Context, consume func(ctx context.Context, count func()) error) (rate, error) {
	return b.timed(func() error {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		var handled atomic.Int64
		return consume(ctx, func() {
			if handled.Add(1) == stored {
				stop()
			}
		})
	})
}

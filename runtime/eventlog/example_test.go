package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
)

// A program opens the log that a URL names. It imports the engines that URLs may
// choose, here SQLite:
//
//	import _ "…/eventlog/sqlite"
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "events")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	log, err := eventlog.Open(context.Background(), "sqlite:"+filepath.Join(dir, "events.db")+"?max-age=720h")
	if err != nil {
		fmt.Println(err)
		return
	}
	stats, err := log.Stats(context.Background())
	fmt.Println(stats.Events, stats.Durability, errors.Join(err, log.Close()))
	// Output: 0 fsync <nil>
}

// An append returns once its events are durable. The same event again is a
// duplicate; another one under its source and id is refused.
func ExampleLog_append() {
	ctx := context.Background()
	log, err := eventlog.Open(ctx, "memory:")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = log.Close() }()
	event := eventlog.Event{ID: "order-1", Source: "shop", Type: "order.placed", Schema: "shop.v1.OrderEvent", Data: []byte("…")}
	for range 2 {
		receipts, err := log.Append(ctx, event)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(receipts[0].Position, receipts[0].Duplicate)
	}
	event.Type = "order.cancelled"
	_, err = log.Append(ctx, event)
	fmt.Println(errors.Is(err, eventlog.ErrConflict), err)
	// Output:
	// 1 false
	// 1 true
	// true another event has this source and id: source "shop", id "order-1"
}

// filled returns a log with three events, of which one can't be handled.
func filled(ctx context.Context) eventlog.Log {
	log, err := eventlog.Open(ctx, "memory:")
	if err != nil {
		panic(err)
	}
	_, err = eventlog.AppendMessages(ctx, log,
		[]*wrapperspb.StringValue{wrapperspb.String("apple"), wrapperspb.String("poison"), wrapperspb.String("pear")},
		func(message *wrapperspb.StringValue) eventlog.Event {
			return eventlog.Event{ID: message.GetValue(), Type: "fruit"}
		})
	if err != nil {
		panic(err)
	}
	return log
}

// A consumer has a name, under which the log remembers its position. Events that
// it can't handle go to the dead letters, and the others have their turn.
func ExampleConsume() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	log := filled(ctx)
	err := eventlog.Consume(ctx, log, "basket", func(_ context.Context, event eventlog.Record) error {
		if event.ID == "poison" {
			return eventlog.GiveUp(errors.New("it is not a fruit"))
		}
		fmt.Println(event.Position, event.ID)
		if event.ID == "pear" {
			cancel() // ends Consume once what was begun is finished
		}
		return nil
	}, eventlog.Concurrency(1), eventlog.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		fmt.Println(err)
	}
	for letter, err := range log.Dead(context.Background(), "basket") {
		fmt.Println("dead:", letter.ID, letter.Reason, err)
	}
	// Output:
	// 1 apple
	// 3 pear
	// dead: poison it is not a fruit <nil>
}

// Events are replayed as the messages that they were.
func ExampleReplayMessages() {
	ctx := context.Background()
	log := filled(ctx)
	for stored, err := range eventlog.ReplayMessages[*wrapperspb.StringValue](ctx, log, eventlog.After(1)) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(stored.Position, stored.Message.GetValue(), proto.Size(stored.Message))
	}
	// Output:
	// 2 poison 8
	// 3 pear 6
}

// countingLog counts the events that are appended. A [eventlog.Log] is an
// interface so that it can be wrapped: main passes the wrapper where it would pass
// the log.
type countingLog struct {
	eventlog.Log
	appended atomic.Int64
}

func (l *countingLog) Append(ctx context.Context, events ...eventlog.Event) ([]eventlog.Receipt, error) {
	receipts, err := l.Log.Append(ctx, events...)
	for _, receipt := range receipts {
		if !receipt.Duplicate {
			l.appended.Add(1)
		}
	}
	return receipts, err
}

func Example_wrapper() {
	ctx := context.Background()
	inner, err := eventlog.Open(ctx, "memory:")
	if err != nil {
		fmt.Println(err)
		return
	}
	log := &countingLog{Log: inner}
	for _, id := range []string{"a", "b", "a"} {
		if _, err := log.Append(ctx, eventlog.Event{ID: id, Type: "t", Schema: "s"}); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(log.appended.Load(), log.Close())
	// Output: 2 <nil>
}

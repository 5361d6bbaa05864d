package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// cluster compares appends to a log on three NATS servers with what nats.go does on the
// same servers: PublishAsync, with an id for each message, and with the headers that a log
// has. Servers and clients share the machine.
func (b *bench) cluster(ctx context.Context) error {
	return inFolder(func(dir string) error {
		url, stop, err := startCluster(dir)
		if err != nil {
			return err
		}
		defer stop()
		log, err := eventlog.Open(ctx, url) // makes the stream
		if err != nil {
			return err
		}
		defer log.Close()
		b.row("three NATS servers", "rate", "÷ PublishAsync", "÷ with headers")
		var plain rate
		var full rate // 0 until it is measured
		for _, one := range []struct {
			name string
			run  func() (rate, error)
			goal float64
		}{
			{"PublishAsync, with ids", func() (rate, error) { return b.publishAsync(url, false) }, 0},
			{"PublishAsync, with a log's headers", func() (rate, error) { return b.publishAsync(url, true) }, 0},
			{"append, 64 callers", func() (rate, error) { return b.append(ctx, log, 64, 1) }, 0},
			{"append, 512 callers", func() (rate, error) { return b.append(ctx, log, 512, 1) }, 0.8},
			{"append, 4096 callers", func() (rate, error) { return b.append(ctx, log, 4096, 1) }, 0},
			{"append of 100 events, 8 callers", func() (rate, error) { return b.append(ctx, log, 8, 100) }, 0},
		} {
			got, err := one.run()
			if err != nil {
				return err
			}
			switch {
			case plain == 0:
				plain = got
				b.row(one.name, got, got.to(plain, 0), "–")
				continue
			case full == 0:
				full = got
			}
			b.row(one.name, got, got.to(plain, one.goal), got.to(full, 0))
		}
		return b.out.Flush()
	})
}

func (b *bench) append(ctx context.Context, log eventlog.Log, callers, each int) (rate, error) {
	perSecond, err := b.callers(ctx, callers, func(ctx context.Context) error {
		events := make([]eventlog.Event, each)
		for i := range events {
			events[i] = event()
		}
		_, err := log.Append(ctx, events...)
		return err
	})
	return perSecond * rate(each), err
}

// publishAsync publishes messages to the stream of a log, as fast as nats.go does with up
// to 4000 under way, its default.
func (b *bench) publishAsync(url string, headers bool) (rate, error) {
	servers := strings.TrimSuffix(url, "/EVENTS")
	conn, err := nats.Connect(servers)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	var failed atomic.Value
	stream, err := jetstream.New(conn, jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) { failed.Store(err) }))
	if err != nil {
		return 0, err
	}
	published, begin := 0, b.clock()
	for until := time.Now().Add(b.span); time.Now().Before(until); published++ {
		e := event()
		message := &nats.Msg{Subject: "EVENTS.1.shop", Data: e.Data, Header: nats.Header{jetstream.MsgIDHeader: {"raw:" + e.ID}}}
		if headers {
			for name, value := range map[string]string{
				"ce-specversion": "1.0", "ce-id": e.ID, "ce-source": e.Source, "ce-type": e.Type, "ce-subject": e.Subject,
				"ce-dataschema": e.Schema, "content-type": "application/protobuf", jetstream.ExpectedStreamHeader: "EVENTS",
			} {
				message.Header[name] = []string{value}
			}
		}
		if _, err := stream.PublishMsgAsync(message, jetstream.WithStallWait(10*time.Second)); err != nil {
			return 0, err
		}
	}
	select {
	case <-stream.PublishAsyncComplete():
	case <-time.After(30 * time.Second):
		return 0, errors.New("messages are not acknowledged within 30 s")
	}
	if err, ok := failed.Load().(error); ok {
		fmt.Fprintln(os.Stderr, "PublishAsync:", err)
	}
	return rate(float64(published) / (b.clock() - begin).Seconds()), nil
}

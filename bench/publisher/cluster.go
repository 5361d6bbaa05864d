//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/bench/natscluster"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/nats"
)

// measureCluster compares events that are published, with a service and its log on three
// NATS servers, with what nats.go does on the same servers: PublishAsync, with an id for
// each message. All share the machine.
func (b *bench) measureCluster(ctx context.Context) error {
	dir, err := os.MkdirTemp(b.dir, "publisher-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	url, stop, err := natscluster.Start(dir)
	if err != nil {
		return err
	}
	defer stop()
	log, err := eventlog.Open(ctx, url) // makes the stream
	if err != nil {
		return err
	}
	if err := log.Close(); err != nil {
		return err
	}
	b.log = url
	raw, err := b.publishAsync(ctx, url)
	if err != nil {
		return err
	}
	fmt.Printf("On %d cores, %s for each figure. PublishAsync, with ids: %.1fk/s\n", runtime.GOMAXPROCS(0), b.span, raw/1000)
	f, err := b.measure(ctx, publishTogether)
	if err != nil {
		return err
	}
	fmt.Printf("PublishAll of %d, %d callers, to a service with its log there: %.1fk/s, ÷ PublishAsync %.2f\n", together, batchers, f.perSecond()/1000, f.perSecond()/raw)
	return nil
}

// publishAsync returns how many messages nats.go publishes in a second, with up to 4000
// under way, its default.
func (b *bench) publishAsync(ctx context.Context, url string) (perSecond float64, err error) {
	conn, err := nats.Connect(strings.TrimSuffix(url, "/EVENTS"))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	stream, err := jetstream.New(conn)
	if err != nil {
		return 0, err
	}
	data, err := proto.Marshal(newEvent(0))
	if err != nil {
		return 0, err
	}
	published, begin := 0, time.Now()
	for time.Since(begin) < b.span && ctx.Err() == nil {
		message := &nats.Msg{Subject: "EVENTS.1.demo", Data: data, Header: nats.Header{jetstream.MsgIDHeader: {"raw:" + eventid.New()}}}
		if _, err := stream.PublishMsgAsync(message, jetstream.WithStallWait(10*time.Second)); err != nil {
			return 0, err
		}
		published++
	}
	select {
	case <-stream.PublishAsyncComplete():
	case <-time.After(30 * time.Second):
		return 0, errors.New("messages are not acknowledged within 30 s")
	}
	return float64(published) / time.Since(begin).Seconds(), nil
}

package nats_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/eventlogtest"
)

var streams atomic.Int64

// newStream returns the name of a stream that does not exist yet.
func newStream() string { return fmt.Sprint("EVENTS", streams.Add(1)) }

func TestOneServerKeepsTheContract(t *testing.T) {
	t.Parallel()
	s := start(t, &server.Options{JetStreamLimits: server.JSLimitOpts{MaxBatchSize: maxBatch}})
	eventlogtest.Run(t, eventlogtest.Engine{
		URL: func(testing.TB) string {
			return "nats://" + hosts(s) + "/" + newStream() + "?durability=none&timeout=1m" // for large batches
		},
		Durability: eventlog.None,
		Steal:      steal,
		Replace:    replace,
		Delete:     removeFirst,
	})
}

func TestServerThatSyncsKeepsTheContract(t *testing.T) {
	t.Parallel()
	s := start(t, &server.Options{SyncAlways: true, HTTPHost: "127.0.0.1", HTTPPort: -1, JetStreamLimits: server.JSLimitOpts{MaxBatchSize: maxBatch}})
	eventlogtest.Run(t, eventlogtest.Engine{
		URL: func(testing.TB) string {
			return "nats://" + hosts(s) + "/" + newStream() + "?timeout=1m&monitor=http://" + s.MonitorAddr().String()
		},
		Durability: eventlog.Fsync,
		Steal:      steal,
		Replace:    replace,
		Delete:     removeFirst,
	})
}

func TestClusterKeepsTheContract(t *testing.T) {
	t.Parallel()
	servers := startCluster(t)
	eventlogtest.Run(t, eventlogtest.Engine{
		URL:        func(testing.TB) string { return "nats://" + hosts(servers...) + "/" + newStream() + "?timeout=1m" },
		Durability: eventlog.Quorum,
		Steal:      steal,
		Replace:    replace,
		Delete:     removeFirst,
	})
}

// replace deletes the stream of a log. Whoever opens the log next creates another
// one.
func replace(t testing.TB, url string) {
	t.Helper()
	js, stream := connect(t, url)
	if err := js.DeleteStream(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
}

// removeFirst removes the first messages of the stream of a log, as max-age does.
func removeFirst(t testing.TB, url string, last eventlog.Position) {
	t.Helper()
	js, name := connect(t, url)
	stream, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(uint64(last)+1)); err != nil {
		t.Fatal(err)
	}
}

// steal makes another process the holder of a consumer's lease.
func steal(t testing.TB, url, consumer string) {
	t.Helper()
	js, stream := connect(t, url)
	consumers, err := js.Stream(t.Context(), stream+"_consumers")
	if err != nil {
		t.Fatal(err)
	}
	message, err := consumers.GetLastMsgForSubject(t.Context(), stream+"_consumers.place."+consumer)
	if err != nil {
		t.Fatal(err)
	}
	state := map[string]any{}
	if err := json.Unmarshal(message.Data, &state); err != nil {
		t.Fatal(err)
	}
	state["holder"], state["hold"] = "process 1 on another host", "stolen"
	data, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), message.Subject, data); err != nil {
		t.Fatal(err)
	}
}

// connect connects to the server of a log, and returns the name of its stream.
func connect(t testing.TB, url string) (js jetstream.JetStream, stream string) {
	t.Helper()
	address, rest, _ := strings.Cut(strings.TrimPrefix(url, "nats://"), "/")
	stream, _, _ = strings.Cut(rest, "?")
	conn, err := nats.Connect("nats://" + strings.Split(address, ",")[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if js, err = jetstream.New(conn); err != nil {
		t.Fatal(err)
	}
	return js, stream
}

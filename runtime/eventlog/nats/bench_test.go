package nats_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// BenchmarkAppend measures what the benchmark of the SQLite engine does, with one
// server in this process that syncs each message before it acknowledges it.
func BenchmarkAppend(b *testing.B) {
	data := []byte(strings.Repeat("0123456789", 20))
	for _, callers := range []int{1, 64, 512} {
		for _, each := range []int{1, 100} {
			b.Run(fmt.Sprintf("callers=%d/events=%d", callers, each), func(b *testing.B) {
				s := start(b, &server.Options{SyncAlways: true, HTTPHost: "127.0.0.1", HTTPPort: -1})
				log := open(b, "nats://"+hosts(s)+"/EVENTS?monitor=http://"+s.MonitorAddr().String())
				// Each call has a context that can end, as in a server.
				ctx, cancel := context.WithCancel(b.Context())
				defer cancel()
				b.ReportAllocs()
				b.ResetTimer()
				var next atomic.Int64
				var group sync.WaitGroup
				for range callers {
					group.Go(func() {
						events := make([]eventlog.Event, each)
						for next.Add(int64(each)) <= int64(b.N+each-1) {
							for i := range events {
								events[i] = eventlog.Event{
									ID: uuid.Must(uuid.NewV7()).String(), Source: "shop", Type: "order.placed", Subject: "customer-81723",
									Time: time.Now(), Schema: "shop.v1.OrderEvent", Data: data,
								}
							}
							if _, err := log.Append(ctx, events...); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				group.Wait()
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"example.com/receiver/gen/receiverpb"
	"example.com/receiver/gen/receiverpb/receiverevents"
	"example.com/receiver/gen/receiverpb/receiverserver"
	"example.com/receiver/gen/receiverpb/receivertest"
)

// service is the demo's service, with or without the log.
type service struct {
	receiverpb.UnimplementedReceiverServer
	events *receiverevents.Log // nil for no log
}

func (s *service) Receive(ctx context.Context, event *receiverpb.Event) (*receiverpb.Reply, error) {
	if s.events != nil {
		if _, err := s.events.AppendEvent(ctx, event); err != nil {
			return nil, err
		}
	}
	return &receiverpb.Reply{Message: "Hello, " + event.GetXwho() + "!"}, nil
}

// BenchmarkReceive calls the demo's unary RPC over TCP, client and server in
// this process, with 1, 64 and 512 callers. It does so without the log, and with each
// event made durable before it is acknowledged.
func BenchmarkReceive(b *testing.B) {
	details, err := structpb.NewStruct(map[string]any{"idfa": "idfa1", "amount": 123})
	if err != nil {
		b.Fatal(err)
	}
	event := &receiverpb.Event{Appid: "demo", Xwhen: 123, Xwho: "jerry", Xwhat: "install", Xcontext: details}
	for _, callers := range []int{1, 64, 512} {
		for _, log := range []string{"without", "with"} {
			b.Run(fmt.Sprintf("callers=%d/log=%s", callers, log), func(b *testing.B) {
				s := &service{}
				if log == "with" {
					s.events, err = receiverevents.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "events.db"))
					if err != nil {
						b.Fatal(err)
					}
					b.Cleanup(func() { s.events.Close() })
				}
				client := receivertest.Serve(b, receiverserver.Receiver(s)).Receiver()
				b.ReportAllocs()
				b.ResetTimer()
				call(b, callers, func() error {
					_, err := client.Receive(b.Context(), event)
					return err
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
			})
		}
	}
}

// call makes b.N calls, which the callers share.
func call(b *testing.B, callers int, once func() error) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := once(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
)

// batchSize is how many events a call of the load sends.
const batchSize = 100

// load sends events to a server at a rate, and beside them whatever a careless or
// hostile client may: names, paths and codes that nobody has sent before.
type load struct {
	to     *server
	caller *caller
	events atomic.Int64 // that were acknowledged
}

// run sends so many events a second until its time ends, and returns the first error.
func (l *load) run(until context.Context, perSecond int) error {
	ctx, stop := context.WithCancelCause(until)
	defer stop(nil)
	due := make(chan int)
	var group sync.WaitGroup
	beside := func(do func() error) {
		group.Go(func() {
			if err := do(); err != nil && ctx.Err() == nil {
				stop(err)
			}
		})
	}
	for range 16 {
		beside(func() error {
			for n := range due {
				if err := l.send(ctx, n); err != nil {
					return err
				}
				l.events.Add(batchSize)
			}
			return nil
		})
	}
	beside(func() error { return each(ctx, 50*time.Millisecond, l.strange, l.stranger) })
	beside(func() error { return each(ctx, time.Second, l.caller.unusual, l.caller.usual) })
	beside(func() error {
		return each(ctx, time.Second, func(ctx context.Context) error {
			following, stop := context.WithTimeout(ctx, 3*time.Second)
			defer stop()
			return want("Tail", l.caller.follow(following), codes.DeadlineExceeded)
		})
	})
	begin, between := time.Now(), time.Second*batchSize/time.Duration(perSecond)
	for n := 0; ctx.Err() == nil; n++ {
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(begin.Add(time.Duration(n) * between))):
		}
		select {
		case <-ctx.Done():
		case due <- n:
		}
	}
	close(due)
	group.Wait()
	if until.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

// send sends a batch of new events: of ten, seven by gRPC as one request, one as a
// stream, one by HTTP as JSON, and one by HTTP as CloudEvents.
func (l *load) send(ctx context.Context, n int) error {
	switch n % 10 {
	case 3:
		return l.caller.json(ctx, "PublishBatch", `{"events":[`+several(event.json)+`]}`)
	case 7:
		got, err := l.caller.post(ctx, "/events/observe.v1.ObserveService", "application/cloudevents-batch+json", "["+several(event.cloud)+"]")
		if err == nil && got != http.StatusNoContent {
			err = fmt.Errorf("CloudEvents by HTTP: status %d", got)
		}
		return err
	case 9:
		requests := make([][]byte, batchSize)
		for i := range requests {
			requests[i] = publish(anyEvent())
		}
		return want("PublishStream", l.caller.send(ctx, "PublishStream", requests), codes.OK)
	}
	events := make([]event, batchSize)
	for i := range events {
		events[i] = anyEvent()
	}
	return want("PublishBatch", l.caller.call(ctx, "PublishBatch", batch(events)), codes.OK)
}

// several returns a batch of new events in JSON.
func several(as func(event) string) string {
	events := make([]string, batchSize)
	for i := range events {
		events[i] = as(anyEvent())
	}
	return strings.Join(events, ",")
}

// strange makes calls with names, paths and codes that were never there before. It does
// not matter how they end.
func (l *load) strange(ctx context.Context) error {
	random := func() string { return fmt.Sprintf("random-%x", rand.Uint64()) }
	_ = l.caller.call(ctx, random(), nil)
	_ = l.caller.conn.Invoke(ctx, "/"+random()+".Service/"+random(), new([]byte), new([]byte))
	_ = l.caller.call(ctx, "Lookup", look(uint64(rand.Uint32N(1<<31)), 0))
	_, _ = l.caller.post(ctx, "/"+random(), random()+"/"+random(), random(), "User-Agent", random(), "Content-Encoding", random())
	_, _ = l.caller.post(ctx, service+random(), "application/json", "{}", "User-Agent", random(), "Origin", "http://"+random()+".example", "event-id", random())
	return nil
}

// stranger connects with a name of its own, and calls.
func (l *load) stranger(ctx context.Context) error {
	conn, err := grpc.NewClient(l.to.addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUserAgent(fmt.Sprintf("random-%x", rand.Uint64())), grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	if err != nil {
		return err
	}
	_ = conn.Invoke(ctx, service+"Lookup", new([]byte), new([]byte))
	return conn.Close()
}

package console

import (
	"context"
	"math/bits"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

const (
	// The charts have a point for each step, and as many as an hour has.
	step   = 5 * time.Second
	points = int(time.Hour / step)
)

// counters count from the start of the process. A call adds to a few of them, and waits for
// nothing.
type counters struct {
	stored, duplicates, refused atomic.Int64 // events
	calls, wrong, failed        atomic.Int64 // calls; those that ended by their caller's fault, and by the server's
	handling, appending         histogram

	mu   sync.Mutex
	last totals             // at the end of the last point
	ring [points]chartPoint // by the number of the point
	next int                // number
}

// totals are what the counters had at a time.
type totals struct {
	stored, duplicates, refused, calls, wrong, failed int64
	handling, appending                               counts
	time                                              int64
}

// chartPoint is what happened within a step. Times are in microseconds, of half the calls
// and of 99 in 100; -1 if there were none.
type chartPoint struct {
	Time       int64 `json:"time"` // its end, in milliseconds since 1970
	Stored     int64 `json:"stored"`
	Duplicates int64 `json:"duplicates"`
	Refused    int64 `json:"refused"`
	Calls      int64 `json:"calls"`
	Wrong      int64 `json:"wrong"`
	Failed     int64 `json:"failed"`
	Half       int64 `json:"half"`
	Most       int64 `json:"most"`
	AppendHalf int64 `json:"append_half"`
	AppendMost int64 `json:"append_most"`
}

// ofRPC returns what counts the calls of an RPC. Streams are open for as long as their
// callers like, so only the others have a latency, and the server's own are not counted.
func (c *counters) ofRPC(call server.Call) server.RPCObserver {
	if call.Own {
		return server.RPCObserver{}
	}
	return server.RPCObserver{End: func(_ context.Context, code codes.Code, took time.Duration) {
		c.calls.Add(1)
		if !call.Streams {
			c.handling.add(took)
		}
		switch code {
		case codes.OK:
		case codes.Unknown, codes.Internal, codes.DataLoss, codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded:
			c.failed.Add(1)
		default:
			c.wrong.Add(1)
		}
	}}
}

// ofLog returns what counts appends.
func (c *counters) ofLog() eventlog.Observer {
	return eventlog.Observer{Appended: func(receipts []eventlog.Receipt, events int, err error, took time.Duration) {
		if err != nil {
			c.refused.Add(int64(events))
			return
		}
		before := int64(0)
		for i := range receipts {
			if receipts[i].Duplicate {
				before++
			}
		}
		if c.stored.Add(int64(events) - before); before > 0 {
			c.duplicates.Add(before)
		}
		c.appending.add(took)
	}}
}

// record adds a point for each step, until ctx ends.
func (c *counters) record(ctx context.Context) {
	tick := time.NewTicker(step)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			c.add(now)
		}
	}
}

// add adds a point with what was counted since the last one.
func (c *counters) add(now time.Time) {
	total := totals{
		c.stored.Load(), c.duplicates.Load(), c.refused.Load(), c.calls.Load(), c.wrong.Load(), c.failed.Load(),
		c.handling.counts(), c.appending.counts(), 0,
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	point := chartPoint{
		// A page asks for those after the last that it has, also if the clock was set back.
		Time: max(now.UnixMilli(), c.last.time+step.Milliseconds()), Stored: total.stored - c.last.stored, Duplicates: total.duplicates - c.last.duplicates, Refused: total.refused - c.last.refused,
		Calls: total.calls - c.last.calls, Wrong: total.wrong - c.last.wrong, Failed: total.failed - c.last.failed,
	}
	handling, appending := total.handling.since(&c.last.handling), total.appending.since(&c.last.appending)
	point.Half, point.Most = handling.quantile(0.5), handling.quantile(0.99)
	point.AppendHalf, point.AppendMost = appending.quantile(0.5), appending.quantile(0.99)
	total.time = point.Time
	c.ring[c.next%points], c.last = point, total
	c.next++
}

// after returns the points that ended after a time, in milliseconds since 1970.
func (c *counters) after(time int64) []chartPoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []chartPoint{}
	for i := max(0, c.next-points); i < c.next; i++ {
		if point := c.ring[i%points]; point.Time > time {
			all = append(all, point)
		}
	}
	return all
}

// charts answers with the points after those that the page has.
func (p *page) charts(r *http.Request) (any, error) {
	after, _ := strconv.ParseInt(r.FormValue("after"), 10, 64)
	return struct {
		Step   int          `json:"step"`
		Points []chartPoint `json:"points"`
	}{int(step.Seconds()), p.counters.after(after)}, nil
}

// Durations have four buckets for each power of two of their microseconds.
const buckets = 4 * 40

type histogram [buckets]atomic.Int64

type counts [buckets]int64

// bucketOf returns the bucket of a duration.
func bucketOf(took time.Duration) int {
	us := uint64(max(took.Microseconds(), 0))
	if us < 4 {
		return int(us)
	}
	power := bits.Len64(us) - 1
	return min(4*(power-1)+int(us>>(power-2)&3), buckets-1)
}

// upperBound returns the microseconds that end a bucket.
func upperBound(bucket int) int64 {
	if bucket < 4 {
		return int64(bucket) + 1
	}
	power := bucket/4 + 1
	return int64(4+bucket%4+1) << (power - 2)
}

func (h *histogram) add(took time.Duration) { h[bucketOf(took)].Add(1) }

func (h *histogram) counts() (now counts) {
	for i := range h {
		now[i] = h[i].Load()
	}
	return now
}

func (c counts) since(before *counts) counts {
	for i := range c {
		c[i] -= before[i]
	}
	return c
}

// quantile returns the microseconds within which a share of what was counted was done, at
// most a quarter too many; -1 if nothing was counted.
func (c *counts) quantile(share float64) int64 {
	all := int64(0)
	for _, n := range c {
		all += n
	}
	if all == 0 {
		return -1
	}
	sum := int64(0)
	for i, n := range c {
		if sum += n; float64(sum) >= share*float64(all) {
			return upperBound(i)
		}
	}
	return upperBound(buckets - 1)
}

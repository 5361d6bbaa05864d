package guard

import (
	"container/list"
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

const (
	// mostSources is how many sources the server knows at the same time. One takes
	// about 250 bytes.
	mostSources = 10_000
	// mostStreamWait is how long a request in a stream waits for its turn.
	mostStreamWait = 30 * time.Second
	// mostWait is the longest wait that callers are asked for.
	mostWait = time.Hour
)

// rates bounds how often a server is called.
type rates struct {
	config Config
	now    func() time.Time
	seed   maphash.Seed

	mu     sync.Mutex
	server *rate.Limiter // nil for no bound
	// The sources used last are those that send now. One that is forgotten begins again
	// with a whole burst: whoever may invent sources gets that anyway, and is bound by
	// the rate of the server.
	sources map[uint64]*list.Element
	recent  *list.List // of *source, the one used last first
}

// source is the events of a source. Its name, which may be long, is not kept.
type source struct {
	hash    uint64
	limiter *rate.Limiter
}

func newRates(config Config) *rates {
	r := &rates{config: config, now: time.Now, seed: maphash.MakeSeed(), sources: map[uint64]*list.Element{}, recent: list.New()}
	if config.Rate > 0 {
		r.server = newLimiter(config.Rate, config.Burst)
	}
	return r
}

func newLimiter(perSecond float64, burst int) *rate.Limiter {
	if burst == 0 {
		burst = int(min(max(perSecond, 1), 1<<30))
	}
	return rate.NewLimiter(rate.Limit(perSecond), burst)
}

// of returns the limiter of a source. The lock is held.
func (r *rates) of(name string) *rate.Limiter {
	hash := maphash.String(r.seed, name)
	if known, ok := r.sources[hash]; ok {
		r.recent.MoveToFront(known)
		return known.Value.(*source).limiter
	}
	if r.recent.Len() >= mostSources {
		last := r.recent.Back()
		delete(r.sources, r.recent.Remove(last).(*source).hash)
	}
	added := &source{hash, newLimiter(r.config.SourceRate, r.config.SourceBurst)}
	r.sources[hash] = r.recent.PushFront(added)
	return added.limiter
}

// demand is how many events of a source, one after the other, a request has.
type demand struct {
	source  string
	events  int
	limiter *rate.Limiter
}

// take takes events of the server and of sources from what may come now: all of them or
// none. If they may not come yet, it returns how long to wait, and the answer until then.
// Unless it is to spend them, it only looks.
func (r *rates) take(all int, demands []demand, spending bool) (wait time.Duration, answer string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if r.server != nil {
		if wait := waitFor(r.server, now); wait > 0 {
			return wait, fmt.Sprintf("the server takes %v events a second (--rate)", r.config.Rate)
		}
	}
	for i := range demands {
		demands[i].limiter = r.of(demands[i].source)
		if wait := waitFor(demands[i].limiter, now); wait > 0 {
			return wait, fmt.Sprintf("the server takes %v events a second of one source (--source-rate)", r.config.SourceRate)
		}
	}
	if !spending {
		return 0, ""
	}
	for _, d := range demands {
		spend(d.limiter, now, d.events)
	}
	if r.server != nil {
		spend(r.server, now, all)
	}
	return 0, ""
}

// waitFor returns how long to wait until a request may come; 0 if it may now. It may when
// one event may, however many it has: what they are more is owed, and what follows waits
// for it. If it had to wait for all of its own, callers with one event each would always
// be there before it.
func waitFor(limiter *rate.Limiter, now time.Time) time.Duration {
	burst, have := limiter.Burst(), limiter.TokensAt(now)
	if have >= 1 {
		return 0
	}
	// Who comes back has room for a tenth of a burst, so that callers don't come back
	// for each single event.
	need := max(1, float64(burst)/10)
	seconds := (need - have) / float64(limiter.Limit())
	if seconds >= mostWait.Seconds() {
		return mostWait
	}
	return time.Duration(seconds*float64(time.Second)) + time.Millisecond
}

// spend takes events from a limiter, which owes what it does not have.
func spend(limiter *rate.Limiter, now time.Time, events int) {
	for burst := limiter.Burst(); events > 0; events -= burst {
		limiter.ReserveN(now, min(events, burst))
	}
}

// admit takes calls that take no events. For the others it only looks, before the request
// is received, whether anything may come. Streams that bring events are let in: each of
// their requests waits.
func (r *rates) admit(ctx context.Context, call server.Call) (context.Context, error) {
	takesEvents := call.RPC.Sources != nil
	if open(call) || takesEvents && call.Streams {
		return ctx, nil
	}
	var demands []demand
	if key, ok := Caller(ctx); ok && !key.AllSources && r.config.SourceRate > 0 {
		demands = []demand{{source: key.Source, events: 1}}
	}
	if wait, answer := r.take(1, demands, !takesEvents); wait > 0 {
		return nil, refusal(wait, answer)
	}
	return ctx, nil
}

// check takes the events of a request. In a stream it waits until they may come.
func (r *rates) check(ctx context.Context, call server.Call, request any) error {
	if call.RPC.Sources == nil {
		return nil
	}
	all, demands, err := r.demands(call, request)
	if err != nil {
		return err
	}
	wait, answer := r.take(all, demands, true)
	if wait == 0 {
		return nil
	}
	if !call.Streams {
		return refusal(wait, answer)
	}
	ctx, stop := server.UntilDrain(ctx)
	defer stop()
	for begin := time.Now(); wait > 0; wait, answer = r.take(all, demands, true) {
		if time.Since(begin)+wait > mostStreamWait {
			return refusal(wait, answer)
		}
		turn := time.NewTimer(wait)
		select {
		case <-turn.C:
		case <-ctx.Done():
			turn.Stop()
			return context.Cause(ctx)
		}
	}
	return nil
}

// demands returns how many events a request has, at least one since an empty batch is
// work as well, and how many of which source if those have a rate.
func (r *rates) demands(call server.Call, request any) (all int, demands []demand, err error) {
	err = call.RPC.Sources(request, func(source string) error {
		all++
		switch last := len(demands) - 1; {
		case r.config.SourceRate == 0:
		case last >= 0 && demands[last].source == source:
			demands[last].events++
		default:
			demands = append(demands, demand{source: source, events: 1})
		}
		return nil
	})
	return max(all, 1), demands, err
}

// refusal returns the answer to a caller who is to come back after a while.
func refusal(wait time.Duration, why string) error {
	shown := wait.Round(time.Millisecond)
	if wait > time.Second {
		shown = wait.Round(time.Second)
	}
	answer := status.Newf(codes.ResourceExhausted, "%s: try again in %s", why, shown)
	if detailed, err := answer.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)}); err == nil {
		answer = detailed
	}
	return answer.Err()
}

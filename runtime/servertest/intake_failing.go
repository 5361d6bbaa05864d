//runtime:with eventlog

package servertest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// How long a test waits to see that something does not happen. A right service passes
// however short these are; a wrong one is found more often if they are longer.
const (
	grace     = 10 * time.Millisecond // where a test waits many times
	longGrace = 60 * time.Millisecond // where it waits once
)

// waits tests that no answer comes while the append of its events is under way.
func (c *intake[Request, Event, Reply]) waits(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	try := c.tapped(t, func(ctx context.Context, _ []eventlog.Event, store store) ([]eventlog.Receipt, error) {
		for _, step := range []chan struct{}{held, release} {
			select {
			case step <- struct{}{}:
			case <-ctx.Done():
				return nil, eventlog.Ended(ctx)
			}
		}
		return store()
	})
	sent, requests := c.make(t, 3)
	ctx, cancel := context.WithCancel(try.context())
	defer cancel()
	ended, patience := try.begin(ctx, requests...), longGrace
	for appends := int64(0); ; appends++ {
		select {
		case <-held:
		case end := <-ended:
			try.accepted("a call", end.err)
			if appends == 0 {
				try.errorf("a call was acknowledged before it had appended anything")
				return
			}
			try.holds(sent)
			return
		}
		select {
		case end := <-ended:
			if end.err == nil {
				try.errorf("a call was acknowledged while an append was under way: is it made in a goroutine that nobody waits for?")
			} else {
				try.accepted("a call", end.err)
			}
			return
		case <-time.After(patience):
			patience = grace
		}
		if answered := try.answered.Load(); answered > appends {
			try.errorf("%d answers came while append number %d was under way: send an answer after the append of its events has returned", answered, appends+1)
			return
		}
		<-release
	}
}

// fails tests that nothing is acknowledged that the log can't store for now: neither if
// the first append fails, nor if the second does; and that it is stored when it is sent
// again after that.
func (c *intake[Request, Event, Reply]) fails(t *testing.T) {
	for first := range 2 {
		if first > 0 && !c.several() {
			break
		}
		c.failsFrom(t, first)
	}
}

// mostTriesOfAppend is how often a call may try an append that fails.
const mostTriesOfAppend = 25

func (c *intake[Request, Event, Reply]) failsFrom(t *testing.T, first int) {
	var mu sync.Mutex
	var appends, failed int
	broken := true
	events := 3
	if first > 0 && c.whole() {
		events = 300 // which it may append in parts
	}
	sent, requests := c.make(t, events)
	var cancel context.CancelFunc
	try := c.tapped(t, func(_ context.Context, _ []eventlog.Event, store store) ([]eventlog.Receipt, error) {
		mu.Lock()
		defer mu.Unlock()
		if appends++; !broken || appends <= first {
			return store()
		}
		if failed++; failed > mostTriesOfAppend {
			cancel()
		}
		return nil, errBroken
	})
	base := try.context()
	ctx, cancel := context.WithCancel(base)
	defer cancel()
	replies, err := try.call(ctx, requests...)
	mu.Lock()
	broken = false
	tried := failed
	mu.Unlock()
	switch {
	case tried == 0 && err != nil && len(sent) > 3:
		try.refused(fmt.Sprintf("a call with %d events", len(sent)), err)
		return
	case tried == 0:
		try.accepted("a call", err)
		return
	case tried > mostTriesOfAppend:
		try.errorf("one call has tried an append that fails more than %d times: return the error, and leave it to the client to try again", mostTriesOfAppend)
	case err == nil:
		try.errorf("a call was acknowledged although its append ended with an error: is the error ignored?")
	case status.Code(err) != codes.Unavailable:
		try.errorf("a call whose append fails for now ended with %v, want code Unavailable, so that the client tries again: return the log's error as it is", err)
	}
	try.holdsPart(sent, requests, replies)
	_, err = try.call(base, requests...)
	try.accepted("the call after one whose append failed", err)
	try.holds(sent)
}

// refuses tests that a call is not acknowledged if the log refuses the last of its events.
func (c *intake[Request, Event, Reply]) refuses(t *testing.T) {
	sent, requests := c.make(t, 3)
	want := len(c.stored(sent))
	appended := 0
	try := c.tapped(t, func(_ context.Context, events []eventlog.Event, store store) ([]eventlog.Receipt, error) {
		if appended += len(events); appended >= want {
			return nil, &eventlog.Error{Kind: eventlog.ErrInvalid, Detail: "refused, for the test"}
		}
		return store()
	})
	replies, err := try.call(try.context(), requests...)
	what := fmt.Sprintf("a call of which the log refuses event %d", want)
	if err == nil {
		try.errorf("%s was acknowledged: is the error of the append ignored?", what)
	} else {
		try.refused(what, err)
	}
	try.holdsPart(sent, requests, replies)
}

// panics tests that the server goes on after a panic in a call, and so do other calls.
func (c *intake[Request, Event, Reply]) panics(t *testing.T) {
	var once sync.Once
	failing.Store(true)
	defer failing.Store(false)
	try := c.tapped(t, func(_ context.Context, _ []eventlog.Event, store store) ([]eventlog.Receipt, error) {
		once.Do(func() {
			panic("on purpose, by the test " + t.Name() + ": if the program ends here, the event was appended in a goroutine of its own, where a panic ends all calls. If that is right, leave this part out by Skip in service_test.go")
		})
		return store()
	})
	sent, requests := c.make(t, 3)
	ctx := try.context()
	switch _, err := try.call(ctx, requests...); status.Code(err) {
	case codes.OK:
		try.errorf("a call was acknowledged although its append panicked")
	case codes.Unknown, codes.DeadlineExceeded:
		try.errorf("a call whose append panicked ended with %v, want code Internal", err)
	}
	_, err := try.call(ctx, requests...)
	try.accepted("the call after one that panicked", err)
	try.holds(sent)
}

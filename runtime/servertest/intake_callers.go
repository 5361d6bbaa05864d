//runtime:with eventlog

package servertest

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// cancels tests that an append has the deadline of its call, and ends with it.
func (c *intake[Request, Event, Reply]) cancels(t *testing.T) {
	appending, stop := make(chan context.Context, 1), make(chan struct{})
	try := c.tapped(t, func(ctx context.Context, _ []eventlog.Event, store store) ([]eventlog.Receipt, error) {
		select {
		case appending <- ctx:
		default:
		}
		select {
		case <-ctx.Done():
			return nil, eventlog.Ended(ctx)
		case <-stop:
			return store()
		}
	})
	_, requests := c.make(t, 1)
	ctx, cancel := context.WithCancel(try.context())
	defer cancel()
	ended := try.begin(ctx, requests...)
	var under context.Context
	select {
	case under = <-appending:
	case end := <-ended:
		try.accepted("a call", end.err)
		try.errorf("a call was acknowledged before it had appended anything")
		return
	}
	defer func() { <-ended }()
	defer close(stop)
	if at, ok := under.Deadline(); !ok || time.Until(at) > callTimeout {
		try.errorf("the append of a call that has a deadline has none: is it made with the context of the call?")
	}
	cancel()
	select {
	case <-under.Done():
	case <-time.After(endTime):
		try.errorf("an append goes on after its caller has gone: is it made with the context of the call?")
	}
}

// breaks tests that events of a stream that breaks off are stored if they were
// acknowledged, and that the next call is served.
func (c *intake[Request, Event, Reply]) breaks(t *testing.T) {
	appended := make(chan struct{}, 100)
	try := c.tapped(t, func(_ context.Context, _ []eventlog.Event, store store) ([]eventlog.Receipt, error) {
		defer func() { appended <- struct{}{} }()
		return store()
	})
	first, requests := c.make(t, 2)
	ctx, cancel := context.WithCancel(try.context())
	defer cancel()
	stream, err := try.caller.open(ctx)
	try.accepted("a call", err)
	for _, request := range requests {
		if err := stream.SendMsg(request); err != nil {
			break // as what it receives says
		}
		if c.answers {
			try.accepted("a call", stream.RecvMsg(empty[Reply]()))
			continue
		}
		select { // or it appends them in the end
		case <-appended:
		case <-time.After(grace):
		}
	}
	cancel()
	sent, requests := c.make(t, 3)
	_, err = try.call(try.context(), requests...)
	try.accepted("the call after a stream that broke off", err)
	try.has(sent)
	if c.answers {
		try.has(first)
	}
}

// readsAll tests that a stream is not acknowledged if one of its requests can't be decoded.
func (c *intake[Request, Event, Reply]) readsAll(t *testing.T) {
	try := c.on(t, memoryLog(t))
	sent, requests := c.make(t, 2)
	sound := len(requests)
	replies, err := try.call(try.context(), append(requests, unreadable[Request]())...)
	if err == nil || errors.Is(err, errUnanswered) || len(replies) > sound {
		try.errorf("a stream with a request that can't be decoded ended without an error: is an error of Recv other than io.EOF taken for the end?")
	}
	try.holdsPart(sent, requests, replies)
}

// has checks that the log has some events, once and in order, among others.
func (c *trial[Request, Event, Reply]) has(sent []Event) {
	c.t.Helper()
	want := c.stored(sent)
	if text := c.among(messages(c.records(0)), want); text != "" {
		c.errorf("%s", text)
	}
}

// among says in words how those of the stored events that are the wanted ones differ from
// them, or returns "". It can find them only if events are marked.
func (c *intake[Request, Event, Reply]) among(got, want []Event) string {
	if !c.marked {
		return ""
	}
	return difference(slices.DeleteFunc(slices.Clone(got), func(e Event) bool {
		return !slices.ContainsFunc(want, func(w Event) bool {
			return slices.Equal(e.ProtoReflect().GetUnknown(), w.ProtoReflect().GetUnknown())
		})
	}), want)
}

// sendsNothing tests that a stream may end without an event.
func (c *intake[Request, Event, Reply]) sendsNothing(t *testing.T) {
	try := c.on(t, memoryLog(t))
	if _, err := try.call(try.context()); err != nil {
		try.refused("a stream without events", err)
	}
	if stored := len(try.records(0)); stored > 0 {
		try.errorf("a stream without events stored %d", stored)
	}
}

// servesMany tests calls that are made at the same time. It finds data races if the test
// runs with -race.
func (c *intake[Request, Event, Reply]) servesMany(t *testing.T) {
	calls := make([][]Event, c.Options.callers())
	appending := newOverlap(len(calls))
	try := c.tapped(t, func(_ context.Context, _ []eventlog.Event, store store) ([]eventlog.Receipt, error) {
		appending.wait()
		return store()
	})
	ended := make([]<-chan outcome[Reply], len(calls))
	handling := meeting(int64(len(calls)))
	for i := range calls {
		sent, requests := c.make(t, 3)
		calls[i], ended[i] = sent, try.begin(handling(try.context()), requests...)
	}
	total := 0
	for i, sent := range calls {
		try.accepted("one of many calls at once", (<-ended[i]).err)
		total += len(c.stored(sent))
	}
	got := messages(try.records(0))
	if len(got) != total {
		try.errorf("acknowledged %s of %d calls at once, stored %d", counted(total, "event"), len(calls), len(got))
	}
	for _, sent := range calls {
		if text := c.among(got, c.stored(sent)); text != "" && !t.Failed() {
			try.errorf("of one of %d calls at once: %s", len(calls), text)
		}
	}
}

// overlap has several goroutines wait for each other, for a moment.
type overlap struct {
	missing atomic.Int64
	all     chan struct{}
}

func newOverlap(number int) *overlap {
	w := &overlap{all: make(chan struct{})}
	w.missing.Store(int64(number))
	return w
}

func (w *overlap) wait() {
	switch missing := w.missing.Add(-1); {
	case missing == 0:
		close(w.all)
	case missing > 0:
		select {
		case <-w.all:
		case <-time.After(grace):
		}
	}
}

// holdsUp tests that a call ends while another one appends, and while another one keeps its
// stream open.
func (c *intake[Request, Event, Reply]) holdsUp(t *testing.T) {
	if c.Options.callers() == 1 {
		t.Skip("the service takes one call at once")
	}
	appending, release := make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	try := c.tapped(t, func(ctx context.Context, _ []eventlog.Event, store store) ([]eventlog.Receipt, error) {
		if held.CompareAndSwap(false, true) {
			close(appending)
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return store()
	})
	slow, requests := c.make(t, 1)
	patient, cancel := try.patient()
	defer cancel()
	ended := try.begin(patient, requests...)
	select {
	case <-appending:
	case end := <-ended:
		try.accepted("a call", end.err)
		try.errorf("a call was acknowledged before it had appended anything")
		return
	}
	sent, requests := c.make(t, 1)
	_, err := try.call(try.context(), requests...)
	close(release)
	try.accepted("a call while another one's append takes long", err)
	try.accepted("a call whose append takes long", (<-ended).err)
	try.has(sent)
	try.has(slow)
	if c.streams {
		try.keepsOpen()
	}
}

// patient returns a context for a call that takes longer than others which it may hold up.
func (c *trial[Request, Event, Reply]) patient() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(c.context()), 2*callTimeout)
}

// keepsOpen tests that calls end while a stream is open on which nothing comes.
func (c *trial[Request, Event, Reply]) keepsOpen() {
	ctx, cancel := c.patient()
	defer cancel()
	stream, err := c.caller.open(ctx)
	c.accepted("a call", err)
	first, requests := c.make(c.t, 2)
	if err := stream.SendMsg(requests[0]); err == nil && c.answers {
		c.accepted("a call", stream.RecvMsg(empty[Reply]()))
	}
	for range 3 { // by now the handler of the first has begun
		sent, requests := c.intake.make(c.t, 1)
		_, err := c.call(c.context(), requests...)
		c.accepted("a call while another one's stream is open, and nothing comes on it", err)
		c.has(sent)
	}
	for _, request := range requests[1:] {
		if err := stream.SendMsg(request); err == nil && c.answers {
			c.accepted("a call", stream.RecvMsg(empty[Reply]()))
		}
	}
	_ = stream.CloseSend() // what went wrong is in the reply
	if !c.answers {
		c.accepted("a stream that was open for long", stream.RecvMsg(empty[Reply]()))
	}
	c.has(first)
}

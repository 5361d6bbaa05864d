//runtime:with eventlog

package servertest

import (
	"slices"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// markNumber is the number of a field that no event has.
const markNumber = 536_870_911

// marks counts the marked events.
var marks atomic.Uint64

// mark makes an event differ from every other one: by a field that its type does not
// know, which no service refuses.
func mark[Event proto.Message](event Event) Event {
	marked := proto.CloneOf(event)
	unknown := slices.Clone(marked.ProtoReflect().GetUnknown())
	unknown = protowire.AppendTag(unknown, markNumber, protowire.VarintType)
	marked.ProtoReflect().SetUnknown(protowire.AppendVarint(unknown, marks.Add(1)))
	return marked
}

// given returns the events of a request.
func (c *intake[Request, Event, Reply]) given(request Request) (events []Event) {
	message := request.ProtoReflect()
	switch {
	case c.holder == nil:
		return []Event{message.Interface().(Event)}
	case c.holder.IsList():
		list := message.Get(c.holder).List()
		for i := range list.Len() {
			events = append(events, list.Get(i).Message().Interface().(Event))
		}
	case message.Has(c.holder):
		events = append(events, message.Get(c.holder).Message().Interface().(Event))
	}
	return events
}

// with returns a request with these events: one of them, unless it has a list.
func (c *intake[Request, Event, Reply]) with(events ...Event) Request {
	if c.holder == nil {
		return proto.Message(events[0]).(Request)
	}
	request := proto.CloneOf(c.envelope)
	message := request.ProtoReflect()
	if !c.holder.IsList() {
		message.Set(c.holder, protoreflect.ValueOfMessage(events[0].ProtoReflect()))
		return request
	}
	message.Clear(c.holder)
	list := message.Mutable(c.holder).List()
	for _, event := range events {
		list.Append(protoreflect.ValueOfMessage(event.ProtoReflect()))
	}
	return request
}

// make makes the requests of one call that sends n events: one event if the RPC takes only
// one, as many as a usual request has if that is more, and fewer if rules of protovalidate
// don't allow so many.
func (c *intake[Request, Event, Reply]) make(t *testing.T, n int) (sent []Event, requests []Request) {
	t.Helper()
	sent = c.given(c.Request())
	least := len(sent)
	if least == 0 {
		t.Fatalf("the request has no event: %s", c.wayOut())
	}
	if !c.several() {
		n = 1
	}
	n = max(1, (n+least-1)/least) * least
	for len(sent) < n {
		sent = append(sent, c.given(c.Request())...)
	}
	sent = sent[:n]
	if c.marked {
		for i, event := range sent {
			sent[i] = mark(event)
		}
	}
	requests = c.split(sent, least)
	for n > least && slices.ContainsFunc(requests, func(r Request) bool { return !valid(r) }) {
		n = max(1, n/2/least) * least
		sent = sent[:n]
		requests = c.split(sent, least)
	}
	return sent, requests
}

// split returns the requests that send events in one call. One that is usual has least.
func (c *intake[Request, Event, Reply]) split(events []Event, least int) (requests []Request) {
	size := 1
	switch {
	case c.holder == nil || !c.holder.IsList():
	case !c.streams:
		size = len(events)
	default:
		size = (max(2, len(events)/4) + least - 1) / least * least
	}
	for chunk := range slices.Chunk(events, size) {
		requests = append(requests, c.with(chunk...))
	}
	return requests
}

// instead returns the events and requests of a call that sends an event in place of the
// first.
func (c *intake[Request, Event, Reply]) instead(t *testing.T, event Event) (sent []Event, requests []Request) {
	t.Helper()
	sent, _ = c.make(t, 1)
	sent[0] = event
	return sent, c.split(sent, len(sent))
}

// stored returns what the log should have of events that are sent.
func (c *intake[Request, Event, Reply]) stored(sent []Event) (stored []Event) {
	for _, event := range sent {
		if event = proto.CloneOf(event); c.Stored != nil {
			event = c.Stored(event)
		}
		if event.ProtoReflect().IsValid() {
			stored = append(stored, event)
		}
	}
	if c.Canonical != nil {
		stored = c.Canonical(stored)
	}
	return stored
}

// wayOut says what to do about a request that a service is right to refuse.
func (c *intake[Request, Event, Reply]) wayOut() string {
	return "if the service is right, edit " + c.File + " beside the test, or set " + c.Name + "Request in service_test.go, to send what it accepts"
}

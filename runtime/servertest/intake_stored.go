//runtime:with eventlog

package servertest

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// stores tests that the events of one request are stored as they were sent.
func (c *intake[Request, Event, Reply]) stores(t *testing.T) {
	try := c.on(t, Log(t))
	request := c.Request()
	sent := c.given(request)
	if len(c.stored(sent)) == 0 {
		t.Fatalf("the request has no event that is stored: %s", c.wayOut())
	}
	_, err := try.call(c.Options.context(t), request)
	try.accepted("a call", err)
	try.holds(sent)
}

// keepsUnknownFields tests that an event from a newer client is stored whole. If it is,
// the events of the parts after this one differ in such fields.
func (c *intake[Request, Event, Reply]) keepsUnknownFields(t *testing.T) {
	usual, _ := c.make(t, 1)
	sent, requests := c.instead(t, mark(usual[0]))
	if difference(c.stored(sent[:1]), c.stored(usual[:1])) == "" {
		t.Skip("what Stored returns does not have them")
	}
	try := c.on(t, memoryLog(t))
	_, err := try.call(try.context(), requests...)
	try.accepted("an event with a field that is not known", err)
	try.holds(sent)
	c.marked = !t.Failed()
}

func (c *intake[Request, Event, Reply]) storesSeveral(t *testing.T) {
	try := c.on(t, memoryLog(t))
	sent, requests := c.make(t, 3)
	_, err := try.call(try.context(), requests...)
	try.accepted(fmt.Sprintf("a call with %d events", len(sent)), err)
	try.holds(sent)
}

// storesMany tests that none of many events of a call is lost, unless so many are refused.
func (c *intake[Request, Event, Reply]) storesMany(t *testing.T) {
	try := c.on(t, memoryLog(t))
	try.ahead = true
	sent, requests := c.make(t, 300)
	_, err := try.call(try.context(), requests...)
	if err != nil {
		try.refused(fmt.Sprintf("a call with %d events", len(sent)), err)
		return
	}
	try.holds(sent)
}

// hasAttributes tests that the log knows an event by what its fields say.
func (c *intake[Request, Event, Reply]) hasAttributes(t *testing.T) {
	try := c.on(t, memoryLog(t))
	_, requests := c.make(t, 3)
	ctx := eventid.WithID(c.Options.context(t), "the-id-of-the-call")
	_, err := try.call(ctx, requests...)
	try.accepted("a call", err)
	for _, record := range try.records(0) {
		of := record.Message.ProtoReflect()
		for _, attribute := range []struct{ name, got, field, otherwise string }{
			{"id", record.ID, c.Fields.ID, "the-id-of-the-call"},
			{"source", record.Source, c.Fields.Source, ""},
			{"type", record.Type, c.Fields.Type, string(of.Descriptor().FullName())},
			{"subject", record.Subject, c.Fields.Subject, ""},
		} {
			want, ok := text(of, attribute.field)
			want = cmp.Or(want, attribute.otherwise)
			if attribute.field != "" && !ok || attribute.name == "id" && want == attribute.otherwise && c.several() {
				continue
			}
			if attribute.got != want {
				try.errorf("an event is stored with the %s %q, want %q", attribute.name, attribute.got, want)
			}
		}
		if at, ok := moment(of, c.Fields.Time, c.Fields.Unit); ok && !record.Time.Equal(at) {
			try.errorf("an event is stored with the time %v, want %v", record.Time, at)
		}
	}
}

// text returns the text at a path of fields, such as "user.id". It returns false if there
// is no such field of text.
func text(message protoreflect.Message, path string) (text string, ok bool) {
	fd, of := leaf(message, path)
	if fd == nil || fd.Kind() != protoreflect.StringKind {
		return "", false
	}
	return of.Get(fd).String(), true
}

// leaf returns the field at a path, nil if there is none, and the message that it is of.
func leaf(message protoreflect.Message, path string) (protoreflect.FieldDescriptor, protoreflect.Message) {
	name, rest, nested := strings.Cut(path, ".")
	fd := field(message, name)
	if fd == nil || !nested {
		return fd, message
	}
	return leaf(message.Get(fd).Message(), rest)
}

// moment returns the time that the field at a path says.
func moment(message protoreflect.Message, path string, unit time.Duration) (at time.Time, ok bool) {
	fd, of := leaf(message, path)
	if fd == nil || !of.Has(fd) {
		return at, false
	}
	switch value := of.Get(fd).Interface().(type) {
	case protoreflect.Message:
		timestamp, ok := value.Interface().(*timestamppb.Timestamp)
		return timestamp.AsTime(), ok
	case int64:
		return eventlog.UnixTime(value, unit), true
	case int32:
		return eventlog.UnixTime(int64(value), unit), true
	}
	return at, false
}

// answersRightly tests what replies say of events: those of the first call, and those of
// the same call made again.
func (c *intake[Request, Event, Reply]) answersRightly(t *testing.T) {
	try := c.on(t, memoryLog(t))
	sent, requests := c.make(t, 3)
	if len(c.stored(sent)) < len(sent) {
		t.Skip("some of the events are not stored")
	}
	ctx := try.context()
	for _, again := range []bool{false, true} {
		replies, err := try.call(ctx, requests...)
		try.accepted("a call", err)
		var events []acknowledged
		for _, record := range try.records(0) {
			events = append(events, acknowledged{record.ID, int64(record.Position), again})
		}
		if len(events) != len(sent) {
			try.errorf("%s", difference(messages(try.records(0)), c.stored(sent)))
			return
		}
		for i, reply := range replies {
			answered := events
			if c.answers {
				answered = events[:len(c.given(requests[i]))]
				events = events[len(answered):]
			}
			if text := c.Answer.check(reply, answered); text != "" {
				when := ""
				if again {
					when = " to events that were stored before"
				}
				try.errorf("answer %d%s: %s", i+1, when, text)
			}
		}
	}
}

// storesOnce tests that a call can be made again, after it was stored but not
// acknowledged, and after it was.
func (c *intake[Request, Event, Reply]) storesOnce(t *testing.T) {
	first := true
	try := c.tapped(t, func(_ context.Context, _ []eventlog.Event, store store) ([]eventlog.Receipt, error) {
		receipts, err := store()
		if first {
			first = false
			return nil, errBroken
		}
		return receipts, err
	})
	sent, requests := c.make(t, 3)
	ctx := try.context()
	_, _ = try.call(ctx, requests...) // a service may try its append again itself
	for _, when := range []string{"a call that is made again, since it was not acknowledged", "a call that is made again"} {
		_, err := try.call(ctx, requests...)
		try.accepted(when, err)
		try.holds(sent)
	}
}

// storesEqual tests that events which have no id of their own are stored each, though they
// have the same content: in one call, and in another.
func (c *intake[Request, Event, Reply]) storesEqual(t *testing.T) {
	try := c.on(t, memoryLog(t))
	sent, _ := c.make(t, 3)
	for i := range sent {
		sent[i] = sent[0]
	}
	requests := c.split(sent, len(c.given(c.envelope)))
	for range 2 {
		_, err := try.call(try.context(), requests...)
		try.accepted("a call with equal events", err)
	}
	if text := difference(messages(try.records(0)), c.stored(append(sent, sent...))); text != "" {
		try.errorf("after two calls with equal events: %s Is the id of an event made from its content?", text)
	}
}

// refusesAnother tests that an event is not acknowledged if the log has another one with
// its source and id: the last of a call.
func (c *intake[Request, Event, Reply]) refusesAnother(t *testing.T) {
	sent, requests := c.make(t, 3)
	first := c.on(t, memoryLog(t))
	ctx := first.context()
	_, err := first.call(ctx, requests...)
	first.accepted("a call", err)
	records := first.records(0)
	if len(records) == 0 {
		t.Skip("no event is stored")
	}
	another := records[len(records)-1]
	data, err := proto.Marshal(mark(another.Message))
	if err != nil {
		t.Fatal(err)
	}

	try := c.on(t, memoryLog(t))
	another.Data = data
	if _, err := try.log.Append(t.Context(), another.Event); err != nil {
		t.Fatal(err)
	}
	after := try.records(0)[0].Position
	replies, err := try.call(ctx, requests...)
	switch code := status.Code(err); code {
	case codes.AlreadyExists:
	case codes.OK:
		try.errorf("an event was acknowledged although the log has another one with its source and id: is the error of the append ignored?")
	default:
		try.errorf("the log has another event with the source and id of one that was sent, and the call ended with %v, want code AlreadyExists: return the error of the log as it is", err)
	}
	try.log = from{try.log, after}
	try.holdsPart(sent, requests, replies)
}

// triesAgain tests that the client makes a call again that was not acknowledged, as the
// same.
func (c *intake[Request, Event, Reply]) triesAgain(t *testing.T) {
	first := true
	log := tapped{memoryLog(t), func(_ context.Context, _ []eventlog.Event, store store) ([]eventlog.Receipt, error) {
		receipts, err := store()
		if first {
			first = false
			return nil, status.Error(codes.Unavailable, "broken, for the test")
		}
		return receipts, err
	}}
	try := &trial[Request, Event, Reply]{intake: c, t: t, log: log, caller: c.Serve(t, log, client.With())}
	sent, requests := c.make(t, 3)
	if _, err := try.call(c.Options.context(t), requests...); err != nil {
		t.Fatalf("the client ended a call with %v, and did not make it again", err)
	}
	try.holds(sent)
}

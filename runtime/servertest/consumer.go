//runtime:with eventlog

package servertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/memory"
)

// Consumer is a consumer of stored events, and what its contract has to know of it.
type Consumer struct {
	// Name is the name by which the log knows what was handled.
	Name string
	// New makes the service on a log, as main does.
	New func(testing.TB, eventlog.Log) Consuming
	// Types are the types of events that it handles.
	Types []EventType
	// Skip are the parts of the contract that are left out, with the reasons.
	Skip map[string]string
}

// Consuming is a consumer that is ready to run.
type Consuming struct {
	// Run handles events until its context ends.
	Run func(context.Context) error
	// Effects returns the ids of the events whose effects can be seen by now, one twice if
	// it had its effect twice. It is called from many goroutines at once. If nil, effects
	// are not looked at.
	Effects func() []string
}

// EventType is a type of event.
type EventType struct {
	name    string
	subject []protoreflect.Name // the fields that lead to the subject
	event   func() proto.Message
	least   func() proto.Message
	append  func(context.Context, eventlog.Log, ...proto.Message) ([]eventlog.Receipt, error)
}

// TypeOf returns a type of event: its name, the path of the field that is its subject,
// or "", how to make an event, another at each call, and how a log appends it.
func TypeOf[M proto.Message](name, subject string, event func() M, appender func(eventlog.Log) func(context.Context, ...M) ([]eventlog.Receipt, error)) EventType {
	return EventType{
		name: name, subject: fieldNames(subject),
		event: func() proto.Message { return event() },
		least: func() proto.Message { return Least[M]() },
		append: func(ctx context.Context, log eventlog.Log, messages ...proto.Message) ([]eventlog.Receipt, error) {
			events := make([]M, len(messages))
			for i, message := range messages {
				events[i] = message.(M)
			}
			return appender(log)(ctx, events...)
		},
	}
}

// Test tests the consumer: each stored event is handled at least once, those of one
// source and subject in order, whatever fails meanwhile.
func (c Consumer) Test(t *testing.T) {
	defer quiet(t)()
	parts := []struct {
		name string
		test func(*testing.T)
	}{
		{"stored events are handled", c.handles},
		{"an event is handled when its handler returns", c.finishes},
		{"it goes on where it was", c.goesOn},
		{"it can be stopped at any time", c.stops},
		{"an event that is handled again has its effect once", c.repeats},
		{"an event whose handler was interrupted is handled again", c.isInterrupted},
		{"an event is handled again after the log has failed", c.survivesTheLog},
		{"events with few fields make no handler panic", c.takesSparse},
		{"an event that can't be read holds up no other", c.passesUnreadable},
	}
	var names []string
	for i, part := range parts {
		names = append(names, part.name)
		if !c.part(t, part.name, part.test) && i == 0 {
			return // the others would fail for the same reason, and wait as long
		}
	}
	c.knows(t, names)
}

// part runs a part of the contract as a subtest, unless it is to be left out, and reports
// whether it passed. If it fails, it prints how to leave it out.
func (c Consumer) part(t *testing.T, name string, test func(*testing.T)) (passed bool) {
	t.Helper()
	return t.Run(name, func(t *testing.T) {
		if reason, ok := c.Skip[name]; ok {
			t.Skip(reason)
		}
		defer func() {
			if t.Failed() {
				t.Logf("if that is right for this consumer, leave the test out: Skip: map[string]string{%q: \"the reason\"}", name)
			}
		}()
		test(t)
	})
}

// knows checks that only these parts are left out.
func (c Consumer) knows(t *testing.T, names []string) {
	t.Helper()
	for name := range c.Skip {
		if !slices.Contains(names, name) {
			t.Errorf("Skip leaves out %q, but there is no such test; there are %q", name, names)
		}
	}
}

// fieldNames returns the names in the path of a field.
func fieldNames(path string) (names []protoreflect.Name) {
	for name := range strings.SplitSeq(path, ".") {
		names = append(names, protoreflect.Name(name))
	}
	return names
}

// rounds is how many events of each type and subject a test appends.
const rounds = 3

// subjects are those of the events of a test.
var subjects = []string{"subject-1", "subject-2", "subject-3"}

// handles stores events, several for each subject, before the consumer runs and then
// while it does.
func (c Consumer) handles(t *testing.T) {
	r := c.begin(t)
	r.append(rounds, subjects...)
	r.start()
	r.append(rounds, subjects...)
	r.wait()
	r.stop()
}

// finishes looks for what handlers leave running.
func (c Consumer) finishes(t *testing.T) {
	defer oneAtATime()()
	r := c.begin(t)
	r.leftovers = map[string]map[eventlog.Position]bool{}
	r.append(rounds, subjects...)
	r.start()
	r.wait()
	r.stop()
}

// goesOn restarts the consumer, as a restart of the server does.
func (c Consumer) goesOn(t *testing.T) {
	r := c.begin(t)
	r.append(rounds, subjects...)
	r.start()
	r.wait()
	r.stop()
	before := map[*handling]int{}
	for _, h := range r.handlings {
		before[h] = h.tries
	}
	r.renew()
	r.append(rounds, subjects...)
	r.start()
	r.wait()
	r.stop()
	for h, tries := range before {
		if h.tries > tries {
			t.Fatalf("%sconsumer %s: after it was stopped and started, it handled the %s again: does its name change at each start?", r.at, r.Name, h)
		}
	}
}

// repeats has the consumer handle again what it has handled, as after a crash before its
// position was stored.
func (c Consumer) repeats(t *testing.T) {
	r := c.begin(t)
	r.append(rounds, subjects...)
	r.start()
	r.wait()
	r.stop()
	r.forget()
	r.start()
	r.wait()
	r.stop()
	r.checkRepeated()
}

// stops stops the consumer while its handlers run, and starts it again.
func (c Consumer) stops(t *testing.T) {
	r := c.begin(t)
	begun, stopped := make(chan struct{}), make(chan struct{})
	r.within = func(ctx context.Context, first bool) context.Context {
		select {
		case begun <- struct{}{}: // the first one
			<-stopped
		case <-stopped:
		}
		return ctx
	}
	r.append(2*rounds, subjects...)
	r.start()
	if r.until(begun) {
		r.cancel()
	}
	close(stopped)
	r.stop()
	r.within = nil
	r.renew()
	r.start()
	r.wait()
	r.stop()
}

// isInterrupted gives each event first to a handler whose context has ended, as it does
// if another process has taken over.
func (c Consumer) isInterrupted(t *testing.T) {
	r := c.begin(t)
	r.within = func(ctx context.Context, first bool) context.Context {
		if first {
			ended, cancel := context.WithCancel(context.WithValue(ctx, interruptedKey{}, true))
			cancel()
			return ended
		}
		return ctx
	}
	r.append(1, subjects...)
	r.start()
	r.wait()
	r.stop()
}

// survivesTheLog refuses at first what handlers append.
func (c Consumer) survivesTheLog(t *testing.T) {
	r := c.begin(t)
	r.within = func(ctx context.Context, first bool) context.Context {
		if first {
			return context.WithValue(ctx, refusingKey{}, new(refusing))
		}
		return ctx
	}
	r.append(1, subjects...)
	r.start()
	r.wait()
	r.stop()
}

// takesSparse stores events of which fields are unset that hold messages, and events
// that are as empty as their rules allow. A handler may give up on them.
func (c Consumer) takesSparse(t *testing.T) {
	r := c.begin(t)
	r.mayFail = true
	for _, kind := range c.Types {
		for _, event := range append(without(kind.event), kind.least()) {
			_, err := kind.append(t.Context(), r.log, event)
			if err != nil {
				t.Logf("%s %v can't be stored: %v", kind.name, event, err)
			}
		}
	}
	r.start()
	r.wait()
	r.stop()
}

// without returns an event for each field that holds a message, without that field, as
// far as its rules allow that.
func without(event func() proto.Message) (events []proto.Message) {
	fields := event().ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		sparse := event()
		if fd := fields.Get(i); fd.Message() != nil && sparse.ProtoReflect().Has(fd) {
			sparse.ProtoReflect().Clear(fd)
			if valid(sparse) && proto.CheckInitialized(sparse) == nil {
				events = append(events, sparse)
			}
		}
	}
	return events
}

// passesUnreadable stores an event among others that is not of its message type, as
// after a change of the type.
func (c Consumer) passesUnreadable(t *testing.T) {
	r := c.begin(t)
	r.append(1, subjects...)
	var copied []eventlog.Event
	for record, err := range r.log.Read(t.Context(), eventlog.From{}) {
		if err != nil {
			t.Fatal(err)
		}
		record.ID, record.Data = "unreadable-"+record.ID, []byte{0xff}
		copied = append(copied, record.Event)
	}
	receipts, err := r.log.Append(t.Context(), copied...)
	if err != nil {
		t.Fatal(err)
	}
	for _, receipt := range receipts {
		r.unreadable[receipt.Position] = true
	}
	r.append(2*rounds, subjects...)
	r.start()
	r.wait()
	r.stop()
}

// appendTo appends an event of the type with a subject, and returns its receipt.
func (k EventType) appendTo(ctx context.Context, log eventlog.Log, subject string) (eventlog.Receipt, error) {
	event := k.event()
	k.setSubject(event, subject)
	receipts, err := k.append(ctx, log, event)
	switch {
	case err != nil:
		return eventlog.Receipt{}, err
	case receipts[0].Duplicate:
		return receipts[0], fmt.Errorf("%s returns the event with the id %q twice: it must return another at each call", k.name, receipts[0].ID)
	}
	return receipts[0], nil
}

// setSubject sets the subject of an event, if it has a field for that whose rules allow it.
func (k EventType) setSubject(event proto.Message, subject string) {
	message := event.ProtoReflect()
	last := len(k.subject) - 1
	for _, name := range k.subject[:last] {
		fd := message.Descriptor().Fields().ByName(name)
		if fd == nil || fd.Message() == nil || fd.IsList() || fd.IsMap() {
			return
		}
		message = message.Mutable(fd).Message()
	}
	fd := message.Descriptor().Fields().ByName(k.subject[last])
	if fd == nil || fd.IsList() || fd.IsMap() || fd.Kind() == protoreflect.EnumKind || fd.Message() != nil {
		return
	}
	before := message.Get(fd)
	message.Set(fd, value(fd, int32(1+slices.Index(subjects, subject)), subject))
	if !valid(event) {
		message.Set(fd, before)
	}
}

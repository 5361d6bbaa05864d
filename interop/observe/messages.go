package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// event is an event to send. It is encoded here, so that what is sent may be wrong, and
// costs little to make.
type event struct {
	id, source, kind, subject, data string
}

// anyEvent returns an event of which everything is new.
func anyEvent() event {
	n := rand.Uint64()
	return event{
		id: fmt.Sprintf("%016x%08x", n, rand.Uint32()), source: "source-" + strconv.FormatUint(n%5_000_000, 36),
		kind: "kind-" + strconv.FormatUint(n>>20%1_000_000, 36), subject: "subject-" + strconv.FormatUint(n>>10%10_000_000, 36),
		data: strconv.FormatUint(n, 10),
	}
}

// text appends a string field, unless it is empty.
func text(to []byte, field protowire.Number, value string) []byte {
	if value == "" {
		return to
	}
	return protowire.AppendString(protowire.AppendTag(to, field, protowire.BytesType), value)
}

func nested(to []byte, field protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, field, protowire.BytesType), message)
}

// proto returns the message observe.v1.Event.
func (e event) proto() []byte {
	out := text(nil, 1, e.id)
	out = text(out, 2, e.source)
	out = text(out, 3, e.kind)
	out = text(out, 4, e.subject)
	// A Struct with one field, n.
	value := text(nil, 3, e.data)
	field := nested(text(nil, 1, "n"), 2, value)
	return nested(out, 6, nested(nil, 1, field))
}

func (e event) json() string {
	return fmt.Sprintf(`{"event_id":%q,"source":%q,"event_type":%q,"subject":%q,"data":{"n":%q}}`, e.id, e.source, e.kind, e.subject, e.data)
}

// cloud returns the event as a CloudEvent in JSON.
func (e event) cloud() string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":%q,"type":%q,"subject":%q,"data":{"n":%q}}`, e.id, e.source, e.kind, e.subject, e.data)
}

// publish returns the request of Publish, PublishStream or Relay.
func publish(e event) []byte { return nested(nil, 1, e.proto()) }

// batch returns the request of PublishBatch.
func batch(events []event) []byte {
	var out []byte
	for _, e := range events {
		out = nested(out, 1, e.proto())
	}
	return out
}

// look returns the request of Lookup: to end with a code after milliseconds.
func look(code, milliseconds uint64) []byte {
	var out []byte
	for field, value := range map[protowire.Number]uint64{1: code, 2: milliseconds} {
		if value != 0 {
			out = protowire.AppendVarint(protowire.AppendTag(out, field, protowire.VarintType), value)
		}
	}
	return out
}

// raw is the codec of messages that are encoded already.
type raw struct{}

func (raw) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }

func (raw) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func (raw) Name() string { return "proto" }

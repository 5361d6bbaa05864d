package publisher

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// A record of the spool has many events, because each record costs the log about as much
// as another. Its data is a protobuf message that has them as field 1, each with these
// fields. What is the same as in the event before is left out. Unknown fields are skipped, so
// that later versions can add some, and this one still sends what they have left.
const (
	recordEvent protowire.Number = 1

	eventID      protowire.Number = 1
	eventSource  protowire.Number = 2
	eventType    protowire.Number = 3
	eventSubject protowire.Number = 4
	eventMessage protowire.Number = 5 // full name of the type of data
	eventData    protowire.Number = 6
	eventParent  protowire.Number = 7 // trace parent; left out if there is none
	eventOutside protowire.Number = 8 // the name of the RPC; left out unless the id goes with the call
)

// recordSchema is what the log has as the schema of records. No program registers it.
const recordSchema = "receiver.publisher.Record"

// maxRecordBytes is how large the data of a record becomes before the next one begins.
const maxRecordBytes = 256 << 10

// appendEvent adds an event to the data of a record. before is the event before it in the
// record; nil if it is the first.
func appendEvent(data []byte, e, before *event) []byte {
	text := func(size int, number protowire.Number, value, last string, always bool) int {
		if !always && value == last {
			return size
		}
		return size + protowire.SizeTag(number) + protowire.SizeBytes(len(value))
	}
	none := event{}
	last := before
	if last == nil {
		last = &none
	}
	size := text(0, eventID, e.id, "", true)
	size = text(size, eventSource, e.source, last.source, false)
	size = text(size, eventType, e.kind, last.kind, false)
	size = text(size, eventSubject, e.subject, "", false)
	size = text(size, eventMessage, e.message, last.message, false)
	size = text(size, eventParent, e.parent, "", false)
	if e.outside {
		size += protowire.SizeTag(eventOutside) + protowire.SizeBytes(len(e.route.name()))
	}
	size += protowire.SizeTag(eventData) + protowire.SizeBytes(len(e.data))

	data = protowire.AppendTag(data, recordEvent, protowire.BytesType)
	data = protowire.AppendVarint(data, uint64(size))
	add := func(number protowire.Number, value, last string, always bool) {
		if always || value != last {
			data = protowire.AppendTag(data, number, protowire.BytesType)
			data = protowire.AppendString(data, value)
		}
	}
	add(eventID, e.id, "", true)
	add(eventSource, e.source, last.source, false)
	add(eventType, e.kind, last.kind, false)
	add(eventSubject, e.subject, "", false)
	add(eventMessage, e.message, last.message, false)
	add(eventParent, e.parent, "", false)
	if e.outside {
		add(eventOutside, e.route.name(), "", true)
	}
	data = protowire.AppendTag(data, eventData, protowire.BytesType)
	return protowire.AppendBytes(data, e.data)
}

var errDamaged = errors.New("it is damaged")

// parseRecord returns the events of a record. Their data is part of that of the record.
func parseRecord(data []byte) (events []*event, err error) {
	before := event{}
	for len(data) > 0 {
		number, body, n := consumeField(data)
		if n < 0 {
			return nil, errDamaged
		}
		data = data[n:]
		if number != recordEvent {
			continue
		}
		e := &event{source: before.source, kind: before.kind, message: before.message}
		if err := e.parse(body); err != nil {
			return nil, fmt.Errorf("event %d of it: %w", len(events)+1, err)
		}
		before = *e
		events = append(events, e)
	}
	return events, nil
}

func (e *event) parse(body []byte) error {
	for len(body) > 0 {
		number, value, n := consumeField(body)
		if n < 0 {
			return errDamaged
		}
		body = body[n:]
		switch number {
		case eventID:
			e.id = string(value)
		case eventSource:
			e.source = string(value)
		case eventType:
			e.kind = string(value)
		case eventSubject:
			e.subject = string(value)
		case eventMessage:
			if string(value) != e.message { // without an allocation if not
				e.message = string(value)
			}
		case eventParent:
			e.parent = string(value)
		case eventOutside:
			e.outside, e.rpc = true, string(value)
		case eventData:
			e.data = value
		}
	}
	return nil
}

// consumeField returns the number and the value of the first field, and its bytes, which are
// negative if it is not one. A field of another type than bytes is unknown: its number is 0.
func consumeField(data []byte) (number protowire.Number, value []byte, size int) {
	number, kind, n := protowire.ConsumeTag(data)
	if n < 0 {
		return 0, nil, n
	}
	m := protowire.ConsumeFieldValue(number, kind, data[n:])
	if m < 0 {
		return 0, nil, m
	}
	if kind != protowire.BytesType {
		return 0, nil, n + m
	}
	value, _ = protowire.ConsumeBytes(data[n:])
	return number, value, n + m
}

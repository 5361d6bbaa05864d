package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// line is an event as a file has it: the attributes of a CloudEvent in JSON, and the
// position and time at which it was stored.
type line struct {
	Position    eventlog.Position `json:"position"`
	Recorded    time.Time         `json:"recordedtime"`
	ID          string            `json:"id"`
	Source      string            `json:"source"`
	Type        string            `json:"type"`
	Subject     string            `json:"subject,omitempty"`
	Time        time.Time         `json:"time"`
	Schema      string            `json:"dataschema"`
	Traceparent string            `json:"traceparent,omitempty"`
	Data        json.RawMessage   `json:"data,omitempty"`
	Binary      []byte            `json:"data_base64,omitempty"` // if its JSON is not all of it
}

// Write writes an event as a line. Its message is in JSON if that is all of it, so that
// people can read and edit it, or else in base64.
func Write(to io.Writer, record eventlog.Record) error {
	l := line{
		Position: record.Position, Recorded: record.Recorded.UTC(), ID: record.ID, Source: record.Source, Type: record.Type,
		Subject: record.Subject, Time: record.Time.UTC(), Schema: record.Schema, Traceparent: record.Traceparent, Binary: record.Data,
	}
	if message, err := eventlog.Decode(record.Event); err == nil {
		text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
		if again, failed := (line{Schema: record.Schema, Data: text}).data(); err == nil && failed == nil && bytes.Equal(again, record.Data) {
			l.Data, l.Binary = text, nil
		}
	}
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(l)
}

// Encode returns the bytes of a message as they are stored.
func Encode(message proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(message)
}

// data returns the bytes of the message. Fields that its type has no longer are left out.
func (l line) data() ([]byte, error) {
	if l.Data == nil {
		return l.Binary, nil
	}
	kind, err := eventlog.TypeOf(eventlog.Event{Schema: l.Schema}) // as this program has it
	if err != nil {
		return nil, err
	}
	message := kind.New().Interface()
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(l.Data, message); err != nil {
		return nil, fmt.Errorf("data is not a %s: %s", l.Schema, strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0"))
	}
	return Encode(message)
}

// record returns the event of a line of text.
func parse(text []byte) (eventlog.Record, error) {
	var l line
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&l); err != nil {
		return eventlog.Record{}, fmt.Errorf("not an event in JSON: %w", err)
	}
	if decoder.More() {
		return eventlog.Record{}, errors.New("want one event in a line")
	}
	data, err := l.data()
	return eventlog.Record{
		Position: l.Position, Recorded: l.Recorded,
		Event: eventlog.Event{ID: l.ID, Source: l.Source, Type: l.Type, Subject: l.Subject, Time: l.Time, Schema: l.Schema, Data: data, Traceparent: l.Traceparent},
	}, err
}

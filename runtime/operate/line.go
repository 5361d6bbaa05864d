package operate

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// line is a stored event as it is printed: the attributes of a CloudEvent in
// JSON (CloudEvents JSON format 1.0), and the position and time at which it was
// stored. A message that has no JSON is printed in base64, with the reason.
type line struct {
	Position     eventlog.Position `json:"position"`
	Recorded     time.Time         `json:"recordedtime"`
	ID           string            `json:"id"`
	Source       string            `json:"source"`
	Type         string            `json:"type"`
	Subject      string            `json:"subject,omitempty"`
	Time         time.Time         `json:"time"`
	Schema       string            `json:"dataschema"`
	Version      string            `json:"schemaversion,omitempty"`
	Traceparent  string            `json:"traceparent,omitempty"`
	Erased       bool              `json:"erased,omitempty"`
	Data         json.RawMessage   `json:"data,omitempty"`
	DataInBase64 string            `json:"data_base64,omitempty"`
	Error        string            `json:"error,omitempty"`
}

func eventLine(record eventlog.Record) line {
	l := line{
		Position: record.Position, Recorded: record.Recorded, ID: record.ID, Source: record.Source, Type: record.Type,
		Subject: record.Subject, Time: record.Time.UTC(), Schema: record.Schema, Version: record.Version, Traceparent: record.Traceparent,
	}
	if record.Erased {
		l.Erased = true
		return l
	}
	data, err := messageJSON(record)
	if err != nil {
		l.DataInBase64, l.Error = base64.StdEncoding.EncodeToString(record.Data), unshown(err)
		return l
	}
	l.Data = data
	return l
}

// unshown returns why a message has no JSON. The errors of the protobuf packages
// begin with a space that differs from one program to the next.
func unshown(err error) string {
	return strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0")
}

// messageJSON returns the message of an event in JSON, by the version of its schema that
// it was stored with. It is an error if neither the log nor this program knows its type, or
// if the message has no JSON: because it has NaN in a Struct or an Any of unknown type.
func messageJSON(record eventlog.Record) (json.RawMessage, error) {
	message, err := eventlog.Decode(record.Event)
	if err != nil {
		return nil, err
	}
	return protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
}

// letterLine is a dead letter as it is printed: the event, and why its consumer
// gave up.
type letterLine struct {
	Consumer string `json:"consumer"`
	line
	Tries    int       `json:"tries"`
	Reason   string    `json:"reason"`
	Buried   time.Time `json:"buried"`
	Retrying bool      `json:"retrying"`
}

func deadLetterLine(letter eventlog.DeadLetter) letterLine {
	return letterLine{letter.Consumer, eventLine(letter.Record), letter.Tries, letter.Reason, letter.GaveUp, letter.Retrying}
}

// statsLine is the state of a log as it is printed.
type statsLine struct {
	Events     int64               `json:"events"`
	Erased     int64               `json:"erased,omitempty"`
	Bytes      int64               `json:"bytes"`
	Free       *int64              `json:"free,omitempty"`
	First      eventlog.Position   `json:"first"`
	Last       eventlog.Position   `json:"last"`
	Oldest     *time.Time          `json:"oldest,omitempty"`
	Durability eventlog.Durability `json:"durability"`
	Schemas    []schemaLine        `json:"schemas,omitempty"`
	Consumers  []consumerLine      `json:"consumers"`
}

type consumerLine struct {
	Name     string            `json:"name"`
	Position eventlog.Position `json:"position"`
	Lag      int64             `json:"lag"`
	Oldest   *time.Time        `json:"oldest,omitempty"` // of those after the position
	Holder   string            `json:"holder,omitempty"`
	Dead     int64             `json:"dead"`
	Failing  *failureLine      `json:"failing,omitempty"`
	Keeper   string            `json:"keeper,omitempty"` // what has its position, if not the log
}

// failureLine is what a consumer fails at as it is printed.
type failureLine struct {
	Position eventlog.Position `json:"position"`
	Source   string            `json:"source"`
	ID       string            `json:"id"`
	Tries    int               `json:"tries"`
	Reason   string            `json:"reason"`
	Since    time.Time         `json:"since"`
}

func newConsumerLine(consumer eventlog.ConsumerStats) consumerLine {
	line := consumerLine{Name: consumer.Name, Position: consumer.Position, Lag: consumer.Lag, Holder: consumer.Holder, Dead: consumer.Dead, Keeper: consumer.Keeper}
	if !consumer.Oldest.IsZero() {
		line.Oldest = &consumer.Oldest
	}
	if consumer.Failure != (eventlog.Failure{}) {
		failing := failureLine(consumer.Failure)
		line.Failing = &failing
	}
	return line
}

func logLine(stats eventlog.Stats, schemas []eventlog.Schema) statsLine {
	line := statsLine{
		Events: stats.Events, Erased: stats.Erased, Bytes: stats.Bytes, Free: stats.Free, First: stats.First, Last: stats.Last,
		Durability: stats.Durability, Consumers: []consumerLine{},
	}
	if !stats.Oldest.IsZero() {
		line.Oldest = &stats.Oldest
	}
	for _, schema := range schemas {
		line.Schemas = append(line.Schemas, schemaLine{schema.Name, schema.Version, schema.Assumed})
	}
	for _, consumer := range stats.Consumers {
		line.Consumers = append(line.Consumers, newConsumerLine(consumer))
	}
	return line
}

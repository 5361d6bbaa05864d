package operate

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// line is a stored event as it is printed: the attributes of a CloudEvent in
// JSON (CloudEvents JSON format 1.0), and where and when it was stored.
type line struct {
	Position     eventlog.Position `json:"position"`
	Recorded     time.Time         `json:"recordedtime"`
	ID           string            `json:"id"`
	Source       string            `json:"source"`
	Type         string            `json:"type"`
	Subject      string            `json:"subject,omitempty"`
	Time         time.Time         `json:"time"`
	Schema       string            `json:"dataschema"`
	Data         json.RawMessage   `json:"data,omitempty"`
	DataInBase64 string            `json:"data_base64,omitempty"`
}

func lineOf(record eventlog.Record) line {
	l := line{
		Position: record.Position,
		Recorded: record.Recorded,
		ID:       record.ID,
		Source:   record.Source,
		Type:     record.Type,
		Subject:  record.Subject,
		Time:     record.Time.UTC(),
		Schema:   record.Schema,
	}
	data, err := inJSON(record)
	if err != nil {
		l.DataInBase64 = base64.StdEncoding.EncodeToString(record.Data)
		return l
	}
	l.Data = data
	return l
}

// inJSON is the message of an event in JSON, if this program knows its type.
func inJSON(record eventlog.Record) (json.RawMessage, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(record.Schema))
	if err != nil {
		return nil, err
	}
	message := kind.New().Interface()
	if err := proto.Unmarshal(record.Data, message); err != nil {
		return nil, err
	}
	return protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
}

// letterLine is a dead letter as it is printed: the event, and why it is dead.
type letterLine struct {
	Consumer string `json:"consumer"`
	line
	Tries    int       `json:"tries"`
	Reason   string    `json:"reason"`
	Buried   time.Time `json:"buried"`
	Retrying bool      `json:"retrying"`
}

func lineOfLetter(letter eventlog.DeadLetter) letterLine {
	return letterLine{letter.Consumer, lineOf(letter.Record), letter.Tries, letter.Reason, letter.GaveUp, letter.Retrying}
}

// statsLine is what a log holds, as it is printed.
type statsLine struct {
	Events     int64               `json:"events"`
	Bytes      int64               `json:"bytes"`
	First      eventlog.Position   `json:"first"`
	Last       eventlog.Position   `json:"last"`
	Oldest     *time.Time          `json:"oldest,omitempty"`
	Durability eventlog.Durability `json:"durability"`
	Consumers  []consumerLine      `json:"consumers"`
}

type consumerLine struct {
	Name     string            `json:"name"`
	Position eventlog.Position `json:"position"`
	Lag      int64             `json:"lag"`
	Holder   string            `json:"holder,omitempty"`
	Dead     int64             `json:"dead"`
}

func lineOfStats(stats eventlog.Stats) statsLine {
	line := statsLine{
		Events: stats.Events, Bytes: stats.Bytes, First: stats.First, Last: stats.Last,
		Durability: stats.Durability, Consumers: []consumerLine{},
	}
	if !stats.Oldest.IsZero() {
		line.Oldest = &stats.Oldest
	}
	for _, consumer := range stats.Consumers {
		line.Consumers = append(line.Consumers, consumerLine(consumer))
	}
	return line
}

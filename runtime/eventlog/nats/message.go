package nats

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// The headers of an event. Its message is a CloudEvent in binary mode, as the
// NATS binding of CloudEvents 1.0.3 defines it. The subject of the message is
//
//	STREAM.PARTITION.SOURCE
//
// where all events with one source and subject have the same partition. The type
// and subject of the event are not in it, because the server keeps an index of
// all subjects in memory.
const (
	headerSpec    = "ce-specversion"
	headerID      = "ce-id"
	headerSource  = "ce-source" // left out if it is empty; so are subject and time
	headerType    = "ce-type"
	headerSubject = "ce-subject"
	headerTime    = "ce-time"
	headerSchema  = "ce-dataschema"
	headerVersion = "ce-schemaversion" // left out if it is not known
	headerContent = "content-type"
	headerMoved   = "moved-recorded" // when another log recorded the event, from which it was moved here
	headerErased  = "moved-erased"   // "true" if it was erased there
	headerTrace   = "traceparent"    // as instrumentation of NATS has it; left out if it is empty
)

// message returns the message that stores an event. It shares the event's data.
func (c *config) message(event *eventlog.Event) *nats.Msg {
	fields := [...]struct{ name, value string }{
		{headerSpec, "1.0"},
		{headerID, escape(event.ID)},
		{headerSource, escape(event.Source)},
		{headerType, escape(event.Type)},
		{headerSubject, escape(event.Subject)},
		{headerTime, ""},
		{headerSchema, escape(event.Schema)},
		{headerVersion, event.Version},
		{headerContent, "application/protobuf"},
		{headerTrace, event.Traceparent},
		{jetstream.MsgIDHeader, messageID(event)},
		{jetstream.ExpectedStreamHeader, c.events},
	}
	if !event.Time.IsZero() {
		fields[5].value = event.Time.UTC().Format(time.RFC3339Nano)
	}
	// One allocation for all values, and room for the headers of a batch: a message for
	// each event is half of what an append costs this process.
	values := make([]string, 0, len(fields))
	header := make(nats.Header, len(fields)+len(batchHeaders))
	for _, field := range fields {
		if field.value != "" {
			values = append(values, field.value)
			header[field.name] = values[len(values)-1 : len(values) : len(values)]
		}
	}
	return &nats.Msg{Subject: c.subject(event), Header: header, Data: event.Data}
}

// parseRecord returns the event that a message of the stream contains. Its version may be
// one that this process does not know (see [streamLog.findVersion]).
func parseRecord(sequence uint64, recorded time.Time, header nats.Header, data []byte) (eventlog.Record, error) {
	record := eventlog.Record{Position: eventlog.Position(sequence), Recorded: recorded.UTC()}
	record.Data = data
	for _, attribute := range [...]struct {
		name     string
		value    *string
		required bool
	}{
		{headerID, &record.ID, true},
		{headerSource, &record.Source, false},
		{headerType, &record.Type, true},
		{headerSubject, &record.Subject, false},
		{headerSchema, &record.Schema, true},
	} {
		value, err := url.PathUnescape(header.Get(attribute.name))
		if err == nil && value == "" && attribute.required {
			err = errors.New("it is missing")
		}
		if err != nil {
			return eventlog.Record{}, notAnEvent(sequence, attribute.name, err)
		}
		*attribute.value = value
	}
	record.Version, record.Erased = header.Get(headerVersion), header.Get(headerErased) == "true"
	if text := header.Get(headerMoved); text != "" {
		moved, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return eventlog.Record{}, notAnEvent(sequence, headerMoved, err)
		}
		record.Recorded = moved.UTC()
	}
	record.Traceparent = eventlog.ParseTraceparent(header.Get(headerTrace))
	record.Time = record.Recorded
	if text := header.Get(headerTime); text != "" {
		happened, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return eventlog.Record{}, notAnEvent(sequence, headerTime, err)
		}
		record.Time = happened.UTC()
	}
	return record, nil
}

// notAnEvent returns the error for a message that was not written by a log.
func notAnEvent(sequence uint64, header string, err error) error {
	return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: fmt.Sprintf("the message at position %d is not an event: something else has written to the stream", sequence), Cause: fmt.Errorf("header %s: %w", header, err)}
}

// messageID returns the text by which the server finds duplicates of an event:
// its source and id, separated by the first colon.
func messageID(event *eventlog.Event) string {
	return strings.ReplaceAll(escape(event.Source), ":", "%3A") + ":" + escape(event.ID)
}

// escape returns a text as a header has it: everything but printable ASCII is
// percent-encoded, and so are the space, " and %.
func escape(text string) string {
	isPlain := func(c byte) bool { return c > ' ' && c <= '~' && c != '"' && c != '%' }
	return encode(text, '%', isPlain)
}

// maxToken is the most bytes that a token of a subject has. The server accepts
// lines of at most 4096 bytes, and keeps all subjects in memory.
const maxToken = 100

// subjectToken returns a text as one token of a subject. Different texts have
// different tokens; that of a long text is cut and ends in a hash of the text.
func subjectToken(text string) string {
	isPlain := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
	}
	token := encode(text, '=', isPlain)
	switch {
	case token == "":
		return "="
	case len(token) > maxToken:
		hash := sha256.Sum256([]byte(text))
		return token[:maxToken-34] + "==" + hex.EncodeToString(hash[:16])
	}
	return token
}

// encode returns a text with each byte that is not plain as a mark and two
// hexadecimal digits.
func encode(text string, mark byte, isPlain func(byte) bool) string {
	const digits = "0123456789ABCDEF"
	others := 0
	for i := range len(text) {
		if !isPlain(text[i]) {
			others++
		}
	}
	if others == 0 {
		return text
	}
	encoded := make([]byte, 0, len(text)+2*others)
	for i := range len(text) {
		if c := text[i]; isPlain(c) {
			encoded = append(encoded, c)
		} else {
			encoded = append(encoded, mark, digits[c>>4], digits[c&15])
		}
	}
	return string(encoded)
}

// subject returns the subject that an event is published with.
func (c *config) subject(event *eventlog.Event) string {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(event.Source))
	_, _ = hash.Write([]byte{0}) // which no attribute contains
	_, _ = hash.Write([]byte(event.Subject))
	partition := hash.Sum64() % uint64(c.partitions)
	return c.events + "." + strconv.FormatUint(partition, 10) + "." + subjectToken(event.Source)
}

// erasedSubject returns the subject of the message that says which event was erased at a
// sequence. It has the headers of the event without its subject, and no data.
func (c *config) erasedSubject(sequence uint64) string {
	return c.consumers() + ".erased." + strconv.FormatUint(sequence, 10)
}

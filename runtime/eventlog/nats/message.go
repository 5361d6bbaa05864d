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

// The headers of an event: it is a CloudEvent in binary mode, as the CloudEvents
// binding for NATS has it (version 1.0.3). Its subject on NATS is
//
//	STREAM.PARTITION.SOURCE
//
// where events with one source and subject share a partition. Neither type nor
// subject of an event is part of it: the server keeps an index of all subjects
// in memory.
const (
	headerSpec    = "ce-specversion"
	headerID      = "ce-id"
	headerSource  = "ce-source" // left out if empty, as are subject and time
	headerType    = "ce-type"
	headerSubject = "ce-subject"
	headerTime    = "ce-time"
	headerSchema  = "ce-dataschema"
	headerContent = "content-type"
)

// message is an event on its way to the stream. It refers to the event's data.
func (c *config) message(event *eventlog.Event) *nats.Msg {
	header := nats.Header{
		headerSpec:    {"1.0"},
		headerID:      {escape(event.ID)},
		headerType:    {escape(event.Type)},
		headerSchema:  {escape(event.Schema)},
		headerContent: {"application/protobuf"},

		jetstream.MsgIDHeader:          {messageID(event)},
		jetstream.ExpectedStreamHeader: {c.events},
	}
	if event.Source != "" {
		header[headerSource] = []string{escape(event.Source)}
	}
	if event.Subject != "" {
		header[headerSubject] = []string{escape(event.Subject)}
	}
	if !event.Time.IsZero() {
		header[headerTime] = []string{event.Time.UTC().Format(time.RFC3339Nano)}
	}
	return &nats.Msg{Subject: c.subject(event), Header: header, Data: event.Data}
}

// parseRecord is the event in a message that the stream holds.
func parseRecord(sequence uint64, recorded time.Time, header nats.Header, data []byte) (eventlog.Record, error) {
	record := eventlog.Record{Position: eventlog.Position(sequence), Recorded: recorded.UTC()}
	record.Data = data
	for _, attribute := range [...]struct {
		name  string
		into  *string
		isSet bool // has to be
	}{
		{headerID, &record.ID, true},
		{headerSource, &record.Source, false},
		{headerType, &record.Type, true},
		{headerSubject, &record.Subject, false},
		{headerSchema, &record.Schema, true},
	} {
		value, err := url.PathUnescape(header.Get(attribute.name))
		if err == nil && value == "" && attribute.isSet {
			err = errors.New("it is missing")
		}
		if err != nil {
			return eventlog.Record{}, notAnEvent(sequence, attribute.name, err)
		}
		*attribute.into = value
	}
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

// notAnEvent is the error for a message that no log has written.
func notAnEvent(sequence uint64, header string, err error) error {
	return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: fmt.Sprintf("the message at position %d is no event: somebody else has written to the stream; remove it", sequence), Cause: fmt.Errorf("header %s: %w", header, err)}
}

// messageID is by what the server knows an event: its source and its id, of
// which the source has no colon.
func messageID(event *eventlog.Event) string {
	return strings.ReplaceAll(escape(event.Source), ":", "%3A") + ":" + escape(event.ID)
}

// escape is the text as a header holds it: of printable ASCII, everything
// else percent-encoded, and % and " and the space as well.
func escape(text string) string {
	isPlain := func(c byte) bool { return c > ' ' && c <= '~' && c != '"' && c != '%' }
	return encode(text, '%', isPlain)
}

// maxToken is the most bytes that one token of a subject has. The server
// takes no line of more than 4096, and holds all subjects in memory.
const maxToken = 100

// subjectToken is a text as one token of a subject, different texts as different
// tokens. A long one ends in a hash of the whole.
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

// encode writes what is not plain as two hexadecimal digits behind a mark.
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

// subject is where an event is published.
func (c *config) subject(event *eventlog.Event) string {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(event.Source))
	_, _ = hash.Write([]byte{0}) // which is in no attribute
	_, _ = hash.Write([]byte(event.Subject))
	partition := hash.Sum64() % uint64(c.partitions)
	return c.events + "." + strconv.FormatUint(partition, 10) + "." + subjectToken(event.Source)
}

package eventlog

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
	natsSpec    = "ce-specversion"
	natsID      = "ce-id"
	natsSource  = "ce-source" // left out if empty, as are subject and time
	natsType    = "ce-type"
	natsSubject = "ce-subject"
	natsTime    = "ce-time"
	natsSchema  = "ce-dataschema"
	natsContent = "content-type"
)

// message is an event on its way to the stream. It refers to the event's data.
func (c *natsConfig) message(event *Event) *nats.Msg {
	header := nats.Header{
		natsSpec:    {"1.0"},
		natsID:      {natsEscape(event.ID)},
		natsType:    {natsEscape(event.Type)},
		natsSchema:  {natsEscape(event.Schema)},
		natsContent: {"application/protobuf"},

		jetstream.MsgIDHeader:          {natsMsgID(event)},
		jetstream.ExpectedStreamHeader: {c.events},
	}
	if event.Source != "" {
		header[natsSource] = []string{natsEscape(event.Source)}
	}
	if event.Subject != "" {
		header[natsSubject] = []string{natsEscape(event.Subject)}
	}
	if !event.Time.IsZero() {
		header[natsTime] = []string{event.Time.UTC().Format(time.RFC3339Nano)}
	}
	return &nats.Msg{Subject: c.subject(event), Header: header, Data: event.Data}
}

// natsRecord is the event in a message that the stream holds.
func natsRecord(sequence uint64, recorded time.Time, header nats.Header, data []byte) (Record, error) {
	record := Record{Position: Position(sequence), Recorded: recorded.UTC()}
	record.Data = data
	for _, attribute := range [...]struct {
		name  string
		into  *string
		isSet bool // has to be
	}{
		{natsID, &record.ID, true},
		{natsSource, &record.Source, false},
		{natsType, &record.Type, true},
		{natsSubject, &record.Subject, false},
		{natsSchema, &record.Schema, true},
	} {
		value, err := url.PathUnescape(header.Get(attribute.name))
		if err == nil && value == "" && attribute.isSet {
			err = errors.New("it is missing")
		}
		if err != nil {
			return Record{}, natsAlien(sequence, attribute.name, err)
		}
		*attribute.into = value
	}
	record.Time = record.Recorded
	if text := header.Get(natsTime); text != "" {
		happened, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return Record{}, natsAlien(sequence, natsTime, err)
		}
		record.Time = happened.UTC()
	}
	return record, nil
}

// natsAlien is the error for a message that no log has written.
func natsAlien(sequence uint64, header string, err error) error {
	return &Error{Kind: ErrUnavailable, Detail: fmt.Sprintf("the message at position %d is no event: somebody else has written to the stream; remove it", sequence), Cause: fmt.Errorf("header %s: %w", header, err)}
}

// natsMsgID is by what the server knows an event: its source and its id, of
// which the source has no colon.
func natsMsgID(event *Event) string {
	return strings.ReplaceAll(natsEscape(event.Source), ":", "%3A") + ":" + natsEscape(event.ID)
}

// natsEscape is the text as a header holds it: of printable ASCII, everything
// else percent-encoded, and % and " and the space as well.
func natsEscape(text string) string {
	isPlain := func(c byte) bool { return c > ' ' && c <= '~' && c != '"' && c != '%' }
	return natsEncode(text, '%', isPlain)
}

// maxNATSToken is the most bytes that one token of a subject has. The server
// takes no line of more than 4096, and holds all subjects in memory.
const maxNATSToken = 100

// natsToken is a text as one token of a subject, different texts as different
// tokens. A long one ends in a hash of the whole.
func natsToken(text string) string {
	isPlain := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
	}
	token := natsEncode(text, '=', isPlain)
	switch {
	case token == "":
		return "="
	case len(token) > maxNATSToken:
		hash := sha256.Sum256([]byte(text))
		return token[:maxNATSToken-34] + "==" + hex.EncodeToString(hash[:16])
	}
	return token
}

// natsEncode writes what is not plain as two hexadecimal digits behind a mark.
func natsEncode(text string, mark byte, isPlain func(byte) bool) string {
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
func (c *natsConfig) subject(event *Event) string {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(event.Source))
	_, _ = hash.Write([]byte{0}) // which is in no attribute
	_, _ = hash.Write([]byte(event.Subject))
	partition := hash.Sum64() % uint64(c.partitions)
	return c.events + "." + strconv.FormatUint(partition, 10) + "." + natsToken(event.Source)
}

//runtime:with eventlog

package web

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/cloudevents"
)

// cloudEvent is a CloudEvent as its specification has it: attributes, and data.
type cloudEvent struct {
	// attributes are all that it has, by their names, as text.
	attributes map[string]string
	data       []byte // nil for none; JSON is in its one form
}

// refused is why a request is not answered by an RPC.
type refused struct {
	status  int // of HTTP
	text    string
	counted bool // by the server, as not handled
}

func (r *refused) Error() string { return r.text }

// GRPCStatus is what a caller by gRPC would get.
func (r *refused) GRPCStatus() *status.Status { return status.New(r.code(), r.text) }

// code returns the code for a caller that knows those of gRPC.
func (r *refused) code() codes.Code {
	switch r.status {
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return codes.Unimplemented
	case http.StatusRequestEntityTooLarge:
		return codes.ResourceExhausted
	case http.StatusInternalServerError:
		return codes.Internal
	}
	return codes.InvalidArgument
}

func refuse(status int, format string, args ...any) error {
	return &refused{status: status, text: fmt.Sprintf(format, args...)}
}

// invalid refuses an event for what one of its attributes is, or its data.
func invalid(attribute, format string, args ...any) error {
	return refuse(http.StatusBadRequest, "the attribute %s %s", attribute, fmt.Sprintf(format, args...))
}

const (
	structuredMode = "application/cloudevents+json"
	batchMode      = "application/cloudevents-batch+json"
)

// readEvents reads the CloudEvents of a request by the HTTP protocol binding 1.0.2: one by
// headers (binary mode), one in JSON (structured mode), or a batch in JSON.
func readEvents(header http.Header, body []byte, most int) (events []cloudEvent, isBatch bool, err error) {
	media, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	isOwn := strings.HasPrefix(media, "application/cloudevents")
	switch charset := params["charset"]; {
	case len(header.Values("Content-Type")) > 1:
		return nil, false, refuse(http.StatusBadRequest, "there are two headers Content-Type: send one")
	case err != nil && header.Get("Content-Type") != "":
		return nil, false, refuse(http.StatusUnsupportedMediaType, "the header Content-Type: %q is not a content type", header.Get("Content-Type"))
	case isOwn && charset != "" && !strings.EqualFold(charset, "utf-8"):
		return nil, false, refuse(http.StatusUnsupportedMediaType, "the header Content-Type: JSON is in UTF-8, not in %s", charset)
	case media == structuredMode:
		event, err := fromStructured(body)
		if err == nil {
			err = agree(header, event)
		}
		return []cloudEvent{event}, false, err
	case media == batchMode:
		events, err = fromBatch(body, most)
		return events, true, err
	case isOwn:
		return nil, false, refuse(http.StatusUnsupportedMediaType, "the header Content-Type: %s is not supported: send %s, %s, or an event by headers (ce-id and so on)", media, structuredMode, batchMode)
	}
	event, err := fromBinary(header, body)
	return []cloudEvent{event}, false, err
}

// fromBinary reads an event from headers, and its data from the body.
func fromBinary(header http.Header, body []byte) (event cloudEvent, err error) {
	if event.attributes, err = fromHeaders(header); err != nil {
		return event, err
	}
	if len(event.attributes) == 0 {
		return event, refuse(http.StatusBadRequest, "the request is not a CloudEvent: it has no headers ce-specversion, ce-id, ce-source, ce-type, and is not %s or %s", structuredMode, batchMode)
	}
	if contentType := header.Get("Content-Type"); contentType != "" {
		event.attributes["datacontenttype"] = contentType
	}
	if len(body) > 0 {
		event.data = body
	}
	return event, event.check()
}

const eventPrefix = "Ce-"

// fromHeaders returns the attributes in the headers of a request.
func fromHeaders(header http.Header) (map[string]string, error) {
	attributes := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(header)) {
		if len(key) < len(eventPrefix) || !strings.EqualFold(key[:len(eventPrefix)], eventPrefix) {
			continue
		}
		name := strings.ToLower(key[len(eventPrefix):])
		values := header[key]
		switch {
		case name == "datacontenttype":
			return nil, invalid(name, "comes as the header Content-Type, not as ce-datacontenttype")
		case !isName(name):
			return nil, invalid(name, "has a name that a CloudEvent can't have: use letters and digits, and not \"data\"")
		case len(values) > 1 || attributes[name] != "":
			return nil, invalid(name, "is there twice")
		}
		value, err := unescape(values[0])
		if err != nil {
			return nil, invalid(name, "%v", err)
		}
		attributes[name] = value
	}
	return attributes, nil
}

// unescape decodes the value of a header: what is quoted, and then the percent-encoding of
// UTF-8, once. UTF-8 that is not encoded is accepted, since the SDK for Go sends it.
func unescape(value string) (string, error) {
	var plain strings.Builder
	for quoted, i := false, 0; i <= len(value); i++ {
		switch {
		case i == len(value) && quoted:
			return "", errors.New("begins a quotation that does not end")
		case i == len(value):
		case value[i] == '"':
			quoted = !quoted
		case quoted && value[i] == '\\' && i+1 < len(value):
			i++
			plain.WriteByte(value[i])
		default:
			plain.WriteByte(value[i])
		}
	}
	value = plain.String()
	decoded := make([]byte, 0, len(value))
	for i := 0; i < len(value); i++ {
		if value[i] != '%' {
			decoded = append(decoded, value[i])
			continue
		}
		if i+3 > len(value) {
			return "", errors.New(`has a "%" without two hexadecimal digits after it: send "%25" for the character itself`)
		}
		n, err := strconv.ParseUint(value[i+1:i+3], 16, 8)
		if err != nil {
			return "", errors.New(`has a "%" without two hexadecimal digits after it: send "%25" for the character itself`)
		}
		decoded = append(decoded, byte(n))
		i += 2
	}
	return string(decoded), nil
}

// agree refuses an event in JSON that has other attributes in headers.
func agree(header http.Header, event cloudEvent) error {
	also, err := fromHeaders(header)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(also)) {
		if value, ok := event.attributes[name]; !ok || value != also[name] {
			return invalid(name, "is not the same in the header and in the body")
		}
	}
	return nil
}

// fromStructured reads an event in JSON.
func fromStructured(text []byte) (event cloudEvent, err error) {
	members, err := cloudevents.Object(text)
	if err != nil {
		return event, refuse(http.StatusBadRequest, "the event is not a CloudEvent in JSON: %v", err)
	}
	data, base64Data := members["data"], members["data_base64"]
	delete(members, "data")
	delete(members, "data_base64")
	event.attributes = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value, ok, err := attributeOf(name, members[name])
		if err != nil {
			return event, err
		}
		if ok {
			event.attributes[name] = value
		}
	}
	if err := event.readData(data, base64Data); err != nil {
		return event, err
	}
	return event, event.check()
}

// attributeOf returns the value of an attribute in JSON as text. ok is false for null,
// which is the same as none.
func attributeOf(name string, value json.RawMessage) (text string, ok bool, err error) {
	if !isName(name) {
		return "", false, invalid(strconv.Quote(name), "has a name that a CloudEvent can't have: use small letters and digits")
	}
	switch first := value[0]; {
	case string(value) == "null":
		return "", false, nil
	case first == '"':
		return text, true, json.Unmarshal(value, &text)
	case slices.Contains(contextAttributes, name):
		return "", false, invalid(name, "is not a string: %s", value)
	case first == 't' || first == 'f':
		return string(value), true, nil
	}
	if n, err := strconv.ParseInt(string(value), 10, 32); err == nil {
		return strconv.FormatInt(n, 10), true, nil
	}
	return "", false, invalid(name, "is not a string, true, false, or an integer of 32 bits")
}

// readData sets the data of an event in JSON.
func (e *cloudEvent) readData(data, base64Data json.RawMessage) error {
	contentType, typed := e.attributes["datacontenttype"]
	var text string
	switch {
	case data != nil && base64Data != nil:
		return refuse(http.StatusBadRequest, "the event has both data and data_base64: send one of them")
	case base64Data != nil:
		decoded, err := []byte(nil), json.Unmarshal(base64Data, &text)
		if err == nil {
			decoded, err = base64.StdEncoding.Strict().DecodeString(text)
		}
		if err != nil || strings.ContainsAny(text, "\r\n") {
			return refuse(http.StatusBadRequest, "data_base64 is not a string in base64 (the alphabet of RFC 4648, section 4, with padding)")
		}
		e.data = decoded
	case data != nil && (!typed || cloudevents.IsJSON(contentType)):
		e.data = data
		if !typed {
			e.attributes["datacontenttype"] = "application/json"
		}
	case data != nil:
		if data[0] != '"' {
			return invalid("datacontenttype", "is %s, so data must be a string, or data_base64", contentType)
		}
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		e.data = []byte(text)
	}
	if len(e.data) == 0 {
		e.data = nil
	}
	return nil
}

// fromBatch reads events in a JSON array, most of them at most.
func fromBatch(text []byte, most int) ([]cloudEvent, error) {
	if n := elements(text); n > most { // before each takes memory
		return nil, refuse(http.StatusRequestEntityTooLarge, "the batch has %d events, and the server takes %d at once (--max-batch)", n, most)
	}
	canonical, err := cloudevents.JSON(text)
	var all []json.RawMessage
	if err == nil && (canonical[0] != '[' || json.Unmarshal(canonical, &all) != nil) {
		err = errors.New("it is not a JSON array")
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the batch is not one of CloudEvents in JSON: %v", err)
	}
	events := make([]cloudEvent, len(all))
	for i, one := range all {
		if events[i], err = fromStructured(one); err != nil {
			return nil, inBatch(i, len(all), err)
		}
	}
	return events, nil
}

// elements returns how many values a JSON array has. What it returns for other text means
// nothing.
func elements(text []byte) (n int) {
	text = bytes.TrimLeft(text, " \t\r\n")
	if rest := bytes.TrimLeft(bytes.TrimPrefix(text, []byte("[")), " \t\r\n"); !bytes.HasPrefix(text, []byte("[")) || bytes.HasPrefix(rest, []byte("]")) {
		return 0
	}
	n = 1
	for depth, quoted, i := 0, false, 0; i < len(text); i++ {
		switch b := text[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '[' || b == '{':
			depth++
		case b == ']' || b == '}':
			depth--
		case b == ',' && depth == 1:
			n++
		}
	}
	return n
}

// inBatch adds to an error which event of a batch it is about.
func inBatch(i, of int, err error) error {
	if why := (*refused)(nil); of > 1 && errors.As(err, &why) {
		return &refused{why.status, fmt.Sprintf("event %d of %d: %s", i+1, of, why.text), why.counted}
	}
	return err
}

// The attributes that the specification defines. Those with true must be there.
var (
	contextAttributes  = []string{"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"}
	requiredAttributes = contextAttributes[:4]
)

// isName reports whether an attribute can have a name.
func isName(name string) bool {
	return name != "" && name != "data" && !strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}

// check refuses an event that the specification does not allow, and gives JSON in its
// data its one form.
func (e *cloudEvent) check() error {
	for _, name := range requiredAttributes {
		if e.attributes[name] == "" {
			return invalid(name, "is missing")
		}
	}
	if version := e.attributes["specversion"]; version != "1.0" {
		return invalid("specversion", "is %q: this server takes 1.0", version)
	}
	for _, name := range slices.Sorted(maps.Keys(e.attributes)) {
		switch value := e.attributes[name]; {
		case !utf8.ValidString(value):
			return invalid(name, "is not valid UTF-8")
		case value == "" && slices.Contains(contextAttributes, name):
			return invalid(name, "is empty: leave it out")
		case strings.ContainsFunc(value, isControl):
			return invalid(name, "has a control character")
		}
	}
	if at, ok := e.attributes["time"]; ok {
		if _, err := time.Parse(time.RFC3339Nano, at); err != nil || strings.Contains(at, ",") {
			return invalid("time", "is not a time as in RFC 3339: %q", at)
		}
	}
	contentType, typed := e.attributes["datacontenttype"]
	if typed {
		if _, _, err := mime.ParseMediaType(contentType); err != nil {
			return invalid("datacontenttype", "is not a content type: %q", contentType)
		}
	}
	if e.data == nil && cloudevents.IsProtobuf(contentType) {
		e.data = []byte{} // a message without fields
	}
	if e.data != nil && cloudevents.IsJSON(contentType) {
		data, err := cloudevents.JSON(e.data)
		if err != nil {
			return refuse(http.StatusBadRequest, "the data is %s, but %v", contentType, err)
		}
		e.data = data
	}
	return nil
}

// isControl reports whether the specification doesn't allow a character in attributes.
func isControl(r rune) bool {
	return r < ' ' || r >= 0x7f && r <= 0x9f || r >= 0xfdd0 && r <= 0xfdef || r&0xfffe == 0xfffe
}

// readBody reads the body of a request, and decompresses it. It has most bytes at most.
func readBody(x *exchange, most int) ([]byte, error) {
	r := x.request
	tooLarge := func() error {
		return &refused{http.StatusRequestEntityTooLarge, status.Convert(x.call.TooLong()).Message(), true}
	}
	if r.ContentLength > int64(most) {
		return nil, tooLarge()
	}
	text, err := readAll(r.Body, most)
	if err == errTooLarge {
		return nil, tooLarge()
	}
	encoding := strings.ToLower(r.Header.Get("Content-Encoding"))
	switch cut := x.call.Cut(); {
	case cut != nil:
		return nil, cut
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "the body of the request can't be read: %v", err)
	case encoding == "" || encoding == "identity":
		return text, nil
	case encoding != "gzip":
		return nil, refuse(http.StatusUnsupportedMediaType, "the header Content-Encoding: %q is not supported: send gzip, or none", shorten(encoding))
	}
	compressed, err := gzip.NewReader(bytes.NewReader(text))
	if err == nil {
		text, err = readAll(compressed, most)
	}
	if err == errTooLarge {
		return nil, tooLarge()
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the body is not in gzip, as the header Content-Encoding says: %v", err)
	}
	return text, nil
}

var errTooLarge = errors.New("too large")

// readAll is [io.ReadAll] for most bytes at most. If there are more, the error is errTooLarge.
func readAll(from io.Reader, most int) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(from, int64(most)))
	if err == nil && len(text) == most {
		if _, err := io.ReadFull(from, make([]byte, 1)); err != io.EOF {
			return nil, errTooLarge
		}
	}
	return text, err
}

package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// bare are the messages that are a string in protobuf JSON, with what help
// says of their flags.
var bare = map[protoreflect.FullName]string{
	"google.protobuf.Timestamp":   "timestamp (2026-01-02T15:04:05Z)",
	"google.protobuf.Duration":    "duration (1.5s)",
	"google.protobuf.FieldMask":   "field mask (name,homeAddress.city)",
	"google.protobuf.StringValue": "string",
	"google.protobuf.BytesValue":  "base64",
}

// jsonError is something wrong at a place in a JSON text.
type jsonError struct {
	line, column int // both from 1, column in characters; 0 for nowhere in particular
	reason       string
}

func (e *jsonError) Error() string {
	if e.line == 0 {
		return e.reason
	}
	return fmt.Sprintf("line %d, column %d: %s", e.line, e.column, e.reason)
}

// parseMessage reads protobuf JSON into an empty message.
func parseMessage(message protoreflect.Message, text string) error {
	if bare[message.Descriptor().FullName()] == "" || strings.HasPrefix(text, `"`) {
		return unmarshal(text, message.Interface())
	}
	if !utf8.ValidString(text) {
		return errInvalidUTF8
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return err
	}
	err = unmarshal(string(quoted), message.Interface())
	var where *jsonError
	if errors.As(err, &where) {
		where.line = 0 // a place in a text that nobody typed
	}
	return err
}

// parseMap reads a JSON object into a map field of an empty message.
func parseMap(message protoreflect.Message, field protoreflect.FieldDescriptor, text string) error {
	if err := checkSyntax(text); err != nil {
		return err
	}
	err := unmarshal(fmt.Sprintf("{%q:\n%s}", field.JSONName(), text), message.Interface())
	var where *jsonError
	if errors.As(err, &where) {
		where.line-- // the text starts on the second line
	}
	return err
}

// unmarshal reads protobuf JSON. Required fields may be missing from it.
func unmarshal(text string, message proto.Message) error {
	if err := checkSyntax(text); err != nil {
		return err
	}
	return explainProto(protojson.UnmarshalOptions{AllowPartial: true}.Unmarshal([]byte(text), message))
}

// endOfJSON is what package encoding/json says of a text that stops too early.
const endOfJSON = "unexpected end of JSON input"

// checkSyntax reports what is wrong with a JSON text whatever its message, in
// the words of package encoding/json, which are the better ones.
func checkSyntax(text string) error {
	var raw json.RawMessage
	err := json.Unmarshal([]byte(text), &raw)
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return err
	}
	before := text[:syntax.Offset]
	if syntax.Error() != endOfJSON {
		before = text[:syntax.Offset-1] // the offset counts the offending byte
	}
	return &jsonError{
		line:   strings.Count(before, "\n") + 1,
		column: utf8.RuneCountInString(before[strings.LastIndex(before, "\n")+1:]) + 1,
		reason: syntax.Error(),
	}
}

// complaint matches the errors of the protobuf packages. The space after the
// first colon is of one kind in some programs and of another in the rest.
var complaint = regexp.MustCompile(`(?s)^proto:[ \x{a0}](?:syntax error )?(?:\(line (\d+):(\d+)\): )?(.*)$`)

// explainProto says what an error of the protobuf packages means, the same in
// every program.
func explainProto(err error) error {
	if err == nil {
		return nil
	}
	found := complaint.FindStringSubmatch(err.Error())
	if found == nil {
		return err
	}
	line, _ := strconv.Atoi(found[1]) // 0 if there is none
	column, _ := strconv.Atoi(found[2])
	return &jsonError{line: line, column: column, reason: found[3]}
}

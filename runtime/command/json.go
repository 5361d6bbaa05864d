package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// bareStrings are the messages that are a string in protobuf JSON, whose flags take
// it without quotes, and how help describes their values.
var bareStrings = map[protoreflect.FullName]string{
	"google.protobuf.Timestamp":   "timestamp (2026-01-02T15:04:05Z)",
	"google.protobuf.Duration":    "duration (1.5s)",
	"google.protobuf.FieldMask":   "field mask (name,homeAddress.city)",
	"google.protobuf.StringValue": "string",
	"google.protobuf.BytesValue":  "base64",
}

const byteOrderMark = "\ufeff"

// jsonError is an error in a JSON text, with its line and column.
type jsonError struct {
	line, column int // both from 1, column in characters; 0 if unknown
	reason       string
}

func (e *jsonError) Error() string {
	if e.line == 0 {
		return e.reason
	}
	return fmt.Sprintf("line %d, column %d: %s", e.line, e.column, e.reason)
}

// parseMessage parses protobuf JSON into an empty message.
func parseMessage(message protoreflect.Message, text string) error {
	text = strings.TrimPrefix(text, byteOrderMark)
	if bareStrings[message.Descriptor().FullName()] == "" || strings.HasPrefix(text, `"`) {
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
	var at *jsonError
	if errors.As(err, &at) {
		at.line = 0 // the user didn't type this text
	}
	return err
}

// parseMap parses a JSON object into a map field of an empty message.
func parseMap(message protoreflect.Message, field protoreflect.FieldDescriptor, text string) error {
	text = strings.TrimPrefix(text, byteOrderMark)
	if err := checkSyntax(text); err != nil {
		return err
	}
	err := unmarshal(fmt.Sprintf("{%q:\n%s}", field.JSONName(), text), message.Interface())
	var at *jsonError
	if errors.As(err, &at) {
		at.line-- // the text starts on the second line
	}
	return err
}

// unmarshal parses protobuf JSON. Required fields may be missing.
func unmarshal(text string, message proto.Message) error {
	if err := checkSyntax(text); err != nil {
		return err
	}
	if at := loneSurrogate(text); at >= 0 {
		return jsonErrorAt(text, at, text[at:at+6]+" is half of a surrogate pair, and no character")
	}
	if err := (protojson.UnmarshalOptions{AllowPartial: true}).Unmarshal([]byte(text), message); err != nil {
		return readableError(err)
	}
	return checkNumbers(text, message.ProtoReflect().Descriptor())
}

// jsonErrorAt returns an error for what is at an offset of a text.
func jsonErrorAt(text string, offset int, reason string) error {
	before := text[:offset]
	return &jsonError{
		line:   strings.Count(before, "\n") + 1,
		column: utf8.RuneCountInString(before[strings.LastIndex(before, "\n")+1:]) + 1,
		reason: reason,
	}
}

// loneSurrogate returns the offset of an escape in a valid JSON text that is half of
// a surrogate pair, or -1. For it protojson says that the text ends too early.
func loneSurrogate(text string) int {
	for at := 0; at < len(text); at++ {
		if text[at] != '\\' {
			continue
		}
		if text[at+1] != 'u' {
			at++ // the character may be another backslash
			continue
		}
		unit := hexRune(text[at+2 : at+6])
		if !utf16.IsSurrogate(unit) {
			continue
		}
		rest := text[at+6:]
		if !strings.HasPrefix(rest, `\u`) || utf16.DecodeRune(unit, hexRune(rest[2:6])) == utf8.RuneError {
			return at
		}
		at += len(`\ud83d\ude00`) - 1
	}
	return -1
}

// hexRune returns the value of four hexadecimal digits.
func hexRune(digits string) rune {
	unit, _ := strconv.ParseUint(digits, 16, 16)
	return rune(unit)
}

// endOfJSON is the error of package encoding/json for a text that ends too early.
const endOfJSON = "unexpected end of JSON input"

// checkSyntax returns an error if a text is not JSON. The error is that of package
// encoding/json, because those of protojson are less clear.
func checkSyntax(text string) error {
	var raw json.RawMessage
	err := json.Unmarshal([]byte(text), &raw)
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return err
	}
	offset := int(syntax.Offset)
	if syntax.Error() != endOfJSON {
		offset-- // it counts the offending byte
	}
	return jsonErrorAt(text, offset, syntax.Error())
}

// protoError matches the errors of the protobuf packages. The space after the
// first colon is an ordinary one in some programs and a no-break space in others:
// they differ on purpose, so that nobody relies on the text.
var protoError = regexp.MustCompile(`(?s)^proto:[ \x{a0}](?:syntax error )?(?:\(line (\d+):(\d+)\): )?(.*)$`)

// readableError returns an error of the protobuf packages as a jsonError, which has
// the same text in every program.
func readableError(err error) error {
	if err == nil {
		return nil
	}
	match := protoError.FindStringSubmatch(err.Error())
	if match == nil {
		return err
	}
	line, _ := strconv.Atoi(match[1]) // 0 if there is none
	column, _ := strconv.Atoi(match[2])
	return &jsonError{line: line, column: column, reason: match[3]}
}

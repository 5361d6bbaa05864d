package command

import (
	"fmt"
	"strings"
	"testing"
)

// Columns count characters from 1, lines from 1.
func TestJSONErrorsHaveAPosition(t *testing.T) {
	for _, test := range []struct {
		flag, text, want string
	}{
		{"struct", `{"idfa":"idfa1",}`, `line 1, column 17: invalid character '}' looking for beginning of object key string`},
		{"struct", `{"idfa":"idfa1",}` + "\n", `line 1, column 17: invalid character '}' looking for beginning of object key string`},
		{"struct", `{"idfa":       }`, `line 1, column 16: invalid character '}' looking for beginning of value`},
		{"struct", `{"größe": x}`, `line 1, column 11: invalid character 'x' looking for beginning of value`},
		{"struct", "{\n  \"ä\": 1,\n  \"b\" 2\n}", `line 3, column 7: invalid character '2' after object key`},
		{"struct", "{\"a\": 1,\n}", `line 2, column 1: invalid character '}' looking for beginning of object key string`},
		{"struct", `{"a": 1} {`, `line 1, column 10: invalid character '{' after top-level value`},
		{"struct", `x`, `line 1, column 1: invalid character 'x' looking for beginning of value`},
		{"struct", ``, `line 1, column 1: unexpected end of JSON input`},
		{"struct", `{"a": 1`, `line 1, column 8: unexpected end of JSON input`},
		{"struct", "{\n", `line 2, column 1: unexpected end of JSON input`},
		{"struct", "{\"ä\": \"\xff\"}", `line 1, column 7: invalid UTF-8 in string`},
		{"struct", `{"a": 1, "a": 2}`, `line 1, column 10: duplicate map key "a"`},
		{"struct", `[1]`, `line 1, column 1: unexpected token [`},
		{"struct", `null`, `line 1, column 1: unexpected token null`},
		{"value", `hello`, `line 1, column 1: invalid character 'h' looking for beginning of value`},

		{"address", `{"city": "Rome", "foo": 1}`, `line 1, column 18: unknown field "foo"`},
		{"address", `{"city": "Köln", "foo": 1}`, `line 1, column 18: unknown field "foo"`},
		{"address", "{\n \"city\": 5}", `line 2, column 10: invalid value for string field city: 5`},
		{"address", `{"floors": [1, 2147483648]}`, `line 1, column 16: invalid value for int32 field floors: 2147483648`},
		{"address", `{"next": {"next": {"town": "Rome"}}}`, `line 1, column 20: unknown field "town"`},
		{"address", `{"city": "a", "city": "b"}`, `line 1, column 15: duplicate field "city"`},
		{"addresses", `[{}]`, `line 1, column 1: unexpected token [`},

		{"counts", `{"a": 1,}`, `line 1, column 9: invalid character '}' looking for beginning of object key string`},
		{"counts", `{"a": "b"}`, `line 1, column 7: invalid value for int32 field value: "b"`},
		{"counts", "{\n\"a\": true}", `line 2, column 6: invalid value for int32 field value: true`},
		{"counts", `[1]`, `line 1, column 1: unexpected token [`},
		{"counts", `{"a": 1}, "int32": {}`, `line 1, column 9: invalid character ',' after top-level value`},
		{"by_number", `{"x": {}}`, `line 1, column 2: invalid value for int64 key: "x"`},
		{"by_bool", `{"true": "RED", "false": "BLUE"}`, `line 1, column 26: invalid value for enum field value: "BLUE"`},

		{"struct", `{"a": "\ud800"}`, `line 1, column 8: \ud800 is half of a surrogate pair, and no character`},
		{"struct", `{"\ud83d\ude00 \\ud800 \udc00": 1}`, `line 1, column 24: \udc00 is half of a surrogate pair, and no character`},
		{"address", `{"city": "\uD83D\u0041"}`, `line 1, column 11: \uD83D is half of a surrogate pair, and no character`},

		{"struct", "{\"id\":\n 9007199254740993}", `line 2, column 2: 9007199254740993 would be rounded: the numbers of a Struct are doubles (write it as a string)`},
		{"struct", `{"a": [{"b": -1234567890123456789}]}`, `line 1, column 14: -1234567890123456789 would be rounded: the numbers of a Struct are doubles (write it as a string)`},
		{"value", `9007199254740993`, `line 1, column 1: 9007199254740993 would be rounded: the numbers of a Struct are doubles (write it as a string)`},
		{"list", `[1, 9007199254740993]`, `line 1, column 5: 9007199254740993 would be rounded: the numbers of a Struct are doubles (write it as a string)`},
		{"any", `{"value": {"a": 9007199254740993}, "@type": "type.googleapis.com/google.protobuf.Struct"}`,
			`line 1, column 17: 9007199254740993 would be rounded: the numbers of a Struct are doubles (write it as a string)`},

		{"any", `{"@type": "type.googleapis.com/no.Such"}`, `line 1, column 11: unable to resolve "type.googleapis.com/no.Such": "not found"`},
	} {
		t.Run(test.flag+" "+test.text, func(t *testing.T) {
			_, err := parseLine(commandOf(descriptorOf(t, "every.proto", "Every")), "--"+test.flag, test.text)
			if got, want := fmt.Sprint(err), "--"+test.flag+": "+test.want; got != want {
				t.Errorf("the error is\n%s, want\n%s", got, want)
			}
		})
	}
}

// The errors of protobuf differ from one program to the next; ours don't.
func TestProtoErrorsReadTheSameInEveryProgram(t *testing.T) {
	for _, space := range []string{" ", "\u00a0"} {
		for text, want := range map[string]string{
			"proto:" + space + "(line 1:9): unknown field \"foo\"":    `line 1, column 9: unknown field "foo"`,
			"proto:" + space + "syntax error (line 12:3): bad\nthing": "line 12, column 3: bad\nthing",
			"proto:" + space + "exceeded max recursion depth":         "exceeded max recursion depth",
			"something else": "something else",
		} {
			if got := readableError(fmt.Errorf("%s", text)); got.Error() != want {
				t.Errorf("%q reads %q, want %q", text, got, want)
			}
		}
	}
}

// Only integers that would become others are refused, and only where they become
// doubles without a word about it in the proto.
func TestNumbersThatAreExactAreTaken(t *testing.T) {
	for flag, text := range map[string]string{
		"struct":  `{"a": 9007199254740992, "b": "9007199254740993", "c": 9007199254740994, "d": 1234567890.1234567890123456, "e": 9007199254740993e0, "9007199254740993": {}}`,
		"int64":   "9007199254740993",
		"address": `{"city": "9007199254740993", "next": {"city": "1234567890123456789"}}`,
		"counts":  `{"9007199254740993": 1}`,
		"any":     `{"@type": "type.googleapis.com/google.protobuf.Int64Value", "value": 9007199254740993}`,
	} {
		if _, err := parseLine(commandOf(descriptorOf(t, "every.proto", "Every")), "--"+flag, text); err != nil {
			t.Error(err)
		}
	}
}

// Within other messages, lists and maps, too. The types of the flags' test have no
// Struct within them.
func TestNumbersWithinMessages(t *testing.T) {
	within := descriptorOf(t, "replies.proto", "Within")
	for text, want := range map[string]string{
		`{"structs": [{}, {"a": 9007199254740993}]}`:                 "line 1, column 24: 9007199254740993 would be rounded",
		`{"by_name": {"9": {"a": [9007199254740993]}}}`:              "line 1, column 26: 9007199254740993 would be rounded",
		`{"byName": {"9": {}}, "next": {"value": 9007199254740993}}`: "line 1, column 41: 9007199254740993 would be rounded",
		`{"number": 9007199254740993, "structs": []}`:                "<nil>",
	} {
		err := unmarshal(text, messageOf(t, within, "{}"))
		if !strings.HasPrefix(fmt.Sprint(err), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestDeepJSONIsRefused(t *testing.T) {
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	_, err := parseLine(commandOf(descriptorOf(t, "every.proto", "Every")), "--list", deep)
	if err == nil || !strings.HasPrefix(err.Error(), "--list: line 1, column 10001: ") {
		t.Errorf("the error is %v", err)
	}
}

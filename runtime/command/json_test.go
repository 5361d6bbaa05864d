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

func TestDeepJSONIsRefused(t *testing.T) {
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	_, err := parseLine(commandOf(descriptorOf(t, "every.proto", "Every")), "--list", deep)
	if err == nil || !strings.HasPrefix(err.Error(), "--list: line 1, column 10001: ") {
		t.Errorf("the error is %v", err)
	}
}

package command

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// parseLine parses a command line.
func parseLine(command Command, args ...string) (*parsed, error) {
	return command.parse(Env{Program: "receiver-client", Getenv: func(string) string { return "" }}, args)
}

func TestFlagsSetFields(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string // the request, in JSON
	}{
		{nil, `{}`},
		{[]string{"--string", "jerry"}, `{"string": "jerry"}`},
		{[]string{"-string=jerry"}, `{"string": "jerry"}`},
		{[]string{"--string", `{"a": "b"}`}, `{"string": "{\"a\": \"b\"}"}`},
		{[]string{"--string", "-x"}, `{"string": "-x"}`},
		{[]string{"--string", ""}, `{}`},
		{[]string{"--bool"}, `{"bool": true}`},
		{[]string{"--bool=true", "--string", "x"}, `{"bool": true, "string": "x"}`},
		{[]string{"--bool=false"}, `{}`},

		{[]string{"--int32", "-2147483648"}, `{"int32": -2147483648}`},
		{[]string{"--sint32", "2147483647"}, `{"sint32": 2147483647}`},
		{[]string{"--sfixed32", "+5"}, `{"sfixed32": 5}`},
		{[]string{"--int64", "-9223372036854775808"}, `{"int64": "-9223372036854775808"}`},
		{[]string{"--sint64", "9223372036854775807"}, `{"sint64": "9223372036854775807"}`},
		{[]string{"--sfixed64", "007"}, `{"sfixed64": "7"}`},
		{[]string{"--uint32", "4294967295"}, `{"uint32": 4294967295}`},
		{[]string{"--fixed32", "1"}, `{"fixed32": 1}`},
		{[]string{"--uint64", "18446744073709551615"}, `{"uint64": "18446744073709551615"}`},
		{[]string{"--fixed64", "1"}, `{"fixed64": "1"}`},
		{[]string{"--float", "1.5"}, `{"float": 1.5}`},
		{[]string{"--float", "-inf"}, `{"float": "-Infinity"}`},
		{[]string{"--double", "1e300"}, `{"double": 1e300}`},
		{[]string{"--double", "inf"}, `{"double": "Infinity"}`},

		{[]string{"--bytes", "+/8="}, `{"bytes": "+/8="}`},
		{[]string{"--bytes", "+/8"}, `{"bytes": "+/8="}`},
		{[]string{"--bytes", "-_8="}, `{"bytes": "+/8="}`},
		{[]string{"--bytes", "-_8"}, `{"bytes": "+/8="}`},
		{[]string{"--color", "GREEN"}, `{"color": "GREEN"}`},
		{[]string{"--color", "1"}, `{"color": "RED"}`},
		{[]string{"--color", "99"}, `{"color": 99}`},
		{[]string{"--null", "NULL_VALUE"}, `{}`},

		{[]string{"--address", `{"city": "Rome", "floors": [1, 2]}`}, `{"address": {"city": "Rome", "floors": [1, 2]}}`},
		{[]string{"--address", `{}`}, `{"address": {}}`},
		{[]string{"--maybe", "0", "--maybe_string", ""}, `{"maybe": 0, "maybeString": ""}`},
		{[]string{"--email", ""}, `{"email": ""}`},
		{[]string{"--visit", "{}"}, `{"visit": {}}`},

		{[]string{"--tags", "a,b", "--string", "x", "--tags", "a,b", "--tags", ""}, `{"tags": ["a,b", "a,b", ""], "string": "x"}`},
		{[]string{"--bools", "--bools=false", "--bools"}, `{"bools": [true, false, true]}`},
		{[]string{"--numbers", "-1", "--numbers", "0"}, `{"numbers": ["-1", "0"]}`},
		{[]string{"--colors", "RED", "--colors", "2"}, `{"colors": ["RED", "GREEN"]}`},
		{[]string{"--addresses", `{"city": "Rome"}`, "--addresses", `{}`}, `{"addresses": [{"city": "Rome"}, {}]}`},
		{[]string{"--times", "2026-01-02T15:04:05Z", "--times", `"2027-01-02T15:04:05Z"`}, `{"times": ["2026-01-02T15:04:05Z", "2027-01-02T15:04:05Z"]}`},

		{[]string{"--counts", `{"a": 1, "b": 2}`, "--counts", "{\n\"b\": 3}"}, `{"counts": {"a": 1, "b": 3}}`},
		{[]string{"--counts", `{}`}, `{}`},
		{[]string{"--by_number", `{"5": {"city": "Rome"}}`, "--by_number", `{"-6": {}}`}, `{"byNumber": {"5": {"city": "Rome"}, "-6": {}}}`},
		{[]string{"--by_bool", `{"true": "RED"}`}, `{"byBool": {"true": "RED"}}`},

		{[]string{"--when", "2026-01-02T15:04:05.5+01:00"}, `{"when": "2026-01-02T14:04:05.5Z"}`},
		{[]string{"--when", `"2026-01-02T15:04:05Z"`}, `{"when": "2026-01-02T15:04:05Z"}`},
		{[]string{"--lasts", "1.5s"}, `{"lasts": "1.5s"}`},
		{[]string{"--mask", "name,homeAddress.city"}, `{"mask": "name,homeAddress.city"}`},
		{[]string{"--mask", ""}, `{"mask": ""}`},
		{[]string{"--struct", `{"idfa": "idfa1", "amount": 123}`}, `{"struct": {"idfa": "idfa1", "amount": 123}}`},
		{[]string{"--value", "null"}, `{"value": null}`},
		{[]string{"--value", `[1, "a"]`}, `{"value": [1, "a"]}`},
		{[]string{"--list", `[1, null]`}, `{"list": [1, null]}`},
		{[]string{"--wrapped_string", "jerry"}, `{"wrappedString": "jerry"}`},
		{[]string{"--wrapped_string", `"je\nrry"`}, `{"wrappedString": "je\nrry"}`},
		{[]string{"--wrapped_string", `<5 & "6">`}, `{"wrappedString": "<5 & \"6\">"}`},
		{[]string{"--wrapped_string", "null"}, `{"wrappedString": "null"}`},
		{[]string{"--wrapped_bytes", "-_8"}, `{"wrappedBytes": "+/8="}`},
		{[]string{"--wrapped_int64", "0"}, `{"wrappedInt64": "0"}`},
		{[]string{"--wrapped_bool", "false"}, `{"wrappedBool": false}`},
		{[]string{"--wrapped_double", `"NaN"`}, `{"wrappedDouble": "NaN"}`},
		{[]string{"--any", `{"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}`}, `{"any": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}}`},

		{[]string{"--int32", "5", "--int32", "6"}, `{"int32": 6}`},
		{[]string{"--int32", "5", "--int32", "0"}, `{}`},
		{[]string{"--email", "a", "--email", "b"}, `{"email": "b"}`},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			every := descriptorOf(t, "every.proto", "Every")
			got, err := parseLine(commandOf(every), test.args...)
			if err != nil {
				t.Fatal(err)
			}
			if want := messageOf(t, every, test.want); !proto.Equal(got.request, want) {
				t.Errorf("the request is %s, want %s", protojson.Format(got.request), test.want)
			}
		})
	}
}

func TestNaN(t *testing.T) {
	every := descriptorOf(t, "every.proto", "Every")
	got, err := parseLine(commandOf(every), "--double", "nan")
	if err != nil {
		t.Fatal(err)
	}
	if v := got.request.ProtoReflect().Get(every.Fields().ByName("double")).Float(); !math.IsNaN(v) {
		t.Errorf("--double nan is %v", v)
	}
}

func TestFlagsRefuse(t *testing.T) {
	const hint = " (run 'receiver-client help send')"
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--strin", "x"}, "flag provided but not defined: -strin" + hint},
		{[]string{"--string"}, "flag needs an argument: -string" + hint},
		{[]string{"--string", "jerry", "tom", "--bool"}, `unexpected argument "tom"` + hint},
		{[]string{"--", "--string"}, `unexpected argument "--string"` + hint},
		{[]string{"--bool", "false"}, `unexpected argument "false"; give a bool its value as in --name=false` + hint},
		{[]string{"--timeout", "soon"}, `invalid value "soon" for flag -timeout: parse error` + hint},
		{[]string{"--timeout", "0s"}, "--timeout: 0s is not more than 0" + hint},
		{[]string{"--timeout", "-1s"}, "--timeout: -1s is not more than 0" + hint},
		{[]string{"--insecure", "--ca", "x.pem"}, "--insecure and --ca exclude each other: give only one of them" + hint},
		{[]string{"--event-id", "1"}, "flag provided but not defined: -event-id" + hint},

		{[]string{"--string", "\xff"}, "--string: the text is not valid UTF-8"},
		{[]string{"--bool=maybe"}, `--bool: "maybe" is not a valid bool`},
		{[]string{"--int32", "abc"}, `--int32: "abc" is not a valid int32`},
		{[]string{"--int32", ""}, `--int32: "" is not a valid int32`},
		{[]string{"--int32", "1.0"}, `--int32: "1.0" is not a valid int32`},
		{[]string{"--int32", "0x10"}, `--int32: "0x10" is not a valid int32`},
		{[]string{"--int32", "2147483648"}, "--int32: 2147483648 is out of the range of int32"},
		{[]string{"--sint32", "-2147483649"}, "--sint32: -2147483649 is out of the range of sint32"},
		{[]string{"--sfixed32", "2147483648"}, "--sfixed32: 2147483648 is out of the range of sfixed32"},
		{[]string{"--int64", "9223372036854775808"}, "--int64: 9223372036854775808 is out of the range of int64"},
		{[]string{"--sint64", "9223372036854775808"}, "--sint64: 9223372036854775808 is out of the range of sint64"},
		{[]string{"--sfixed64", "9223372036854775808"}, "--sfixed64: 9223372036854775808 is out of the range of sfixed64"},
		{[]string{"--uint32", "4294967296"}, "--uint32: 4294967296 is out of the range of uint32"},
		{[]string{"--uint32", "-1"}, `--uint32: "-1" is not a valid uint32`},
		{[]string{"--fixed32", "4294967296"}, "--fixed32: 4294967296 is out of the range of fixed32"},
		{[]string{"--uint64", "18446744073709551616"}, "--uint64: 18446744073709551616 is out of the range of uint64"},
		{[]string{"--fixed64", "18446744073709551616"}, "--fixed64: 18446744073709551616 is out of the range of fixed64"},
		{[]string{"--float", "1e39"}, "--float: 1e39 is out of the range of float"},
		{[]string{"--double", "1e400"}, "--double: 1e400 is out of the range of double"},
		{[]string{"--double", "pi"}, `--double: "pi" is not a valid double`},
		{[]string{"--int32", "x", "--int32", "5"}, `--int32: "x" is not a valid int32`},
		{[]string{"--bytes", "a"}, `--bytes: "a" is not valid base64`},
		{[]string{"--bytes", "+_=="}, `--bytes: "+_==" is not valid base64`},
		{[]string{"--color", "BLUE"}, `--color: "BLUE" is not a value of Color; the values are: COLOR_UNSPECIFIED, RED, GREEN`},
		{[]string{"--color", "red"}, `--color: "red" is not a value of Color; the values are: COLOR_UNSPECIFIED, RED, GREEN`},
		{[]string{"--color", "2147483648"}, `--color: "2147483648" is not a value of Color; the values are: COLOR_UNSPECIFIED, RED, GREEN`},
		{[]string{"--colors", "RED", "--colors", "BLUE"}, `--colors: "BLUE" is not a value of Color; the values are: COLOR_UNSPECIFIED, RED, GREEN`},
		{[]string{"--numbers", "1,2"}, `--numbers: "1,2" is not a valid sint64`},

		{[]string{"--email", "a", "--phone", "5"}, "--email and --phone exclude each other: both set the oneof contact"},
		{[]string{"--visit", "{}", "--phone", "0"}, "--phone and --visit exclude each other: both set the oneof contact"},
		{[]string{"--address", "{}", "--address", "{}"}, "--address: given 2 times, but the field is one message"},

		{[]string{"--when", "tomorrow"}, `--when: invalid google.protobuf.Timestamp value "tomorrow"`},
		{[]string{"--when", "10000-01-01T00:00:00Z"}, `--when: invalid google.protobuf.Timestamp value "10000-01-01T00:00:00Z"`},
		{[]string{"--when", `"tomorrow"`}, `--when: line 1, column 1: invalid google.protobuf.Timestamp value "tomorrow"`},
		{[]string{"--times", "2026-01-02T15:04:05Z", "--times", ""}, `--times: invalid google.protobuf.Timestamp value ""`},
		{[]string{"--lasts", "5"}, `--lasts: invalid google.protobuf.Duration value "5"`},
		{[]string{"--mask", "home_address"}, `--mask: google.protobuf.FieldMask.paths contains invalid path: "home_address"`},
		{[]string{"--wrapped_string", `"a" and "b"`}, `--wrapped_string: line 1, column 5: invalid character 'a' after top-level value`},
		{[]string{"--wrapped_string", "a\xff"}, "--wrapped_string: the text is not valid UTF-8"},
		{[]string{"--wrapped_bytes", "a"}, `--wrapped_bytes: invalid value for bytes field value: "a"`},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			_, err := parseLine(commandOf(descriptorOf(t, "every.proto", "Every")), test.args...)
			if got := fmt.Sprint(err); got != test.want {
				t.Errorf("the error is\n%s, want\n%s", got, test.want)
			}
		})
	}
}

func TestFlagsOfProto2(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string // the request in JSON, or the error
	}{
		{[]string{"--name", ""}, `{"name": ""}`},
		{[]string{"--name", "a", "--number", "7", "--size", "LARGE"}, `{"name": "a", "number": 7, "size": "LARGE"}`},
		{[]string{"--name", "a", "--number", "0", "--size", "1"}, `{"name": "a", "number": 0, "size": "SMALL"}`},
		{[]string{"--name", "a", "--result", `{"url": "x"}`}, `{"name": "a", "result": {"url": "x"}}`},
		{[]string{"--name", "a", "--item", `{"count": 1}`, "--item", `{"count": 0}`}, `{"name": "a", "item": [{"count": 1}, {"count": 0}]}`},
		{[]string{"--number", "1"}, "required field old.Old.name not set"},
		{[]string{"--name", "a", "--part", "{}"}, "required field old.Part.id not set"},
		{[]string{"--name", "a", "--size", "2"}, `--size: "2" is not a value of Size; the values are: SMALL, LARGE`},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			old := descriptorOf(t, "old.proto", "Old")
			got, err := parseLine(commandOf(old), test.args...)
			switch {
			case err != nil && err.Error() != test.want:
				t.Errorf("the error is %q, want %q", err, test.want)
			case err == nil && !proto.Equal(got.request, messageOf(t, old, test.want)):
				t.Errorf("the request is %s, want %s", protojson.Format(got.request), test.want)
			}
		})
	}
}

func TestHelpGoesBeforeWrongValues(t *testing.T) {
	got, err := parseLine(commandOf(descriptorOf(t, "every.proto", "Every")), "--int32", "abc", "--help", "stray")
	if err != nil || !got.help {
		t.Errorf("help is %v, error %v", got, err)
	}
}

func TestBugsOfTheProgramAreReported(t *testing.T) {
	every := descriptorOf(t, "every.proto", "Every")
	with := func(flags ...Flag) Command {
		command := commandOf(every)
		command.Flags = flags
		return command
	}
	tests := map[string]Command{
		`--x is for the field "y", which every.Every does not have`: with(Flag{Name: "x", Field: "y"}),
		`it has --string twice`:             with(Flag{Name: "string", Field: "string"}, Flag{Name: "string", Field: "email"}),
		`"" can't be the name of a flag`:    with(Flag{Field: "string"}),
		`"-x" can't be the name of a flag`:  with(Flag{Name: "-x", Field: "string"}),
		`"x=y" can't be the name of a flag`: with(Flag{Name: "x=y", Field: "string"}),
		`the command has no call`:           {Name: "send"},
	}
	for _, name := range []string{"addr", "timeout", "json", "insecure", "ca", "help", "h"} {
		tests["it has --"+name+" twice"] = with(Flag{Name: name, Field: "string"})
	}
	for want, command := range tests {
		t.Run(want, func(t *testing.T) {
			_, err := parseLine(command)
			if got := fmt.Sprint(err); got != "the program has a bug: "+want {
				t.Errorf("the error is %q", got)
			}
		})
	}
}

// Package flag would panic if a command's field had the name of a general flag that
// is not checked.
func TestGeneralFlagsCannotBeRedefined(t *testing.T) {
	every := descriptorOf(t, "every.proto", "Every")
	for _, event := range []bool{false, true} {
		command := Command{Name: "send", Event: event, Call: commandOf(every).Call}
		for _, name := range command.general() {
			if _, err := parseLine(command, "--"+name); err != nil && strings.Contains(err.Error(), "not defined") {
				t.Errorf("--%s is not defined", name)
			}
		}
		command.Flags = []Flag{{Name: "event-id", Field: "string"}}
		if _, err := parseLine(command, "--event-id=1"); (err != nil) != event {
			t.Errorf("with Event %t, the error of a field's --event-id is %v", event, err)
		}
	}
}

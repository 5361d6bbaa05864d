package cloudevents

import (
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestJSONHasOneForm(t *testing.T) {
	for text, want := range map[string]string{
		` { "b" : [ 1 , 2.50, 1e3 ], "a" : null } `:         `{"a":null,"b":[1,2.50,1e3]}`,
		`"\u003ca\u0026\/\u00e9\ud83d\ude00"`:               `"<a&/é😀"`,
		`123456789012345678901234567890`:                    `123456789012345678901234567890`,
		`[{"z":{},"y":[]},[],"\"\\\n"]`:                     `[{"y":[],"z":{}},[],"\"\\\n"]`,
		`true`:                                              `true`,
		`"\\ud800"`:                                         `"\\ud800"`,
		strings.Repeat("[", 101) + strings.Repeat("]", 101): strings.Repeat("[", 101) + strings.Repeat("]", 101),
	} {
		got, err := JSON([]byte(text))
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
		if again, err := JSON(got); err != nil || string(again) != string(got) {
			t.Errorf("%s: the form of the form is %s, %v", text, again, err)
		}
	}
}

func TestWhatReadersWouldReadDifferentlyIsNoJSON(t *testing.T) {
	for text, want := range map[string]string{
		``:                      "not valid JSON",
		`{} {}`:                 "not valid JSON",
		`{"a":1,"\u0061":2}`:    `"a" twice`,
		`[{"b":{"a":1,"a":1}}]`: `"a" twice`,
		"\"\xff\"":              "UTF-8",
		`"\ud800"`:              `\ud800 is half of a character`,
		`"\udc00"`:              `\udc00 is half of a character`,
		`"\ud800\u0041"`:        `\ud800 is half of a character`,
		`{"\\\ud800":1}`:        `\ud800 is half of a character`,
		strings.Repeat("[", 102) + strings.Repeat("]", 102):           "more than 100 values",
		strings.Repeat(`{"a":`, 101) + "1" + strings.Repeat("}", 101): "more than 100 values",
		strings.Repeat("[", 1<<20):                                    "not valid JSON",
	} {
		if got, err := JSON([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %s, %v; want an error with %q", text, got, err, want)
		}
	}
}

// eventType returns the type of the message of CloudEvents.
func eventType(t *testing.T) protoreflect.MessageType {
	t.Helper()
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		ImportPaths: []string{"../../internal/acceptance/testdata/cloudevents"},
	})}
	files, err := compiler.Compile(t.Context(), "cloudevents.proto")
	if err != nil {
		t.Fatal(err)
	}
	return dynamicpb.NewMessageType(files[0].Messages().ByName("CloudEvent"))
}

// TestCanonical gives events of several senders their form.
func TestCanonical(t *testing.T) {
	events := eventType(t)
	typed := func(name, contentType, data string) string {
		return name + ` attributes { key: "datacontenttype" value { ce_string: "` + contentType + `" } } ` + data
	}
	for name, test := range map[string]struct{ given, want string }{
		"its version":           {`id: "1"`, `id: "1" spec_version: "1.0"`},
		"another version stays": {`spec_version: "0.3"`, `spec_version: "0.3"`},
		"attributes are text": {
			`spec_version: "1.0" attributes { key: "a" value { ce_boolean: true } } attributes { key: "b" value { ce_integer: -7 } }
			attributes { key: "c" value { ce_bytes: "\xff\x00" } } attributes { key: "d" value { ce_uri_ref: "/x" } }
			attributes { key: "e" value { ce_timestamp { seconds: 1 nanos: 500000000 } } } attributes { key: "f" value { ce_boolean: false } }`,
			`spec_version: "1.0" attributes { key: "a" value { ce_string: "true" } } attributes { key: "b" value { ce_string: "-7" } }
			attributes { key: "c" value { ce_string: "/wA=" } } attributes { key: "d" value { ce_string: "/x" } }
			attributes { key: "e" value { ce_string: "1970-01-01T00:00:01.5Z" } } attributes { key: "f" value { ce_string: "false" } }`,
		},
		"a time is a timestamp": {
			`spec_version: "1.0" attributes { key: "time" value { ce_string: "1970-01-01T01:00:01+01:00" } }`,
			`spec_version: "1.0" attributes { key: "time" value { ce_timestamp { seconds: 1 } } }`,
		},
		"a time that is none stays": {
			`spec_version: "1.0" attributes { key: "time" value { ce_string: "noon" } }`,
			`spec_version: "1.0" attributes { key: "time" value { ce_string: "noon" } }`,
		},
		"a schema is a URI": {
			`spec_version: "1.0" attributes { key: "dataschema" value { ce_string: "/x" } } attributes { key: "none" value { } }`,
			`spec_version: "1.0" attributes { key: "dataschema" value { ce_uri: "/x" } } attributes { key: "none" value { } }`,
		},
		"JSON is text in one form": {
			typed(`spec_version: "1.0"`, "application/vnd.a+json; x=y", `binary_data: '{"b": 1, "a":"\\u003c"}'`),
			typed(`spec_version: "1.0"`, "application/vnd.a+json; x=y", `text_data: '{"a":"<","b":1}'`),
		},
		"what is not JSON stays": {
			typed(`spec_version: "1.0"`, "application/json", `text_data: '{'`),
			typed(`spec_version: "1.0"`, "application/json", `text_data: '{'`),
		},
		"text is text":            {typed(`spec_version: "1.0"`, "text/plain", `binary_data: "é "`), typed(`spec_version: "1.0"`, "text/plain", `text_data: "é "`)},
		"XML is text":             {typed(`spec_version: "1.0"`, "application/xml", `binary_data: "<a/>"`), typed(`spec_version: "1.0"`, "application/xml", `text_data: "<a/>"`)},
		"text that is not UTF-8":  {typed(`spec_version: "1.0"`, "text/plain", `binary_data: "\xff"`), typed(`spec_version: "1.0"`, "text/plain", `binary_data: "\xff"`)},
		"an image is binary":      {typed(`spec_version: "1.0"`, "image/png", `text_data: "x"`), typed(`spec_version: "1.0"`, "image/png", `binary_data: "x"`)},
		"without a type it stays": {`spec_version: "1.0" text_data: "x"`, `spec_version: "1.0" text_data: "x"`},
		"empty data is none":      {typed(`spec_version: "1.0"`, "text/plain", `binary_data: ""`), typed(`spec_version: "1.0"`, "text/plain", ``)},
		"nor without a type":      {`spec_version: "1.0" text_data: ""`, `spec_version: "1.0"`},
		"a message": {
			typed(`spec_version: "1.0" attributes { key: "dataschema" value { ce_uri: "a.b/M" } }`, "application/protobuf", `binary_data: "x"`),
			typed(`spec_version: "1.0" attributes { key: "dataschema" value { ce_uri: "a.b/M" } }`, "application/protobuf", `proto_data { type_url: "a.b/M" value: "x" }`),
		},
		"a message that is one": {
			typed(`spec_version: "1.0"`, "application/protobuf", `proto_data { type_url: "a.b/M" value: "" }`),
			typed(`spec_version: "1.0"`, "application/protobuf", `proto_data { type_url: "a.b/M" value: "" }`),
		},
	} {
		parse := func(text string) proto.Message {
			event := events.New().Interface()
			if err := prototext.Unmarshal([]byte(text), event); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return event
		}
		given, want := parse(test.given), parse(test.want)
		before := proto.CloneOf(given)
		got := Canonical([]proto.Message{given})[0]
		if !proto.Equal(got, want) {
			t.Errorf("%s: it is\n%v, want\n%v", name, got, want)
		}
		if !proto.Equal(given, before) {
			t.Errorf("%s: what was given has become %v", name, given)
		}
		if again := Canonical([]proto.Message{got})[0]; !proto.Equal(again, got) {
			t.Errorf("%s: the form of the form is %v", name, again)
		}
	}
}

// TestOtherMessagesStayWhatTheyAre gives messages that are not CloudEvents, or none.
func TestOtherMessagesStayWhatTheyAre(t *testing.T) {
	other := wrapperspb.String("x")
	if got := Canonical([]proto.Message{other}); !proto.Equal(got[0], wrapperspb.String("x")) {
		t.Errorf("it has become %v", got[0])
	}
	if got := Canonical([]*wrapperspb.StringValue{nil}); len(got) != 1 || got[0] != nil {
		t.Errorf("nil has become %v", got)
	}
}

package command

import (
	"encoding/base64"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func TestReplies(t *testing.T) {
	for _, test := range []struct {
		file    string
		message protoreflect.Name
		reply   string
		text    string
		json    string
	}{
		{"receiver.proto", "Reply", `{"message": "Hello, jerry!"}`,
			"client status: 0 received: Hello, jerry!\n", `{"status":0,"message":"Hello, jerry!"}` + "\n"},
		{"receiver.proto", "Reply", `{"status": -3, "message": "no <b>\n"}`,
			"client status: -3 received: no <b>\\n\n", `{"status":-3,"message":"no <b>\n"}` + "\n"},
		{"receiver.proto", "Reply", `{"message": "x\nclient status: 0 received: Hello, forged!\u001b]0;t\u0007\u009b2J\u202e"}`,
			`client status: 0 received: x\nclient status: 0 received: Hello, forged!\x1b]0;t\a\u009b2J\u202e` + "\n",
			`{"status":0,"message":"x\nclient status: 0 received: Hello, forged!\u001b]0;t\u0007\u009b2J\u202e"}` + "\n"},
		{"replies.proto", "Unsigned", `{"status": "18446744073709551615", "message": "full"}`,
			"client status: 18446744073709551615 received: full\n", `{"status":"18446744073709551615","message":"full","more":[]}` + "\n"},
		{"replies.proto", "StatusAlone", `{"status": 1}`, "{\n  \"status\": 1\n}\n", "{\"status\":1}\n"},
		{"replies.proto", "MessageAlone", `{"message": "a"}`, "{\n  \"message\": \"a\"\n}\n", "{\"message\":\"a\"}\n"},
		{"replies.proto", "StatusIsText", `{"status": "a"}`, "{\n  \"status\": \"a\",\n  \"message\": \"\"\n}\n", `{"status":"a","message":""}` + "\n"},
		{"replies.proto", "StatusIsEnum", `{}`, "{\n  \"status\": \"OK\",\n  \"message\": \"\"\n}\n", `{"status":"OK","message":""}` + "\n"},
		{"replies.proto", "StatusIsRepeated", `{"status": [1]}`, "{\n  \"status\": [\n    1\n  ],\n  \"message\": \"\"\n}\n", `{"status":[1],"message":""}` + "\n"},
		{"replies.proto", "MessageIsRepeated", `{}`, "{\n  \"status\": 0,\n  \"message\": []\n}\n", `{"status":0,"message":[]}` + "\n"},
		{"replies.proto", "MessageIsBytes", `{}`, "{\n  \"status\": 0,\n  \"message\": \"\"\n}\n", `{"status":0,"message":""}` + "\n"},
		{"replies.proto", "Nothing", `{}`, "{}\n", "{}\n"},
		{"old.proto", "Part", `{}`, "{}\n", "{}\n"},
	} {
		t.Run(string(test.message)+" "+test.reply, func(t *testing.T) {
			reply := messageOf(t, descriptorOf(t, test.file, test.message), test.reply)
			for oneLine, want := range map[bool]string{false: test.text, true: test.json} {
				if got, err := format(reply, oneLine, oneLine); got != want || err != nil {
					t.Errorf("in one line: %v: %q, error %v, want %q", oneLine, got, err, want)
				}
			}
		})
	}
}

func TestAReplyThatHasNoJSONIsShownRaw(t *testing.T) {
	every := descriptorOf(t, "every.proto", "Every")
	reply := messageOf(t, every, "{}")
	reply.ProtoReflect().Mutable(every.Fields().ByName("value")) // a Value that holds nothing
	data, err := proto.Marshal(reply)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"every.Every","data_base64":"` + base64.StdEncoding.EncodeToString(data) +
		`","error":"google.protobuf.Value: none of the oneof fields is set"}` + "\n"
	for _, asJSON := range []bool{false, true} {
		if text, err := format(reply, asJSON, asJSON); text != want || err != nil {
			t.Errorf("%q, error %v, want %q", text, err, want)
		}
	}
}

func TestARawReplyHasItsPosition(t *testing.T) {
	wrapper := descriptorOf(t, "replies.proto", "Followed")
	reply := messageOf(t, wrapper, `{"position": "17"}`)
	event := reply.ProtoReflect().Mutable(wrapper.Fields().ByName("event")).Message()
	event.Set(event.Descriptor().Fields().ByName("type_url"), protoreflect.ValueOfString("no slash"))
	text, err := format(reply, true, true)
	if want := `{"position":17,"type":"replies.Followed","data_base64":"CBESCgoIbm8gc2xhc2g=","error":"google.protobuf.Any: unable to resolve \"no slash\": not found"}` + "\n"; text != want || err != nil {
		t.Errorf("%s, error %v, want\n%s", text, err, want)
	}
}

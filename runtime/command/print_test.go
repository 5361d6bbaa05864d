package command

import (
	"testing"

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
			"client status: -3 received: no <b>\n\n", `{"status":-3,"message":"no <b>\n"}` + "\n"},
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

func TestReplyThatHasNoJSON(t *testing.T) {
	every := descriptorOf(t, "every.proto", "Every")
	reply := messageOf(t, every, "{}")
	reply.ProtoReflect().Mutable(every.Fields().ByName("value")) // a Value that holds nothing
	const want = "the reply can't be printed as JSON: google.protobuf.Value: none of the oneof fields is set"
	if text, err := format(reply, true, true); text != "" || err == nil || err.Error() != want {
		t.Errorf("%q, error %v", text, err)
	}
}

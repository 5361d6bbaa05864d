package model_test

import (
	"strings"
	"testing"
)

// TestMisspeltComments has a comment above an rpc, and what is reported about it.
func TestMisspeltComments(t *testing.T) {
	for comment, meant := range map[string]string{
		"reciever:event":        "event",
		"receiver: event":       "event",
		"receiver : event":      "event",
		"reveiver:tail":         "tail",
		"recever:plain":         "plain",
		"recievr:evnt":          "event",
		"Receiver:Event":        "event",
		"RECEIVER:EVENT":        "event",
		"receiver-event":        "event",
		"receiver.tail":         "tail",
		"receiver=event":        "event",
		"@receiver:event":       "event",
		"`receiver:event`":      "event",
		"- receiver:event":      "event",
		"receiver: evnt":        "event",
		"receive:event":         "event",
		"receiver: source = id": "source=id",
		"reciever:time=MS":      "time=ms",
	} {
		_, err := build(t, "service Shop {\n  // Does it.\n  // "+comment+"\n  rpc Do(Reading) returns (Reply);\n}", "", nil)
		want := "shop.proto:12:3: the comment " + comment + " on rpc Do is misspelt: write receiver:" + meant
		if got := strings.Join(errorsOf(err), "\n"); got != want {
			t.Errorf("the error is\n%s, want\n%s", got, want)
		}
	}
}

// TestSeveralInOneLine: behind a field there is one line for all of its roles.
func TestSeveralInOneLine(t *testing.T) {
	const event = "message TookEvent {\n  string event_type = 1;\n  string sensor = 2; // receiver:source receiver:subject\n}\n"
	module, err := build(t, event+"service Shop { rpc Do(TookEvent) returns (Reply); }", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	took := module.EventTypes()[0]
	if took.Source == nil || took.Subject == nil || took.Source.ProtoName != "sensor" || took.Subject.ProtoName != "sensor" {
		t.Errorf("the source is %v, and the subject %v", took.Source, took.Subject)
	}
	_, err = build(t, strings.Replace(event, "receiver:subject", "receiver:sbject", 1)+"service Shop { rpc Do(TookEvent) returns (Reply); }", "", nil)
	if got := strings.Join(errorsOf(err), "\n"); !strings.Contains(got, "receiver:sbject is unknown on field sensor: did you mean receiver:subject?") {
		t.Errorf("the error is %s", got)
	}
}

// TestProseIsNoComment has lines that are about receivers, and not meant for the
// plugin. They remain in the doc.
func TestProseIsNoComment(t *testing.T) {
	for _, prose := range []string{
		"the receiver: event handlers are called in order",
		"receiver: event handlers are called in order",
		"Receiver: the one who gets the event.",
		"receiver:",
		"receiver",
		"Receives: events",
		"Received: time",
		"received-event",
		"receivers: source",
		"receiver_id",
		"receiver.id",
		"receiver-type",
		"sender:event",
		"reviewer:tail",
		"deliver:event",
		"receiver: alice",
		"receiver: event, time",
		"https://receiver:8080/event",
		"the event receiver:event",
	} {
		module, err := build(t, "service Shop {\n  // "+prose+"\n  rpc Do(Reading) returns (Reply);\n}", "", nil)
		if err != nil {
			t.Errorf("%q is refused: %v", prose, err)
			continue
		}
		if got := module.Services()[0].Methods[0].Doc; got != prose {
			t.Errorf("the doc of %q is %q", prose, got)
		}
	}
}

// TestCommentsAtWrongPlaces has right words where they have no meaning.
func TestCommentsAtWrongPlaces(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"a service":             {"// receiver:event\nservice Shop { rpc Do(Reading) returns (Reply); }", "shop.proto:10:1: the comment receiver:event has no meaning on service Shop: write it above a message or an rpc"},
		"a service's brace":     {"service Shop { // receiver:event\n  rpc Do(Reading) returns (Reply); }", "shop.proto:9:1: the comment receiver:event has no meaning on service Shop: write it above a message or an rpc"},
		"a field":               {"message R {\n  // receiver:event\n  string a = 1;\n}", "shop.proto:11:3: the comment receiver:event has no meaning on field a: write it above message R (shop.proto:9:1)"},
		"behind a field":        {"message R {\n  string a = 1; // receiver:plain\n}", "shop.proto:10:3: the comment receiver:plain has no meaning on field a: write it above message R (shop.proto:9:1)"},
		"a role on a message":   {"// receiver:source\nmessage R { string source = 1; }", "shop.proto:10:1: the comment receiver:source has no meaning on message R: write it above a field of a message"},
		"a tail on a message":   {"// receiver:tail\nmessage R { string source = 1; }", "shop.proto:10:1: the comment receiver:tail has no meaning on message R: write it above an rpc"},
		"a role on an rpc":      {"service Shop {\n  // receiver:source\n  rpc Do(Reading) returns (Reply); }", "shop.proto:11:3: the comment receiver:source has no meaning on rpc Do: above an rpc it names a field of the event, as in receiver:source=FIELD"},
		"an enum":               {"// receiver:event\nenum E { NONE = 0; }", "shop.proto:10:1: the comment receiver:event has no meaning on an enum: write it above a message or an rpc"},
		"an enum value":         {"enum E {\n  NONE = 0; // receiver:type\n}", "shop.proto:10:3: the comment receiver:type has no meaning on an enum value: write it above a field of a message"},
		"a oneof":               {"message R {\n  // receiver:data\n  oneof one { string a = 1; }\n}", "shop.proto:11:3: the comment receiver:data has no meaning on a oneof: write it above a field of a message"},
		"an import":             {"// receiver:event\nimport \"google/protobuf/any.proto\";", "shop.proto:10:1: the comment receiver:event has no meaning on an import: write it above a message or an rpc"},
		"an option":             {"// receiver:event\noption java_package = \"x\";", "shop.proto:10:1: the comment receiver:event has no meaning on an option: write it above a message or an rpc"},
		"an rpc's option":       {"service Shop {\n  rpc Do(Reading) returns (Reply) {\n    // receiver:event\n    option deprecated = true;\n  }\n}", "shop.proto:12:5: the comment receiver:event has no meaning on an option: write it above a message or an rpc"},
		"a blank line":          {"service Shop {\n  rpc Other(Reply) returns (Reply);\n\n  // receiver:event\n\n  // Does it.\n  rpc Do(Reading) returns (Reply);\n}", "shop.proto:15:3: the comment receiver:event is not directly above rpc Do: write it on the line before, without a blank line between them"},
		"a blank line, missp.":  {"// reciever:event\n\nmessage R {}", "shop.proto:11:1: the comment reciever:event is not directly above message R: write it on the line before, without a blank line between them"},
		"misspelt on an enum":   {"// reciever:event\nenum E { NONE = 0; }", "shop.proto:10:1: the comment reciever:event on an enum is misspelt: write receiver:event"},
		"a nested field":        {"message R { message S {\n  string a = 1; // reciever:source\n} }", "shop.proto:10:3: the comment reciever:source on field a is misspelt: write receiver:source"},
		"another value":         {"message R {\n  string a = 1; // receiver:source=a\n}", "shop.proto:10:3: the comment receiver:source=a has no meaning on field a: write it above an rpc"},
		"a tail that says more": {"service Shop {\n  // receiver:tail=x\n  rpc Do(Reading) returns (Reply); }", "shop.proto:11:3: the comment receiver:tail=x is unknown on rpc Do: did you mean receiver:tail?"},
		"one of several":        {"message R {\n  string a = 1; // receiver:source receiver:tail\n}", "shop.proto:10:3: the comment receiver:tail has no meaning on field a: write it above an rpc"},
		"a field that is not":   {"service Shop {\n  // receiver:event=reading\n  rpc Do(Reading) returns (Reply); }", "shop.proto:11:3: the comment receiver:event=reading of rpc Do: message Reading has no field reading that is a message or a list of messages"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := build(t, test.text, "", nil)
			if got := strings.Join(errorsOf(err), "\n"); got != test.want {
				t.Errorf("the error is\n%s, want\n%s", got, test.want)
			}
		})
	}
}

package model_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/compiler/protogen"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// build makes the model of a module from the proto shop.proto, which has the given
// text after its head, and from others by their names. comments is the text of
// the file of the option of that name.
func build(t *testing.T, text, comments string, others map[string]string) (*model.Module, error) {
	t.Helper()
	dir := t.TempDir()
	all := map[string]string{"shop.proto": head + text}
	for name, text := range others {
		all[name] = text
	}
	for name, text := range all {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	request, err := compile.Request(context.Background(), []string{dir}, []string{"shop.proto"})
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := protogen.Options{}.New(request)
	if err != nil {
		t.Fatal(err)
	}
	marks, err := model.ParseMarks("events.txt", comments)
	if err != nil {
		return nil, err
	}
	return model.Build(model.Module{Path: "example.com/shop"}, plugin, model.EventsAuto, marks...)
}

// head is what shop.proto begins with: eight lines.
const head = `syntax = "proto3";
package shop.v1;
import "google/protobuf/timestamp.proto";
option go_package = "example.com/shop/gen/shopv1";
message Reply {}
message ClickEvent { string event_type = 1; string user_id = 2; google.protobuf.Timestamp event_time = 3; }
message Reading { string sensor_id = 1; double celsius = 2; google.protobuf.Timestamp taken_at = 3; }

`

// mustBuild is build for what is right.
func mustBuild(t *testing.T, text, comments string, others map[string]string) *model.Module {
	t.Helper()
	module, err := build(t, text, comments, others)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// read returns how an RPC is read: its kind, its event with the field that holds it,
// and the event's roles with the Go expressions for them.
func read(method *model.Method) string {
	if method.Event == nil {
		return string(method.Kind)
	}
	text := string(method.Kind) + " " + method.Event.Name
	if method.Holder != nil {
		text += " in " + method.Holder.ProtoName
	}
	for _, one := range []struct {
		name string
		role *model.Role
	}{{"id", method.Event.ID}, {"source", method.Event.Source}, {"type", method.Event.Type}, {"subject", method.Event.Subject}} {
		if one.role != nil {
			text += fmt.Sprintf(" %s=%s:%s", one.name, one.role.Path(), one.role.Expr("m"))
		}
	}
	if time := method.Event.Time; time != nil {
		text += fmt.Sprintf(" time=%s:%s%s", time.Path(), time.Get("m"), strings.Replace(time.Unit, "time.", "*", 1))
	}
	return text
}

const clickRoles = " type=event_type:m.GetEventType() subject=user_id:m.GetUserId() time=event_time:m.GetEventTime()"

const heldClick = " type=click.event_type:m.GetClick().GetEventType() subject=click.user_id:m.GetClick().GetUserId() time=click.event_time:m.GetClick().GetEventTime()"

// TestWhatAnRPCTakes has one RPC, called Do unless rpc is given, whose comment and
// request are as given.
func TestWhatAnRPCTakes(t *testing.T) {
	for name, test := range map[string]struct {
		comment, rpc, request, comments, want string
	}{
		"an event": {request: "ClickEvent", want: "unary-event ClickEvent" + clickRoles},
		"a request that holds nothing else": {request: "R; message R { ClickEvent click = 1; }",
			want: "unary-event ClickEvent in click" + clickRoles},
		"many, and nothing else": {request: "R; message R { repeated ClickEvent clicks = 1; }",
			want: "unary-batch ClickEvent in clicks" + clickRoles},
		"fields beside an event would be lost": {request: "R; message R { string parent = 1; ClickEvent click = 2; }",
			want: "unary"},
		"also beside many": {request: "R; message R { string parent = 1; repeated ClickEvent clicks = 2; }",
			want: "unary"},
		"also other messages": {request: "R; message R { ClickEvent click = 1; Reading reading = 2; }",
			want: "unary"},
		"a map is not a holder": {request: "R; message R { map<string, ClickEvent> clicks = 1; }",
			want: "unary"},
		"a member of a oneof is not a holder": {request: "R; message R { oneof one { ClickEvent click = 1; } }",
			want: "unary"},
		"marked, the whole request is stored": {comment: "receiver:event", request: "R; message R { string tenant = 1; ClickEvent click = 2; }",
			want: "unary-event R source=tenant:m.GetTenant()" + heldClick},
		"marked, the whole batch is stored": {comment: "receiver:event", request: "R; message R { string tenant = 1; repeated ClickEvent clicks = 2; }",
			want: "unary-event R source=tenant:m.GetTenant()"},
		"marked, a request without more is the event that it holds": {comment: "receiver:event", request: "R; message R { ClickEvent click = 1; }",
			want: "unary-event ClickEvent in click" + clickRoles},
		"a field is named": {comment: "receiver:event=click", request: "R; message R { string parent = 1; ClickEvent click = 2; Reading reading = 3; }",
			want: "unary-event ClickEvent in click" + clickRoles},
		"a field of many is named": {comment: "receiver:event=readings", request: "R; message R { string parent = 1; repeated Reading readings = 2; }",
			want: "unary-batch Reading in readings"},
		"a member of a oneof is named": {comment: "receiver:event=click", request: "R; message R { oneof one { ClickEvent click = 1; Reading reading = 2; } }",
			want: "unary-event ClickEvent in click" + clickRoles},
		"roles by the rpc": {comment: "receiver:event\n  // receiver:source=sensor_id\n  // receiver:subject=sensor_id\n  // receiver:time=taken_at", request: "Reading",
			want: "unary-event Reading source=sensor_id:m.GetSensorId() subject=sensor_id:m.GetSensorId() time=taken_at:m.GetTakenAt()"},
		"a time with its unit by the rpc": {comment: "receiver:event\n  // receiver:time=at:ms", request: "R; message R { int64 at = 1; }",
			want: "unary-event R time=at:m.GetAt()*Millisecond"},
		"a role of a held field by the rpc": {comment: "receiver:event\n  // receiver:source=user_id", request: "R; message R { string parent = 1; ClickEvent click = 2; }",
			want: "unary-event R source=click.user_id:m.GetClick().GetUserId() type=click.event_type:m.GetClick().GetEventType() time=click.event_time:m.GetClick().GetEventTime()"},
		"a role taken away by the rpc": {comment: "receiver:none=user_id", request: "ClickEvent",
			want: "unary-event ClickEvent type=event_type:m.GetEventType() time=event_time:m.GetEventTime()"},
		"source and subject in one field": {comment: "receiver:event", request: "R; message R {\n  // receiver:source\n  // receiver:subject\n  string device = 1; }",
			want: "unary-event R source=device:m.GetDevice() subject=device:m.GetDevice()"},
		"source and subject in one line": {comment: "receiver:event", request: "R; message R { string device = 1; // receiver:source receiver:subject\n }",
			want: "unary-event R source=device:m.GetDevice() subject=device:m.GetDevice()"},
		"id of a marked message": {comment: "receiver:event", request: "R; message R { string id = 1; }",
			want: "unary-event R id=id:m.GetId()"},
		"id of a message that is an event by its name": {request: "AEvent; message AEvent { string id = 1; string type = 2; string source = 3; }",
			want: "unary-event AEvent source=source:m.GetSource() type=type:m.GetType()"},
		"event_id is before id": {comment: "receiver:event", request: "R; message R { string id = 1; string event_id = 2; }",
			want: "unary-event R id=event_id:m.GetEventId()"},
		"id of an event by its name, in a marked request": {comment: "receiver:event", request: "R; message R { AEvent inner = 1; } message AEvent { string id = 1; string type = 2; string source = 3; }",
			want: "unary-event AEvent in inner source=source:m.GetSource() type=type:m.GetType()"},
		"no id": {comment: "receiver:event", request: "R; message R { string id = 1; // receiver:none\n }",
			want: "unary-event R"},
		"a number is not an id by its name": {comment: "receiver:event", request: "R; message R { int64 id = 1; }",
			want: "unary-event R"},
		"by the file, a message": {request: "Reading", comments: "shop.v1.Reading receiver:event # of the meters\n\nshop.v1.Reading.sensor_id receiver:source receiver:subject\r\n",
			want: "unary-event Reading source=sensor_id:m.GetSensorId() subject=sensor_id:m.GetSensorId()"},
		"by the file, a nested message": {request: "R; message R { message Inner { int64 at = 1; } repeated Inner all = 1; }",
			comments: "shop.v1.R.Inner receiver:event\nshop.v1.R.Inner.at receiver:time=us",
			want:     "unary-batch R_Inner in all time=at:m.GetAt()*Microsecond"},
		"by the file, an rpc":                       {request: "Reading", comments: "shop.v1.Shop.Do receiver:event receiver:type=sensor_id", want: "unary-event Reading type=sensor_id:m.GetSensorId()"},
		"by the file, not an event":                 {request: "ClickEvent", comments: "shop.v1.ClickEvent receiver:plain", want: "unary"},
		"the file repeats a comment":                {comment: "receiver:event", request: "Reading", comments: "shop.v1.Shop.Do receiver:event", want: "unary-event Reading"},
		"a verb and an enum":                        {rpc: "ReportState", request: "StateEvent; message StateEvent { Type type = 1; } enum Type { NONE = 0; }", want: "unary-event StateEvent type=type:m.GetType().String()"},
		"a verb and a time":                         {rpc: "IngestStates", request: "R; message R { repeated StateEvent states = 1; } message StateEvent { google.protobuf.Timestamp begun = 1; }", want: "unary-batch StateEvent in states"},
		"a verb alone":                              {rpc: "ReportState", request: "StateEvent; message StateEvent { string name = 1; }", want: "unary"},
		"a verb, and a name that is not an event's": {rpc: "ReportState", request: "Reading", want: "unary"},
		"no verb":              {rpc: "CreateState", request: "StateEvent; message StateEvent { Type type = 1; } enum Type { NONE = 0; }", want: "unary"},
		"a word like a verb":   {rpc: "Sender", request: "StateEvent; message StateEvent { Type type = 1; } enum Type { NONE = 0; }", want: "unary"},
		"a message in itself":  {comment: "receiver:event", request: "R; message R { R inner = 1; string tenant = 2; }", want: "unary-event R source=tenant:m.GetTenant()"},
		"a marked one, itself": {request: "R;\n// receiver:event\nmessage R { R inner = 1; string tenant = 2; }", want: "unary-event R source=tenant:m.GetTenant()"},
	} {
		t.Run(name, func(t *testing.T) {
			request, messages, _ := strings.Cut(test.request, ";")
			rpc := test.rpc
			if rpc == "" {
				rpc = "Do"
			}
			text := fmt.Sprintf("service Shop {\n  // %s\n  rpc %s(%s) returns (Reply);\n}\n%s", test.comment, rpc, request, messages)
			module := mustBuild(t, text, test.comments, nil)
			if got := read(module.Services()[0].Methods[0]); got != test.want {
				t.Errorf("it is read as\n%s, want\n%s", got, test.want)
			}
		})
	}
}

// The id of a message that an rpc marks does not depend on which rpc comes first.
func TestAMarkedMessageHasOneIdentity(t *testing.T) {
	const plain, marked = "rpc A(AEvent) returns (Reply);", "// receiver:event\n  rpc B(AEvent) returns (Reply);"
	for _, text := range []string{plain + "\n  " + marked, marked + "\n  " + plain} {
		module := mustBuild(t, "service Shop {\n  "+text+"\n}\nmessage AEvent { string id = 1; string type = 2; string source = 3; }", "", nil)
		for _, method := range module.Services()[0].Methods {
			if method.Event.ID == nil || method.Event.ID.ProtoName != "id" {
				t.Errorf("in\n%s\n%s takes an event without its id", text, method.Name)
			}
		}
	}
}

const cloudEvents = `syntax = "proto3";
package io.cloudevents.v1;
import "google/protobuf/any.proto";
import "google/protobuf/timestamp.proto";
option go_package = "example.com/shop/gen/cloudeventspb";
message CloudEvent {
  string id = 1;
  string source = 2;
  string spec_version = 3;
  string type = 4;
  map<string, CloudEventAttributeValue> attributes = 5;
  oneof data {
    bytes binary_data = 6;
    string text_data = 7;
    google.protobuf.Any proto_data = 8;
  }
  message CloudEventAttributeValue {
    oneof attr {
      bool ce_boolean = 1;
      int32 ce_integer = 2;
      string ce_string = 3;
      bytes ce_bytes = 4;
      string ce_uri = 5;
      string ce_uri_ref = 6;
      google.protobuf.Timestamp ce_timestamp = 7;
    }
  }
}
message CloudEventBatch { repeated CloudEvent events = 1; }
`

// A CloudEvent is known by its full name, in every shape, without a comment.
func TestCloudEvents(t *testing.T) {
	const roles = ` id=id:m.GetId() source=source:m.GetSource() type=type:m.GetType()` +
		` subject=attributes["subject"].ce_string:m.GetAttributes()["subject"].GetCeString()` +
		` time=attributes["time"].ce_timestamp:m.GetAttributes()["time"].GetCeTimestamp()`
	module := mustBuild(t, `import "cloudevents.proto";
service Shop {
  rpc One(io.cloudevents.v1.CloudEvent) returns (Reply);
  rpc Held(R) returns (Reply);
  rpc Batch(io.cloudevents.v1.CloudEventBatch) returns (Reply);
  rpc Upload(stream io.cloudevents.v1.CloudEvent) returns (Reply);
  // receiver:tail
  rpc Follow(Reply) returns (stream io.cloudevents.v1.CloudEvent);
  // receiver:plain
  rpc Other(io.cloudevents.v1.CloudEvent) returns (Reply);
}
message R { io.cloudevents.v1.CloudEvent event = 1; }`, "", map[string]string{"cloudevents.proto": cloudEvents})
	for i, want := range []string{"unary-event CloudEvent" + roles, "unary-event CloudEvent in event" + roles, "unary-batch CloudEvent in events" + roles,
		"client-stream-event CloudEvent" + roles, "tail CloudEvent" + roles, "unary"} {
		if got := read(module.Services()[0].Methods[i]); got != want {
			t.Errorf("it is read as\n%s, want\n%s", got, want)
		}
	}
	event := module.Services()[0].Methods[0].Event
	if got, want := event.Unique(), "io.cloudevents.v1.CloudEvent.id"; got != want {
		t.Errorf("it is identified by %q, want %q", got, want)
	}
	module = mustBuild(t, "import \"cloudevents.proto\";\nservice Shop { rpc One(io.cloudevents.v1.CloudEvent) returns (Reply); }",
		"io.cloudevents.v1.CloudEvent receiver:plain", map[string]string{"cloudevents.proto": cloudEvents})
	if got := read(module.Services()[0].Methods[0]); got != "unary" {
		t.Errorf("marked as plain it is read as %s", got)
	}
	// A message of that name that is something else is read as any other.
	module = mustBuild(t, "import \"cloudevents.proto\";\nservice Shop { rpc One(io.cloudevents.v1.CloudEvent) returns (Reply); }",
		"", map[string]string{"cloudevents.proto": strings.Replace(cloudEvents, "string ce_string", "bytes ce_string", 1)})
	if got, want := read(module.Services()[0].Methods[0]), "unary-event CloudEvent source=source:m.GetSource() type=type:m.GetType()"; got != want {
		t.Errorf("another message of its name is read as %s, want %s", got, want)
	}
}

// TestWhereACloudEventGoes has messages, and which of their fields get its attributes.
func TestWhereACloudEventGoes(t *testing.T) {
	for text, want := range map[string]string{
		`service Shop { rpc Do(SoldEvent) returns (Reply); }
message SoldEvent { string event_id = 1; string app_id = 2; string event_type = 3; string subject = 4; google.protobuf.Timestamp event_time = 5; bytes payload = 6; }`: `ID: "event_id", Source: "app_id", Type: "event_type", Subject: "subject", Time: "event_time", Data: "payload"`,
		`service Shop { rpc Do(stream Held) returns (Reply); }
message Held { repeated SoldEvent sold = 1; }
message SoldEvent { string source = 1; string type = 2; int64 time_ms = 3; map<string, string> attributes = 4; map<string, string> labels = 5; }`: `Holder: "sold", Source: "source", Type: "type", Time: "time_ms", Unit: time.Millisecond, Attributes: "attributes"`,
		`service Shop { rpc Do(SoldEvent) returns (Reply); }
message SoldEvent { string source = 1; string type = 2; map<string, int32> extensions = 4; repeated string attributes = 5; }`: `Source: "source", Type: "type"`,
		`service Shop { 
  // receiver:event
  rpc Do(Sold) returns (Reply); }
message Sold { ClickEvent click = 1; string source = 2; }`: `Source: "source", Type: "click.event_type", Subject: "click.user_id", Time: "click.event_time"`,
		`import "cloudevents.proto";
service Shop { rpc Do(io.cloudevents.v1.CloudEventBatch) returns (Reply); }`: `Holder: "events", ID: "id", Source: "source", Type: "type"`,
	} {
		method := mustBuild(t, text, "", map[string]string{"cloudevents.proto": cloudEvents}).Services()[0].Methods[0]
		if got := strings.Join(method.Attributes(), ", "); got != want {
			t.Errorf("%s\nhas them in %s, want %s", text, got, want)
		}
		if got, want := method.Event.InOneForm(), strings.Contains(text, "io.cloudevents"); got != want {
			t.Errorf("%s\nits events are in one form: %v, want %v", text, got, want)
		}
	}
}

// errorsOf returns the lines of an error.
func errorsOf(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

// TestTheFileOfCommentsIsChecked has the files that are wrong, and what is reported.
func TestTheFileOfCommentsIsChecked(t *testing.T) {
	const text = "service Shop {\n  // receiver:plain\n  rpc Do(R) returns (Reply);\n  rpc Other(Reading) returns (Reply);\n}\nmessage R { string tenant = 1; string name = 2; Kind kind = 3; }\nenum Kind { NONE = 0; }\n"
	for name, test := range map[string]struct{ comments, want string }{
		"unknown":               {"shop.v1.Raeding receiver:event", "events.txt:1:1: there is no shop.v1.Raeding in these protos: did you mean shop.v1.Reading?"},
		"no package":            {"Reading receiver:event", "events.txt:1:1: there is no Reading in these protos: did you mean shop.v1.Reading?"},
		"unknown altogether":    {"acme.Cart receiver:event", "events.txt:1:1: there is no acme.Cart in these protos: give its full name"},
		"misspelt":              {"shop.v1.Reading reciever:event", "events.txt:1:1: reciever:event is misspelt: write receiver:event"},
		"unknown word":          {"shop.v1.Reading receiver:evnt", "events.txt:1:1: receiver:evnt is unknown on message Reading: did you mean receiver:event?"},
		"another kind's word":   {"shop.v1.Reading.celsius receiver:event", "events.txt:1:1: receiver:event has no meaning on field celsius: write it above a message or an rpc"},
		"a kind without any":    {"shop.v1.Kind receiver:event", "events.txt:1:1: receiver:event has no meaning on enum Kind: write it above a message or an rpc"},
		"no word":               {"\n# x\nshop.v1.Reading", "events.txt:3:1: want the full name of a message, a field or an rpc, and then what it is, as in shop.v1.Order receiver:event"},
		"prose":                 {"shop.v1.Reading is an event", "events.txt:1:1: is is not understood: after the name, each word begins with receiver:"},
		"twice":                 {"shop.v1.Reading receiver:event\nshop.v1.Reading receiver:event", "events.txt:2:1: receiver:event is written about shop.v1.Reading already (events.txt:1:1): remove one of the two"},
		"a contradiction":       {"shop.v1.Reading receiver:event\nshop.v1.Reading receiver:plain", "events.txt:2:1: the comments receiver:event and receiver:plain on message Reading contradict each other"},
		"against the proto":     {"shop.v1.Shop.Do receiver:event", "events.txt:1:1: the comments receiver:plain and receiver:event on rpc Do contradict each other"},
		"a wrong type":          {"shop.v1.Reading receiver:event\nshop.v1.Reading.celsius receiver:source", "events.txt:2:1: field celsius can't be the event's source: it must be one string, integer or enum"},
		"two fields of a role":  {"shop.v1.Reading receiver:event\nshop.v1.Reading.sensor_id receiver:time\nshop.v1.Reading.taken_at receiver:time", "events.txt:2:1: field sensor_id can't be the event's time: it must be a google.protobuf.Timestamp, or an integer with its unit in the comment: receiver:time=s, ms, us or ns\nevents.txt:3:1: field sensor_id and field taken_at are both marked as the event's time: remove one of the comments"},
		"none and another role": {"shop.v1.Reading receiver:event\nshop.v1.Reading.sensor_id receiver:none receiver:source", "events.txt:2:1: the comments receiver:none and receiver:source on field sensor_id contradict each other"},
		"roles of no event":     {"shop.v1.Shop.Other receiver:source=sensor_id", "events.txt:1:1: the comment receiver:source=sensor_id names a field of an event, but rpc Other takes none: also write // receiver:event above it"},
		"roles of a plain rpc":  {"shop.v1.Shop.Do receiver:source=name", "events.txt:1:1: the comment receiver:source=name names a field of an event, but rpc Do takes none: remove one of its comments"},
		"no field to hold it":   {"shop.v1.Shop.Other receiver:event=celsius", "events.txt:1:1: the comment receiver:event=celsius of rpc Other: message Reading has no field celsius that is a message or a list of messages"},
		"an unknown field":      {"shop.v1.Shop.Other receiver:event receiver:source=sensor", "events.txt:1:1: the comment receiver:source=sensor of rpc Other: message Reading has no field sensor"},
		"an unknown unit":       {"shop.v1.Shop.Other receiver:event receiver:time=sensor_id:m", "events.txt:1:1: the comment receiver:time=sensor_id:m of rpc Other: want receiver:time=FIELD, or to give the unit of a time receiver:time=FIELD:s, ms, us or ns"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := build(t, text, test.comments, nil)
			if got := strings.Join(errorsOf(err), "\n"); got != test.want {
				t.Errorf("the error is\n%s, want\n%s", got, test.want)
			}
		})
	}
}

// TestNotRecognised has what a run says about a service that is new, and about one
// that is not.
func TestNotRecognised(t *testing.T) {
	for name, test := range map[string]struct {
		text, known string
		want        []string
	}{
		"called an event": {text: "service Shop { rpc Place(OrderPlacedEvent) returns (Reply); }\nmessage OrderPlacedEvent { string id = 1; string item = 2; int64 cents = 3; }", want: []string{
			"shop.proto:9:16: no rpc of service shop.v1.Shop takes events. The nearest is rpc Place: message OrderPlacedEvent is not taken for an event, because no string is called event_type, type or the like and no field has the name of a source, a subject or a time. If it is one, write // receiver:event above message OrderPlacedEvent (shop.proto:10:1)"}},
		"dated": {text: "service Shop { rpc Measure(Reading) returns (Reply); }", want: []string{
			"shop.proto:9:16: no rpc of service shop.v1.Shop takes events. The nearest is rpc Measure: message Reading is not taken for an event, because its name does not end in Event, no string is called event_type, type or the like and no field has the name of a source, a subject or a time. If it is one, write // receiver:event above message Reading (shop.proto:7:1), and // receiver:time above field taken_at (shop.proto:7:61)"}},
		"in a request that is taken": {text: "service Shop { rpc RecordReading(RecordReadingRequest) returns (Reply); }\nmessage RecordReadingRequest { string parent = 1; Reading reading = 2; }", want: []string{
			"shop.proto:9:16: no rpc of service shop.v1.Shop takes events. The nearest is rpc RecordReading: message Reading is not taken for an event, because its name does not end in Event, no string is called event_type, type or the like and no field has the name of a source, a subject or a time. If it is one, write // receiver:event above rpc RecordReading (shop.proto:9:16)"}},
		"called what happened, in a request": {text: "service Shop { rpc PlaceOrder(PlaceOrderRequest) returns (Reply); }\nmessage PlaceOrderRequest { OrderPlaced order = 1; string request_id = 2; }\nmessage OrderPlaced { string id = 1; }", want: []string{
			"shop.proto:9:16: no rpc of service shop.v1.Shop takes events. The nearest is rpc PlaceOrder: message OrderPlaced is not taken for an event, because its name does not end in Event, no string is called event_type, type or the like and no field has the name of a source, a subject or a time. If it is one, write // receiver:event above rpc PlaceOrder (shop.proto:9:16)"}},
		"called a thing, in a request": {text: "service Shop { rpc PlaceOrder(PlaceOrderRequest) returns (Reply); }\nmessage PlaceOrderRequest { NewsFeed feed = 1; string request_id = 2; }\nmessage NewsFeed { string id = 1; }"},
		"nothing speaks against it": {text: "service Shop { rpc Place(Order) returns (Reply); }\nmessage Order { string item = 1; }", want: []string{
			"shop.proto:9:16: no rpc takes events. The nearest is rpc Place: nothing says that it takes events. If message Order is one, write // receiver:event above message Order (shop.proto:10:1)"}},
		"things that are kept": {text: "service Shop { rpc GetOrder(GetOrderRequest) returns (Order); rpc CreateOrder(CreateOrderRequest) returns (Order); rpc Update(Order) returns (Order); }\n" +
			"message GetOrderRequest { string name = 1; }\nmessage CreateOrderRequest { Order order = 1; }\nmessage Order { string item = 1; google.protobuf.Timestamp created_at = 2; }"},
		"plain":                    {text: "service Shop {\n  // receiver:plain\n  rpc Measure(Reading) returns (Reply);\n}"},
		"another rpc takes events": {text: "service Shop { rpc Measure(Reading) returns (Reply); rpc Click(ClickEvent) returns (Reply); }"},
		"known":                    {known: "measure", text: "service Shop { rpc Measure(Reading) returns (Reply); }"},
		"beside an event": {text: "service Shop { rpc Do(R) returns (Reply); }\nmessage R { string parent = 1; ClickEvent click = 2; bool validate_only = 3; }", want: []string{
			"shop.proto:9:16: rpc Do takes no events: its request holds an event, in click, but parent and validate_only beside it would not be stored. To store the whole request, write // receiver:event above rpc Do (shop.proto:9:16); to store click alone, // receiver:event=click; or else // receiver:plain"}},
		"beside an event, known": {known: "do", text: "service Shop { rpc Do(R) returns (Reply); }\nmessage R { string parent = 1; ClickEvent click = 2; }"},
		"beside an event, known, and a verb": {known: "write", text: "service Shop { rpc Write(R) returns (Reply); }\nmessage R { string parent = 1; ClickEvent click = 2; }", want: []string{
			"shop.proto:9:16: rpc Write takes no events: its request holds an event, in click, but parent beside it would not be stored. To store the whole request, write // receiver:event above rpc Write (shop.proto:9:16); to store click alone, // receiver:event=click; or else // receiver:plain"}},
		"roles without an event, known": {known: "get", text: "service Shop { rpc Get(R) returns (Reply); }\nmessage R { string device = 1; // receiver:source\n }", want: []string{
			"shop.proto:9:16: rpc Get takes no events: comments give fields of message R roles of an event, but nothing says that it is one. If it is, write // receiver:event above message R (shop.proto:10:1)"}},
		"roles of what another rpc takes": {text: "service Shop {\n  rpc Check(R) returns (Reply);\n  // receiver:event\n  rpc Take(R) returns (Reply);\n}\nmessage R { string device = 1; // receiver:source\n }"},
		"dropped": {text: "service Shop {\n  // receiver:event=click\n  rpc Do(R) returns (Reply);\n}\nmessage R { string parent = 1; ClickEvent click = 2; }", want: []string{
			"shop.proto:11:3: rpc Do stores click alone, as its comment says: parent beside it is acknowledged, but not stored"}},
	} {
		t.Run(name, func(t *testing.T) {
			module := mustBuild(t, test.text, "", nil)
			got := model.NotRecognised(module, func(path string) bool {
				return test.known == "" || path != "internal/shop/v1/shop/"+test.known+".go"
			})
			if !slices.Equal(got, test.want) {
				t.Errorf("it says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// In protos of another module nobody can write a comment.
// TestWhichCommandsTakeAnEventID: an id can come with each call that takes events, also
// if they have a field for it, because that may be empty.
func TestWhichCommandsTakeAnEventID(t *testing.T) {
	const order = "message OrderEvent { string event_id = 1; string type = 2; string tenant = 3; }"
	for name, test := range map[string]struct {
		request string
		flags   string // of the fields of the request
		want    bool
	}{
		"an event without an id":            {"OrderEvent; message OrderEvent { string type = 1; string tenant = 2; }", "type tenant", true},
		"its id is a flag of that name":     {"OrderEvent; " + order, "event-id type tenant", false},
		"its id is a flag of another name":  {"OrderEvent; message OrderEvent {\n// receiver:id\nstring order_id = 1; string type = 2; string tenant = 3; }", "order-id type tenant", true},
		"an event that is held, with an id": {"R; message R { OrderEvent event = 1; } " + order, "event", true},
		"events that are held, with ids":    {"R; message R { repeated OrderEvent events = 1; } " + order, "events", true},
		"no event":                          {"R; message R { string name = 1; }", "name", false},
	} {
		t.Run(name, func(t *testing.T) {
			request, messages, _ := strings.Cut(test.request, ";")
			method := mustBuild(t, "service Shop { rpc Do("+request+") returns (Reply); }"+messages, "", nil).Services()[0].Methods[0]
			var flags []string
			for _, field := range method.Input.Fields {
				flags = append(flags, field.Flag)
			}
			if got := method.NeedsEventID(); got != test.want || strings.Join(flags, " ") != test.flags {
				t.Errorf("it takes one: %t, and its flags are %q, want %t and %s", got, flags, test.want, test.flags)
			}
		})
	}
}

// TestFlagsThatFieldsKeep: a field whose name a general flag has always had gives way; to
// the flags for authentication, which came later, it does not.
func TestFlagsThatFieldsKeep(t *testing.T) {
	method := mustBuild(t, `service Shop { rpc Do(R) returns (Reply); } message R {
		string addr = 1; string ca = 2; string header = 3; string token_file = 4; string tls_cert = 5; string tls_key = 6; string key = 7; }`,
		"", nil).Services()[0].Methods[0]
	var flags []string
	for _, field := range method.Input.Fields {
		flags = append(flags, field.Flag)
	}
	if got, want := strings.Join(flags, " "), "request-addr request-ca header token-file tls-cert tls-key key"; got != want {
		t.Errorf("the flags are %q, want %q", got, want)
	}
}

func TestWhatToWriteAboutForeignProtos(t *testing.T) {
	module := mustBuild(t, "import \"acme.proto\";\nservice Shop { rpc Measure(acme.v1.Reading) returns (Reply); }", "", map[string]string{
		"acme.proto": "syntax = \"proto3\"; package acme.v1; option go_package = \"acme.example/v1\"; message Reading { int64 taken_at = 1; }"})
	lines := model.NotRecognised(module, func(string) bool { return true })
	const want = `If it is one, write the line "acme.v1.Reading receiver:event" in the file of the option comments=FILE, ` +
		`and the line "acme.v1.Reading.taken_at receiver:time=s (or ms, us, ns)" in the file of the option comments=FILE`
	if len(lines) != 1 || !strings.HasSuffix(lines[0], want) {
		t.Errorf("it says %q, want at the end %q", lines, want)
	}
}

// TestWhatAPublisherKnowsOfAnRPC has RPCs, and what a publisher is given of each.
func TestWhatAPublisherKnowsOfAnRPC(t *testing.T) {
	const event = "\nmessage SoldEvent { string event_id = 7; string app_id = 2; string event_type = 3; string subject = 4; }"
	for text, want := range map[string]string{
		`service Shop { rpc Do(SoldEvent) returns (Stored); }
message Stored { int64 position = 1; bool duplicate = 5; }`: `Name: "/shop.v1.Shop/Do", ID: 7, Duplicate: 5`,
		`service Shop { rpc Do(Batch) returns (Reply); }
message Batch { repeated SoldEvent sold = 9; }`: `Name: "/shop.v1.Shop/Do", Holder: 9, Many: true, ID: 7`,
		`service Shop { rpc Do(stream One) returns (Reply); }
message One { SoldEvent sold = 2; }`: `Name: "/shop.v1.Shop/Do", Streams: "client", Holder: 2, ID: 7`,
		`service Shop { rpc Do(stream SoldEvent) returns (stream Reply); }`: `Name: "/shop.v1.Shop/Do", Streams: "both", ID: 7`,
	} {
		method := mustBuild(t, text+event, "", nil).Services()[0].Methods[0]
		if got := strings.Join(method.PublisherRPC(), ", "); got != want {
			t.Errorf("%s\nis %s, want %s", text, got, want)
		}
		if got, want := strings.Join(method.Event.PublisherAttributes(), ", "),
			"ID: event.GetEventId(), Source: event.GetAppId(), Type: event.GetEventType(), Subject: event.GetSubject()"; got != want {
			t.Errorf("%s\nhas the attributes %s, want %s", text, got, want)
		}
	}
}

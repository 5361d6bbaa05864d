package model_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// changing is the proto that the cases of TestChanges change.
const changing = `syntax = "proto3";
package shop.v1;
import "google/protobuf/timestamp.proto";
option go_package = "example.com/shop/gen/shopv1";
service Shop {
  rpc Publish (Event) returns (Reply) {}
  // receiver:tail
  rpc Tail (TailRequest) returns (stream Event) {}
  rpc Get (GetRequest) returns (Item) {}
}
message Event {
  string event_type = 1;
  string user_id = 2;
  google.protobuf.Timestamp event_time = 3;
  string note = 4;
}
message Reply { string message = 1; }
message TailRequest { int64 after = 1; }
message GetRequest { string id = 1; }
message Item {
  Colour colour = 1;
  map<string, Part> parts = 2;
}
message Part { int32 size = 1; }
enum Colour { COLOUR_UNSPECIFIED = 0; COLOUR_RED = 1; }
`

func TestChanges(t *testing.T) {
	for name, test := range map[string]struct {
		replace []string // pairs of old and new
		want    []string
	}{
		"nothing":   {},
		"a comment": {[]string{"message Part", "// Part is a part.\nmessage Part"}, nil},
		"places":    {[]string{"service Shop", "\n\n\nservice Shop"}, nil},
		"a service added": {[]string{"message Event {", "service More { rpc Send (Event) returns (Reply); }\nmessage Event {"},
			[]string{"shop.proto:11:1: service shop.v1.More added: Send takes an event"}},
		"a service renamed": {[]string{"service Shop", "service Store"}, []string{
			"shop.proto: service shop.v1.Shop removed",
			"shop.proto:5:1: service shop.v1.Store added: Publish takes an event; Tail replays events and follows the log; Get is for you to write"}},
		"an rpc added": {[]string{"  // receiver:tail", "  rpc Stream (stream Event) returns (Reply);\n  // receiver:tail"},
			[]string{"shop.proto:7:3: rpc Stream added: takes a stream of events (its request is an event)"}},
		"an rpc removed": {[]string{"  rpc Get (GetRequest) returns (Item) {}\n", ""},
			[]string{"shop.proto:5:1: rpc Get of shop.v1.Shop removed"}},
		"a batch": {[]string{"Publish (Event)", "Publish (Batch)", "message Reply", "message Batch { repeated Event events = 1; }\nmessage Reply"}, []string{
			"shop.proto:6:3: rpc Publish takes events, many at once (before: takes an event): its request holds events, in events",
			"shop.proto:6:3: rpc Publish: its request is shop.v1.Batch (before: shop.v1.Event)"}},
		"a stream": {[]string{"Publish (Event)", "Publish (stream Event)"},
			[]string{"shop.proto:6:3: rpc Publish takes a stream of events (before: takes an event): its request is an event"}},
		"no tail": {[]string{"  // receiver:tail\n", ""},
			[]string{"shop.proto:7:3: rpc Tail is for you to write: a server stream (before: replays events and follows the log): nothing says that it takes events"}},
		"no event": {[]string{"  rpc Publish", "  // receiver:plain\n  rpc Publish"}, []string{
			"shop.proto:7:3: rpc Publish no longer fills in message of the reply",
			"shop.proto:7:3: rpc Publish no longer takes events: its comment says so"}},
		"no event at all": {[]string{"  rpc Publish", "  // receiver:plain\n  rpc Publish", "  // receiver:tail\n", ""}, []string{
			"shop.proto:7:3: rpc Publish no longer fills in message of the reply",
			"shop.proto:7:3: rpc Publish no longer takes events: its comment says so",
			"shop.proto:8:3: rpc Tail is for you to write: a server stream (before: replays events and follows the log): nothing says that it takes events",
			"shop.proto:11:1: message shop.v1.Event is no longer an event of any rpc"}},
		"an event by comment": {[]string{"message Item {", "// receiver:event\nmessage Item {\n  string id = 3;", "Get (GetRequest) returns (Item)", "Get (Item) returns (Item)"}, []string{
			"shop.proto:9:3: rpc Get takes an event (before: is for you to write): its request is an event",
			"shop.proto:9:3: rpc Get: its request is shop.v1.Item (before: shop.v1.GetRequest)",
			"shop.proto:21:1: message shop.v1.Item is an event now: its comment says so (id id)",
			"shop.proto:22:3: field id added to shop.v1.Item: string"}},
		"a role taken": {[]string{"string note = 4;", "// receiver:source\n  string note = 4;"},
			[]string{"shop.proto:16:3: field note of shop.v1.Event is its source now (by comment)"}},
		"a role lost": {[]string{"  string user_id", "  // receiver:none\n  string user_id"},
			[]string{"shop.proto:14:3: field user_id of shop.v1.Event is no longer its subject, and no other is"}},
		"a role moved": {[]string{"string note = 4;", "// receiver:subject\n  string note = 4;"},
			[]string{"shop.proto:16:3: field note of shop.v1.Event is its subject now (by comment), and user_id no longer is"}},
		"a time with a unit": {[]string{"google.protobuf.Timestamp event_time", "// receiver:time=ms\n  int64 event_time"}, []string{
			"shop.proto:15:3: field event_time of shop.v1.Event is int64 (before: google.protobuf.Timestamp)",
			"shop.proto:15:3: field event_time of shop.v1.Event: its time is in milliseconds (before: in a Timestamp)"}},
		"a former name": {[]string{"message Event {", "// receiver:was=shop.v0.Event\nmessage Event {"},
			[]string{"shop.proto:12:1: message shop.v1.Event: what is stored as shop.v0.Event is read, too"}},
		"a field added and filled": {[]string{"string message = 1;", "string message = 1; int64 position = 2;"}, []string{
			"shop.proto:6:3: rpc Publish fills in position of the reply",
			"shop.proto:17:37: field position added to shop.v1.Reply: int64"}},
		"a field ignored": {[]string{"int64 after = 1;", "int64 after = 1; string filter = 2;"}, []string{
			"shop.proto:8:3: rpc Tail ignores filter of the request",
			"shop.proto:18:40: field filter added to shop.v1.TailRequest: string"}},
		"a tail from the beginning": {[]string{"int64 after = 1;", "google.protobuf.Timestamp since = 2;"}, []string{
			"shop.proto:8:3: rpc Tail replays events since the requested time (before: after the requested position)",
			"shop.proto:18:1: field after removed from shop.v1.TailRequest",
			"shop.proto:18:23: field since added to shop.v1.TailRequest: google.protobuf.Timestamp"}},
		"a field renamed":    {[]string{"string note = 4;", "string remark = 4;"}, []string{"shop.proto:15:3: field remark of shop.v1.Event was called note before"}},
		"a field removed":    {[]string{"  string note = 4;\n", ""}, []string{"shop.proto:11:1: field note removed from shop.v1.Event"}},
		"a field repeated":   {[]string{"string note", "repeated string note"}, []string{"shop.proto:15:3: field note of shop.v1.Event is repeated string (before: string)"}},
		"a field optional":   {[]string{"string note", "optional string note"}, []string{"shop.proto:15:3: field note of shop.v1.Event is optional string (before: string)"}},
		"a field in a oneof": {[]string{"string note = 4;", "oneof more { string note = 4; }"}, []string{"shop.proto:15:16: field note of shop.v1.Event is string in oneof more (before: string)"}},
		"a field renumbered": {[]string{"note = 4", "note = 5"},
			[]string{"shop.proto:15:3: field note of shop.v1.Event has the number 5 (before: 4): what was sent or stored with that is not read as this field"}},
		"a field of a field": {[]string{"int32 size", "int64 size"}, []string{"shop.proto:24:16: field size of shop.v1.Part is int64 (before: int32)"}},
		"an enum's values":   {[]string{"COLOUR_RED = 1;", "COLOUR_BLUE = 2;"}, []string{"shop.proto:25:1: value COLOUR_RED removed from enum shop.v1.Colour", "shop.proto:25:39: value COLOUR_BLUE added to enum shop.v1.Colour"}},
		"a go_package":       {[]string{"gen/shopv1", "gen/shop"}, []string{"shop.proto:5:1: service shop.v1.Shop: its messages are in the Go package example.com/shop/gen/shop (before: example.com/shop/gen/shopv1)"}},
		"retries": {[]string{"returns (Item) {}", "returns (Item) { option idempotency_level = IDEMPOTENT; }"},
			[]string{"shop.proto:9:3: rpc Get: clients retry it, because the proto says that this does no harm"}},
	} {
		t.Run(name, func(t *testing.T) {
			before, after := mustBuild(t, "", "", map[string]string{"shop.proto": changing}), changing
			for pair := range slices.Chunk(test.replace, 2) {
				if strings.Count(after, pair[0]) != 1 {
					t.Fatalf("%q is not once in the proto", pair[0])
				}
				after = strings.Replace(after, pair[0], pair[1], 1)
			}
			var got []string
			for _, change := range model.Changes(before, mustBuild(t, "", "", map[string]string{"shop.proto": after})) {
				got = append(got, change.String())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestChangesFromNothing(t *testing.T) {
	shop := mustBuild(t, "", "", map[string]string{"shop.proto": changing})
	if got := model.Changes(nil, shop); len(got) != 2 || got[0].Text[:7] != "service" || got[1].Text != "message shop.v1.Event is an event now: its name says so, and it has a type and a source, a subject or a time (type event_type, subject user_id, time event_time)" {
		t.Errorf("got %v", got)
	}
	if got := model.Changes(shop, nil); len(got) != 2 || got[0].String() != "shop.proto: message shop.v1.Event removed, which was an event" || got[1].String() != "shop.proto: service shop.v1.Shop removed" {
		t.Errorf("got %v", got)
	}
	if got := model.Changes(nil, nil); got != nil {
		t.Errorf("got %v", got)
	}
}

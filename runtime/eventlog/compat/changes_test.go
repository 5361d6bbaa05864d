package compat_test

import "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/compat"

const (
	safe     = compat.Safe
	misreads = compat.Misreads
)

// change is a change of a proto, what becomes of a stored event by it, and what is to be
// found. "~" is the word optional in proto2, and for nothing elsewhere.
type change struct {
	name string
	// in are the first letters of the syntaxes that it is tried in: of proto2, proto3 and
	// editions (2023). "" is all of them.
	in      string
	was, is string
	// event is an event that was stored, in the text format; reads is what it is read as,
	// "" if that is the same text, or "error".
	event, reads string
	wire, json   compat.Verdict
	// buf is true if "buf breaking" refuses it by WIRE_JSON.
	buf bool
	// why is why our verdict is right where it differs from that of buf.
	why string
}

const (
	stays   = "What is stored is still read as what it was. A later use of the number is found then, because the log keeps the schema that has it."
	onWire  = "The type's name is not part of what is stored, and what is in it is compared."
	someday = "buf compares with one version only. Here what is stored may have it, and the server looks whether it has."
	inRange = "buf allows it because small numbers are read rightly. A log has all numbers that the type was able to have."
)

// changes are those that people make. Each is in a message Event.
var changes = []change{
	// Fields come and go.
	{name: "field added", was: `message Event { ~int32 a = 1; }`, is: `message Event { ~int32 a = 1; ~string b = 2; }`,
		event: `a: 1`, wire: safe, json: safe},
	{name: "field removed", was: `message Event { ~int32 a = 1; ~string b = 2; }`, is: `message Event { ~int32 a = 1; }`,
		event: `a: 1 b: "x"`, reads: `a: 1`, wire: safe, json: safe, buf: true, why: stays},
	{name: "field removed and reserved", was: `message Event { ~int32 a = 1; ~string b = 2; }`, is: `message Event { ~int32 a = 1; reserved 2; reserved @b@; }`,
		event: `a: 1 b: "x"`, reads: `a: 1`, wire: safe, json: safe},
	{name: "fields in another order", was: `message Event { ~int32 a = 1; ~string b = 2; }`, is: `message Event { ~string b = 2; ~int32 a = 1; }`,
		event: `a: 1 b: "x"`, wire: safe, json: safe},
	{name: "number reused", was: `message Event { ~int32 a = 1; ~string b = 2; }`, is: `message Event { ~int32 a = 1; ~int64 c = 2; }`,
		event: `a: 1 b: "x"`, reads: `a: 1`, wire: misreads, json: misreads, buf: true},
	{name: "reserved number used", was: `message Event { ~int32 a = 1; reserved 2; }`, is: `message Event { ~int32 a = 1; ~string b = 2; }`,
		event: `a: 1`, wire: misreads, json: safe, buf: true},
	{name: "reserved name used", was: `message Event { ~int32 a = 1; reserved @b@; }`, is: `message Event { ~int32 a = 1; ~string b = 2; }`,
		event: `a: 1`, wire: safe, json: misreads, buf: true},
	{name: "number of extensions used", in: "2e", was: `message Event { ~int32 a = 1; extensions 100 to 200; }`, is: `message Event { ~int32 a = 1; ~string b = 100; }`,
		event: `a: 1`, wire: misreads, json: safe, why: someday},
	{name: "number changed", was: `message Event { ~int32 a = 1; ~int64 b = 2; }`, is: `message Event { ~int32 a = 1; ~int64 b = 3; reserved 2; }`,
		event: `a: 1 b: 5`, reads: `a: 1`, wire: misreads, json: safe, buf: true},
	{name: "numbers swapped", was: `message Event { ~int32 a = 1; ~int32 b = 2; }`, is: `message Event { ~int32 b = 1; ~int32 a = 2; }`,
		event: `a: 1 b: 2`, reads: `b: 1 a: 2`, wire: misreads, json: safe, buf: true},

	// Names.
	{name: "field renamed", was: `message Event { ~int64 amount = 1; }`, is: `message Event { ~int64 total = 1; }`,
		event: `amount: 5`, reads: `total: 5`, wire: safe, json: misreads, buf: true},
	{name: "field renamed, its name in JSON kept", was: `message Event { ~int64 amount = 1; }`, is: `message Event { ~int64 total = 1 [json_name = "amount"]; }`,
		event: `amount: 5`, reads: `total: 5`, wire: safe, json: safe, buf: true, why: "Names are not on the wire, and the one in JSON is kept. What does not build by it is found by the compiler."},
	{name: "name in JSON changed", was: `message Event { ~int64 amount = 1 [json_name = "sum"]; }`, is: `message Event { ~int64 amount = 1; }`,
		event: `amount: 5`, wire: safe, json: misreads, buf: true},
	{name: "type renamed", was: `message Event { ~Item a = 1; } message Item { ~int32 n = 1; }`, is: `message Event { ~Line a = 1; } message Line { ~int32 n = 1; }`,
		event: `a: {n: 1}`, wire: safe, json: safe, buf: true, why: onWire},

	// Kinds of numbers and text.
	{name: "int32 to int64", was: `message Event { ~int32 a = 1; }`, is: `message Event { ~int64 a = 1; }`,
		event: `a: -1`, wire: safe, json: safe, buf: true, why: "Each int32 is an int64, on the wire and in JSON, where both forms of a number are read."},
	{name: "int64 to int32", was: `message Event { ~int64 a = 1; }`, is: `message Event { ~int32 a = 1; }`,
		event: `a: 4294967297`, reads: `a: 1`, wire: misreads, json: misreads, buf: true},
	{name: "uint32 to int64", was: `message Event { ~uint32 a = 1; }`, is: `message Event { ~int64 a = 1; }`,
		event: `a: 4294967295`, wire: safe, json: safe, buf: true, why: "Each uint32 is an int64."},
	{name: "int32 to uint32", was: `message Event { ~int32 a = 1; }`, is: `message Event { ~uint32 a = 1; }`,
		event: `a: -1`, reads: `a: 4294967295`, wire: misreads, json: misreads, why: inRange},
	{name: "uint64 to int64", was: `message Event { ~uint64 a = 1; }`, is: `message Event { ~int64 a = 1; }`,
		event: `a: 18446744073709551615`, reads: `a: -1`, wire: misreads, json: misreads, why: inRange},
	{name: "int32 to sint32", was: `message Event { ~int32 a = 1; }`, is: `message Event { ~sint32 a = 1; }`,
		event: `a: 3`, reads: `a: -2`, wire: misreads, json: safe, buf: true},
	{name: "fixed32 to sfixed32", was: `message Event { ~fixed32 a = 1; }`, is: `message Event { ~sfixed32 a = 1; }`,
		event: `a: 4294967295`, reads: `a: -1`, wire: misreads, json: misreads, why: inRange},
	{name: "int64 to fixed64", was: `message Event { ~int64 a = 1; }`, is: `message Event { ~sfixed64 a = 1; }`,
		event: `a: 3`, reads: ` `, wire: misreads, json: safe, buf: true},
	{name: "bool to int32", was: `message Event { ~bool a = 1; }`, is: `message Event { ~int32 a = 1; }`,
		event: `a: true`, reads: `a: 1`, wire: safe, json: misreads, buf: true},
	{name: "float to double", was: `message Event { ~float a = 1; }`, is: `message Event { ~double a = 1; }`,
		event: `a: 1.5`, reads: ` `, wire: misreads, json: safe, buf: true},
	{name: "string to int64", was: `message Event { ~string amount = 5; }`, is: `message Event { ~int64 amount = 5; }`,
		event: `amount: "12 €"`, reads: ` `, wire: misreads, json: misreads, buf: true},
	{name: "string to bytes", was: `message Event { ~string a = 1; }`, is: `message Event { ~bytes a = 1; }`,
		event: `a: "a b"`, wire: safe, json: misreads, buf: true},
	{name: "bytes to string", in: "3e", was: `message Event { ~bytes a = 1; }`, is: `message Event { ~string a = 1; }`,
		event: `a: "\xff"`, reads: `error`, wire: misreads, json: misreads, buf: true},
	{name: "bytes to string, which Go does not check", in: "2", was: `message Event { ~bytes a = 1; }`, is: `message Event { ~string a = 1; }`,
		event: `a: "a"`, wire: misreads, json: misreads, buf: true},

	// How often, and whether.
	{name: "one to many", was: `message Event { ~int32 a = 1; }`, is: `message Event { repeated int32 a = 1; }`,
		event: `a: 1`, wire: safe, json: misreads, buf: true},
	{name: "many to one", was: `message Event { repeated string a = 1; }`, is: `message Event { ~string a = 1; }`,
		event: `a: "x" a: "y"`, reads: `a: "y"`, wire: misreads, json: misreads, buf: true},
	{name: "packed or not", in: "23", was: `message Event { repeated int32 a = 1 [packed = true]; }`, is: `message Event { repeated int32 a = 1 [packed = false]; }`,
		event: `a: 1 a: 2`, wire: safe, json: safe},
	{name: "packed or not, by features", in: "e", was: `message Event { repeated int32 a = 1; }`, is: `message Event { repeated int32 a = 1 [features.repeated_field_encoding = EXPANDED]; }`,
		event: `a: 1 a: 2`, wire: safe, json: safe},
	{name: "presence kept", in: "3", was: `message Event { int32 a = 1; }`, is: `message Event { optional int32 a = 1; }`,
		event: `a: 1`, wire: safe, json: safe},
	{name: "presence kept, by features", in: "e", was: `message Event { int32 a = 1 [features.field_presence = IMPLICIT]; }`, is: `message Event { int32 a = 1; }`,
		event: `a: 1`, wire: safe, json: safe},
	{name: "made required", in: "2", was: `message Event { optional int32 a = 1; optional int32 b = 2; }`, is: `message Event { optional int32 a = 1; required int32 b = 2; }`,
		event: `a: 1`, reads: `error`, wire: misreads, json: misreads, buf: true},
	{name: "made required, by features", in: "e", was: `message Event { int32 a = 1; int32 b = 2; }`, is: `message Event { int32 a = 1; int32 b = 2 [features.field_presence = LEGACY_REQUIRED]; }`,
		event: `a: 1`, reads: `error`, wire: misreads, json: misreads, buf: true},
	{name: "required field added", in: "2", was: `message Event { optional int32 a = 1; }`, is: `message Event { optional int32 a = 1; required int32 b = 2; }`,
		event: `a: 1`, reads: `error`, wire: misreads, json: misreads, buf: true},
	{name: "required no longer", in: "2", was: `message Event { required int32 a = 1; }`, is: `message Event { optional int32 a = 1; }`,
		event: `a: 1`, wire: safe, json: safe, buf: true, why: "A log is read by the new program only. What was stored has the field."},
	{name: "default changed", in: "2e", was: `message Event { ~int32 a = 1 [default = 5]; ~int32 b = 2; }`, is: `message Event { ~int32 a = 1 [default = 7]; ~int32 b = 2; }`,
		event: `b: 1`, wire: misreads, json: misreads, buf: true},

	// Oneofs.
	{name: "two fields into a oneof", was: `message Event { ~int32 a = 1; ~string b = 2; }`, is: `message Event { oneof one { int32 a = 1; string b = 2; } }`,
		event: `a: 1 b: "x"`, reads: `b: "x"`, wire: misreads, json: misreads, buf: true},
	{name: "one field into a new oneof", was: `message Event { ~int32 a = 1; }`, is: `message Event { oneof one { int32 a = 1; string b = 2; } }`,
		event: `a: 1`, wire: safe, json: safe, buf: true, why: "Only one field of the oneof was ever stored."},
	{name: "a field into a oneof that was", was: `message Event { ~int32 a = 1; oneof one { string b = 2; string c = 3; } }`, is: `message Event { oneof one { int32 a = 1; string b = 2; string c = 3; } }`,
		event: `a: 1 b: "x"`, reads: `b: "x"`, wire: misreads, json: misreads, buf: true},
	{name: "out of a oneof", was: `message Event { oneof one { int32 a = 1; string b = 2; } }`, is: `message Event { ~int32 a = 1; ~string b = 2; }`,
		event: `a: 1`, wire: safe, json: safe, buf: true, why: "Fields that excluded each other are read as they were stored: at most one of them."},
	{name: "oneof renamed", was: `message Event { oneof one { int32 a = 1; string b = 2; } }`, is: `message Event { oneof two { int32 a = 1; string b = 2; } }`,
		event: `a: 1`, wire: safe, json: safe, buf: true, why: "The name of a oneof is neither on the wire nor in JSON."},

	// Maps.
	{name: "map key int32 to int64", was: `message Event { map<int32, string> a = 1; }`, is: `message Event { map<int64, string> a = 1; }`,
		event: `a: {key: -1 value: "x"}`, wire: safe, json: safe, buf: true, why: "Each int32 is an int64, and keys are strings in JSON."},
	{name: "map key string to int32", was: `message Event { map<string, string> a = 1; }`, is: `message Event { map<int32, string> a = 1; }`,
		event: `a: {key: "k" value: "x"}`, reads: `a: {key: 0 value: "x"}`, wire: misreads, json: misreads, buf: true},
	{name: "map value string to int32", was: `message Event { map<string, string> a = 1; }`, is: `message Event { map<string, int32> a = 1; }`,
		event: `a: {key: "k" value: "x"}`, reads: `a: {key: "k" value: 0}`, wire: misreads, json: misreads, buf: true},
	{name: "map to list of entries", was: `message Event { map<string, int32> a = 1; }`, is: `message Event { repeated Pair a = 1; } message Pair { ~string key = 1; ~int32 value = 2; }`,
		event: `a: {key: "k" value: 3}`, wire: safe, json: misreads, buf: true},
	{name: "list of entries to map", was: `message Event { repeated Pair a = 1; } message Pair { ~string key = 1; ~int32 value = 2; }`, is: `message Event { map<string, int32> a = 1; }`,
		event: `a: {key: "k" value: 3} a: {key: "k" value: 4}`, reads: `a: {key: "k" value: 4}`, wire: misreads, json: misreads, buf: true},

	// Enums.
	{name: "value added", was: `message Event { ~Kind a = 1; } enum Kind { NONE = 0; SENT = 1; }`, is: `message Event { ~Kind a = 1; } enum Kind { NONE = 0; SENT = 1; PAID = 2; }`,
		event: `a: SENT`, wire: safe, json: safe},
	{name: "value removed", in: "3e", was: `message Event { ~Kind a = 1; } enum Kind { NONE = 0; SENT = 1; PAID = 2; }`, is: `message Event { ~Kind a = 1; } enum Kind { NONE = 0; SENT = 1; }`,
		event: `a: PAID`, reads: `a: 2`, wire: safe, json: misreads, buf: true},
	{name: "value removed from a closed enum", in: "2", was: `message Event { ~Kind a = 1; } enum Kind { NONE = 0; SENT = 1; PAID = 2; }`, is: `message Event { ~Kind a = 1; } enum Kind { NONE = 0; SENT = 1; }`,
		event: `a: PAID`, reads: `a: 2`, wire: misreads, json: misreads, buf: true},
	{name: "value renamed", was: `message Event { ~Kind a = 1; } enum Kind { NONE = 0; SENT = 1; }`, is: `message Event { ~Kind a = 1; } enum Kind { NONE = 0; SHIPPED = 1; }`,
		event: `a: SENT`, reads: `a: SHIPPED`, wire: safe, json: misreads, buf: true},
	{name: "value renamed, its name kept as an alias", was: `message Event { ~Kind a = 1; } enum Kind { NONE = 0; SENT = 1; }`, is: `message Event { ~Kind a = 1; } enum Kind { option allow_alias = true; NONE = 0; SHIPPED = 1; SENT = 1; }`,
		event: `a: SENT`, reads: `a: SHIPPED`, wire: safe, json: safe},
	{name: "value renumbered", was: `message Event { ~Kind a = 1; } enum Kind { NONE = 0; PAID = 2; }`, is: `message Event { ~Kind a = 1; } enum Kind { NONE = 0; SENT = 2; PAID = 3; }`,
		event: `a: PAID`, reads: `a: SENT`, wire: misreads, json: safe, buf: true},
	{name: "value 0 renumbered", in: "2", was: `message Event { ~Kind a = 1; } enum Kind { PENDING = 0; SENT = 1; }`, is: `message Event { ~Kind a = 1; } enum Kind { UNSPECIFIED = 0; PENDING = 1; SENT = 2; }`,
		event: `a: PENDING`, reads: `a: UNSPECIFIED`, wire: misreads, json: safe, buf: true},
	{name: "value 0 renumbered, with presence", in: "e", was: `message Event { Kind a = 1; } enum Kind { PENDING = 0; SENT = 1; }`, is: `message Event { Kind a = 1; } enum Kind { UNSPECIFIED = 0; PENDING = 1; SENT = 2; }`,
		event: `a: PENDING`, reads: `a: UNSPECIFIED`, wire: misreads, json: misreads, buf: true},
	{name: "value 0 renumbered, with the word optional", in: "3", was: `message Event { optional Kind a = 1; } enum Kind { PENDING = 0; SENT = 1; }`, is: `message Event { optional Kind a = 1; } enum Kind { UNSPECIFIED = 0; PENDING = 1; SENT = 2; }`,
		event: `a: PENDING`, reads: `a: UNSPECIFIED`, wire: misreads, json: misreads, buf: true},
	{name: "value 0 renumbered, which is not stored", in: "3", was: `message Event { Kind a = 1; } enum Kind { PENDING = 0; SENT = 1; }`, is: `message Event { Kind a = 1; } enum Kind { UNSPECIFIED = 0; PENDING = 1; SENT = 2; }`,
		event: `a: PENDING`, reads: `a: UNSPECIFIED`, wire: misreads, json: misreads, buf: true},
	{name: "value 0 renumbered, which is not stored by features", in: "e", was: `message Event { Kind a = 1 [features.field_presence = IMPLICIT]; } enum Kind { PENDING = 0; SENT = 1; }`, is: `message Event { Kind a = 1 [features.field_presence = IMPLICIT]; } enum Kind { UNSPECIFIED = 0; PENDING = 1; SENT = 2; }`,
		event: `a: PENDING`, reads: `a: UNSPECIFIED`, wire: misreads, json: misreads, buf: true},
	{name: "value 0 renumbered, which a nested message does not store", in: "3", was: `message Event { repeated Item a = 1; } message Item { Kind b = 1; } enum Kind { PENDING = 0; SENT = 1; }`, is: `message Event { repeated Item a = 1; } message Item { Kind b = 1; } enum Kind { UNSPECIFIED = 0; PENDING = 1; SENT = 2; }`,
		event: `a: {b: PENDING}`, reads: `a: {b: UNSPECIFIED}`, wire: misreads, json: misreads, buf: true},
	{name: "reserved value used", was: `message Event { ~Kind a = 1; } enum Kind { NONE = 0; reserved 2; }`, is: `message Event { ~Kind a = 1; } enum Kind { NONE = 0; SENT = 2; }`,
		event: `a: NONE`, wire: misreads, json: safe, buf: true},
	{name: "first value changed", in: "2", was: `message Event { ~Kind a = 1; ~int32 b = 2; } enum Kind { NONE = 0; SENT = 1; }`, is: `message Event { ~Kind a = 1; ~int32 b = 2; } enum Kind { SENT = 1; NONE = 0; }`,
		event: `b: 1`, wire: misreads, json: misreads, buf: true},
	{name: "open enum closed", in: "e", was: `message Event { ~Kind a = 1; } enum Kind { NONE = 0; }`, is: `message Event { ~Kind a = 1; } enum Kind { option features.enum_type = CLOSED; NONE = 0; }`,
		event: `a: 7`, wire: misreads, json: safe, why: "What has no name in the enum is lost to programs in most languages, and an open enum may have stored it."},
	{name: "enum to int32", was: `message Event { ~Kind a = 1; } enum Kind { NONE = 0; SENT = 1; }`, is: `message Event { ~int32 a = 1; }`,
		event: `a: SENT`, reads: `a: 1`, wire: safe, json: misreads, buf: true},

	// Messages in messages.
	{name: "field of a nested message", was: `message Event { repeated Item a = 1; } message Item { ~string n = 1; }`, is: `message Event { repeated Item a = 1; } message Item { ~int64 n = 1; }`,
		event: `a: {n: "x"}`, reads: `a: {}`, wire: misreads, json: misreads, buf: true},
	{name: "field of a message in a map", was: `message Event { map<string, Item> a = 1; } message Item { ~string n = 1; }`, is: `message Event { map<string, Item> a = 1; } message Item { ~int64 n = 1; }`,
		event: `a: {key: "k" value: {n: "x"}}`, reads: `a: {key: "k" value: {}}`, wire: misreads, json: misreads, buf: true},
	{name: "field of a message that has itself", was: `message Event { ~Event a = 1; ~string n = 2; }`, is: `message Event { ~Event a = 1; ~int64 n = 2; }`,
		event: `a: {a: {n: "x"}}`, reads: `a: {a: {}}`, wire: misreads, json: misreads, buf: true},
	{name: "another message", was: `message Event { ~Item a = 1; } message Item { ~string n = 1; }`, is: `message Event { ~User a = 1; } message User { ~int64 id = 1; }`,
		event: `a: {n: "x"}`, reads: `a: {}`, wire: misreads, json: misreads, buf: true},
	{name: "message to string", was: `message Event { ~Item a = 1; } message Item { ~string n = 1; }`, is: `message Event { ~string a = 1; }`,
		event: `a: {n: "x"}`, reads: `a: "\n\001x"`, wire: misreads, json: misreads, buf: true},
	{name: "message to a well-known one", was: `message Event { ~Stamp a = 1; } message Stamp { ~int64 seconds = 1; ~int32 nanos = 2; }`, is: `import "google/protobuf/timestamp.proto"; message Event { ~google.protobuf.Timestamp a = 1; }`,
		event: `a: {seconds: 1}`, wire: safe, json: misreads, buf: true},
	{name: "message delimited", in: "e", was: `message Event { Item a = 1; } message Item { string n = 1; }`, is: `message Event { Item a = 1 [features.message_encoding = DELIMITED]; } message Item { string n = 1; }`,
		event: `a: {n: "x"}`, reads: ` `, wire: misreads, json: safe, buf: true},
	{name: "group to message", in: "2", was: `message Event { optional group Item = 1 { optional string n = 1; } }`, is: `message Event { optional Item item = 1; message Item { optional string n = 1; } }`,
		event: `Item: {n: "x"}`, reads: ` `, wire: misreads, json: safe, buf: true},
}

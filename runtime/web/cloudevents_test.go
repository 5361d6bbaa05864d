package web

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// protos are the test's, known to the program as those of generated code are.
var protos = sync.OnceValues(func() (linker.Files, error) {
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		ImportPaths: []string{"testdata", "../../internal/acceptance/testdata/cloudevents"},
	})}
	files, err := compiler.Compile(context.Background(), "cloudevents.proto", "events.proto")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if err := protoregistry.GlobalFiles.RegisterFile(file); err != nil {
			return nil, err
		}
		messages := file.Messages()
		for i := range messages.Len() {
			if err := protoregistry.GlobalTypes.RegisterMessage(dynamicpb.NewMessageType(messages.Get(i))); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
})

// descriptor returns what is declared in the protos by a full name.
func descriptor(t *testing.T, name protoreflect.FullName) protoreflect.Descriptor {
	t.Helper()
	files, err := protos()
	if err != nil {
		t.Fatal(err)
	}
	found, err := files.AsResolver().FindDescriptorByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func newMessage(t *testing.T, name protoreflect.FullName) protoreflect.Message {
	t.Helper()
	return dynamicpb.NewMessage(descriptor(t, name).(protoreflect.MessageDescriptor))
}

// fieldsOf are the fields of the events of the protos, as generated code names them.
var fieldsOf = map[protoreflect.FullName]server.Fields{
	"webtest.StructEvent":          {ID: "event_id", Source: "source", Type: "type", Subject: "subject", Time: "time", Data: "data"},
	"webtest.PlainEvent":           {Source: "source", Type: "type", Time: "at", Unit: time.Second, Data: "data"},
	"webtest.KeepingEvent":         {Source: "source", Type: "type", Data: "data", Attributes: "extensions"},
	"webtest.OddEvent":             {ID: "event_id", Source: "source", Type: "type", Subject: "user.id", Time: "at_us", Unit: time.Microsecond, Data: "data"},
	"webtest.NoData":               {Source: "source", Type: "type"},
	"webtest.NoSource":             {Type: "type"},
	"webtest.ValueEvent":           {Source: "source", Data: "data"},
	"io.cloudevents.v1.CloudEvent": {ID: "id", Source: "source", Type: "type"},
}

// head makes headers of lines "name: value".
func head(lines ...string) http.Header {
	header := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		header.Add(name, value)
	}
	return header
}

// minimal is the least that an event needs, by headers.
var minimal = []string{"ce-specversion: 1.0", "ce-id: 1", "ce-source: /s", "ce-type: t"}

func with(lines ...string) http.Header { return head(slices.Concat(minimal, lines)...) }

// in makes an event in JSON of the least that it needs, and more members.
func in(members string) string {
	if members != "" {
		members = "," + members
	}
	return `{"specversion":"1.0","id":"1","source":"/s","type":"t"` + members + `}`
}

func asJSON(contentType string) http.Header { return head("Content-Type: " + contentType) }

// TestEventsAreRead reads requests by the rules of the HTTP binding and the JSON format.
func TestEventsAreRead(t *testing.T) {
	structured, batch := asJSON("application/cloudevents+json"), asJSON("application/cloudevents-batch+json; charset=UTF-8")
	for name, test := range map[string]struct {
		header http.Header
		body   string
		want   string // attributes besides the least, then what the data is
	}{
		"binary":                    {with("Content-Type: text/plain"), "hello", "datacontenttype=text/plain data=hello"},
		"binary, no data":           {with(), "", ""},
		"binary, no type":           {with(), "\x00\xff", "data=\x00\xff"},
		"binary JSON":               {with("Content-Type: application/json"), `{ "b": 1, "a": 2 }`, `datacontenttype=application/json data={"a":2,"b":1}`},
		"percent":                   {with("ce-subject: Euro%20%E2%82%AC%20%F0%9F%98%80"), "", "subject=Euro € 😀"},
		"percent once":              {with("ce-subject: 100%2525"), "", "subject=100%25"},
		"percent, small letters":    {with("ce-subject: %e2%82%ac"), "", "subject=€"},
		"quoted":                    {with(`ce-subject: "a \"b\" \\ %22"`), "", `subject=a "b" \ "`},
		"quoted in part":            {with(`ce-subject: a"b c"d`), "", `subject=ab cd`},
		"UTF-8":                     {with("ce-subject: €"), "", "subject=€"},
		"an empty extension":        {with("ce-empty: "), "", "empty="},
		"capitals in headers":       {with("CE-MyExt1: x"), "", "myext1=x"},
		"other headers":             {with("X-Ce-a: 1", "Cedar: 2"), "", ""},
		"a time":                    {with("ce-time: 2026-11-27T09:30:00.123456789+01:00"), "", "time=2026-11-27T09:30:00.123456789+01:00"},
		"structured":                {structured, in(`"data": {"b": 1, "a": "<"}`), `datacontenttype=application/json data={"a":"<","b":1}`},
		"structured, no data":       {structured, in(`"datacontenttype": "text/plain"`), "datacontenttype=text/plain"},
		"structured, data is null":  {structured, in(`"data": null`), "datacontenttype=application/json data=null"},
		"structured, JSON string":   {structured, in(`"data": "a", "datacontenttype": "application/json"`), `datacontenttype=application/json data="a"`},
		"structured text":           {structured, in(`"data": "a", "datacontenttype": "text/plain"`), `datacontenttype=text/plain data=a`},
		"structured base64":         {structured, in(`"data_base64": "AP8="`), "data=\x00\xff"},
		"structured base64 of JSON": {structured, in(`"data_base64": "eyAiYSI6MX0=", "datacontenttype": "application/json"`), `datacontenttype=application/json data={"a":1}`},
		"structured, types":         {structured, in(`"a": true, "b": -7, "c": "x", "d": null, "e": false`), "a=true b=-7 c=x e=false"},
		"structured, null is none":  {structured, in(`"subject": null, "time": null`), ""},
		"structured, the same headers": {func() http.Header {
			h := with("ce-subject: a%20b")
			h.Set("Content-Type", "application/cloudevents+json")
			return h
		}(), in(`"subject": "a b"`), "subject=a b"},
		"a batch":         {batch, "[" + in(`"subject":"a"`) + "," + in(`"data":1`) + "]", "subject=a; datacontenttype=application/json data=1"},
		"a batch of none": {batch, " [ ] ", "none"},
	} {
		events, isBatch, err := readEvents(test.header, []byte(test.body), 1000)
		if err != nil || isBatch != strings.HasPrefix(name, "a batch") {
			t.Errorf("%s: %v, batch %v", name, err, isBatch)
			continue
		}
		var all []string
		for _, event := range events {
			var parts []string
			for name, value := range event.attributes {
				if !slices.Contains(requiredAttributes, name) {
					parts = append(parts, name+"="+value)
				}
			}
			slices.Sort(parts)
			if event.data != nil {
				parts = append(parts, "data="+string(event.data))
			}
			all = append(all, strings.Join(parts, " "))
		}
		if len(events) == 0 {
			all = []string{"none"}
		}
		if got := strings.Join(all, "; "); got != test.want {
			t.Errorf("%s: read %q, want %q", name, got, test.want)
		}
	}
}

// TestRequestsAreRefused sends what the specification does not allow.
func TestRequestsAreRefused(t *testing.T) {
	without := func(name string) http.Header { h := with(); h.Del(name); return h }
	changed := func(line string) http.Header {
		name, value, _ := strings.Cut(line, ": ")
		h := with()
		h.Set(name, value)
		return h
	}
	structured, batch := asJSON("application/cloudevents+json"), asJSON("application/cloudevents-batch+json")
	for name, test := range map[string]struct {
		header http.Header
		body   string
		status int
		text   string
	}{
		"no event":                     {head("Content-Type: application/json"), "{}", 400, "not a CloudEvent"},
		"no specversion":               {without("Ce-Specversion"), "", 400, "attribute specversion is missing"},
		"no id":                        {without("Ce-Id"), "", 400, "attribute id is missing"},
		"no source":                    {without("Ce-Source"), "", 400, "attribute source is missing"},
		"no type":                      {without("Ce-Type"), "", 400, "attribute type is missing"},
		"an empty id":                  {changed("ce-id: "), "", 400, "attribute id is missing"},
		"specversion 0.3":              {changed("ce-specversion: 0.3"), "", 400, `attribute specversion is "0.3"`},
		"an empty subject":             {with("ce-subject: "), "", 400, "attribute subject is empty"},
		"two ids":                      {with("ce-id: 2"), "", 400, "attribute id is there twice"},
		"two content types":            {with("Content-Type: text/plain", "Content-Type: text/html"), "", 400, "two headers Content-Type"},
		"no content type":              {with("Content-Type: text"), "x", 200, ""},
		"a wrong content type":         {with("Content-Type: ;;"), "x", 415, "Content-Type"},
		"ce-datacontenttype":           {with("ce-datacontenttype: text/plain"), "", 400, "attribute datacontenttype comes as"},
		"a dash in a name":             {with("ce-my-ext: 1"), "", 400, "attribute my-ext has a name"},
		"data as a header":             {with("ce-data: 1"), "", 400, "attribute data has a name"},
		"half an escape":               {with("ce-subject: 100%2"), "", 400, `attribute subject has a "%" without`},
		"no escape":                    {with("ce-subject: 100%zz"), "", 400, `attribute subject has a "%" without`},
		"a signed escape":              {with("ce-subject: %+1"), "", 400, `attribute subject has a "%" without`},
		"an open quotation":            {with(`ce-subject: "a`), "", 400, "attribute subject begins a quotation"},
		"escapes of no UTF-8":          {with("ce-subject: %ff"), "", 400, "attribute subject is not valid UTF-8"},
		"bytes of no UTF-8":            {with("ce-subject: \xff"), "", 400, "attribute subject is not valid UTF-8"},
		"a control character":          {with("ce-subject: a%0ab"), "", 400, "attribute subject has a control character"},
		"NUL in an extension":          {with("ce-ext: %00"), "", 400, "attribute ext has a control character"},
		"no time":                      {with("ce-time: yesterday"), "", 400, "attribute time is not a time"},
		"a time without zone":          {with("ce-time: 2026-11-27T09:30:00"), "", 400, "attribute time is not a time"},
		"a comma in a time":            {with("ce-time: 2026-11-27T09:30:00,5Z"), "", 400, "attribute time is not a time"},
		"no JSON":                      {with("Content-Type: application/json"), "{", 400, "the data is application/json, but it is not valid JSON"},
		"a name twice in data":         {with("Content-Type: application/json"), `{"a":1,"a":2}`, 400, `"a" twice`},
		"another format":               {head("Content-Type: application/cloudevents+avro"), "x", 415, "application/cloudevents+avro is not supported"},
		"another charset":              {head("Content-Type: application/cloudevents+json; charset=utf-16"), in(""), 415, "utf-16"},
		"structured, no JSON":          {structured, "{", 400, "not a CloudEvent in JSON"},
		"structured, an array":         {structured, "[]", 400, "not a JSON object"},
		"structured, nothing":          {structured, "", 400, "not a CloudEvent in JSON"},
		"structured, twice":            {structured, in(`"id":"2"`), 400, `"id" twice`},
		"structured, no id":            {structured, `{"specversion":"1.0","source":"/s","type":"t"}`, 400, "attribute id is missing"},
		"structured, id null":          {structured, `{"specversion":"1.0","source":"/s","type":"t","id":null}`, 400, "attribute id is missing"},
		"structured, a number id":      {structured, `{"specversion":"1.0","source":"/s","type":"t","id":7}`, 400, "attribute id is not a string: 7"},
		"structured, capitals":         {structured, in(`"myExt":"x"`), 400, `attribute "myExt" has a name`},
		"structured, an object":        {structured, in(`"ext":{}`), 400, "attribute ext is not a string"},
		"structured, a fraction":       {structured, in(`"ext":1.5`), 400, "attribute ext is not a string"},
		"structured, 33 bits":          {structured, in(`"ext":4294967296`), 400, "attribute ext is not a string"},
		"structured, both data":        {structured, in(`"data":1,"data_base64":"AA=="`), 400, "both data and data_base64"},
		"structured, no base64":        {structured, in(`"data_base64":"A"`), 400, "data_base64"},
		"structured, base64 URL":       {structured, in(`"data_base64":"_w=="`), 400, "data_base64"},
		"structured, base64 of a line": {structured, in(`"data_base64":"AA\n=="`), 400, "data_base64"},
		"structured, base64 1":         {structured, in(`"data_base64":1`), 400, "data_base64"},
		"structured, text is {}":       {structured, in(`"data":{},"datacontenttype":"text/plain"`), 400, "attribute datacontenttype is text/plain, so data must be a string"},
		"structured, wrong type":       {structured, in(`"datacontenttype":";"`), 400, "attribute datacontenttype is not a content type"},
		"other headers": {func() http.Header {
			h := with("ce-ext: x")
			h.Set("Content-Type", "application/cloudevents+json")
			return h
		}(), in(""), 400, "attribute ext is not the same in the header and in the body"},
		"a batch, one event":           {batch, in(""), 400, "not a JSON array"},
		"a batch, one is wrong":        {batch, "[" + in("") + `,{"id":"2"}]`, 400, "event 2 of 2: the attribute specversion is missing"},
		"a batch, one is not an event": {batch, `["x"]`, 400, "not a JSON object"},
	} {
		_, _, err := readEvents(test.header, []byte(test.body), 1000)
		if test.status == 200 {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		why, ok := err.(*refused)
		if !ok || why.status != test.status || !strings.Contains(why.text, test.text) {
			t.Errorf("%s: %v, want %d with %q", name, err, test.status, test.text)
		}
	}
}

// TestEventsAreHeld puts events into messages of all shapes.
func TestEventsAreHeld(t *testing.T) {
	base := `source: "/s" type: "t" `
	for name, test := range map[string]struct {
		message protoreflect.FullName
		header  http.Header
		body    string
		want    string // in protobuf's text format, or why not
	}{
		"all": {"webtest.StructEvent", with("ce-subject: x", "ce-time: 2026-11-27T09:30:00.000000001+01:00", "Content-Type: application/json; charset=utf-8"), `{"a":[1]}`,
			base + `event_id: "1" subject: "x" time { seconds: 1795768200 nanos: 1 } data { fields { key: "a" value { list_value { values { number_value: 1 } } } } }`},
		"the least":              {"webtest.PlainEvent", with(), "", base},
		"whole seconds":          {"webtest.PlainEvent", with("ce-time: 2026-11-27T09:30:00.9Z"), "", base + "at: 1795771800"},
		"before 1970":            {"webtest.PlainEvent", with("ce-time: 1969-12-31T23:59:58.5Z"), "", base + "at: -2"},
		"text":                   {"webtest.PlainEvent", with("Content-Type: text/plain; charset=UTF-8"), "é\n", base + `data: "é\n"`},
		"text of no type":        {"webtest.PlainEvent", with(), "x", base + `data: "x"`},
		"JSON as text":           {"webtest.PlainEvent", with("Content-Type: application/json"), ` {"b":1, "a":2}`, base + `data: '{"a":2,"b":1}'`},
		"a trace":                {"webtest.PlainEvent", with("ce-traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "ce-tracestate: a=b"), "", base},
		"bytes":                  {"webtest.KeepingEvent", with(), "\x00\xff", base + `data: "\x00\xff"`},
		"what a map keeps":       {"webtest.KeepingEvent", with("ce-ext: x", "ce-subject: s", "ce-time: 2026-11-27T09:30:00Z", "Content-Type: image/png; a=b", "ce-dataschema: /d", "ce-traceparent: 00-x"), "x", base + `data: "x" extensions { key: "ext" value: "x" } extensions { key: "subject" value: "s" } extensions { key: "time" value: "2026-11-27T09:30:00Z" } extensions { key: "datacontenttype" value: "image/png; a=b" } extensions { key: "dataschema" value: "/d" } extensions { key: "traceparent" value: "00-x" }`},
		"numbers, enums, nested": {"webtest.OddEvent", head("ce-specversion: 1.0", "ce-id: 7", "ce-source: 4294967295", "ce-type: SOLD", "ce-subject: u", "ce-time: 1970-01-01T00:00:01.0000015Z", "Content-Type: application/json"), `{"what":"x","amount":2}`, `event_id: 7 source: 4294967295 type: SOLD user { id: "u" } at_us: 1000001 data { what: "x" amount: 2 }`},
		"protobuf":               {"webtest.OddEvent", head("ce-specversion: 1.0", "ce-id: 7", "ce-source: 1", "ce-type: SOLD", "ce-dataschema: webtest.Payload", "Content-Type: application/protobuf"), "\x0a\x01x\x10\x02", `event_id: 7 source: 1 type: SOLD data { what: "x" amount: 2 }`},
		"the name as the type":   {"webtest.ValueEvent", head("ce-specversion: 1.0", "ce-id: 7", "ce-source: 1", "ce-type: webtest.ValueEvent", "Content-Type: application/json"), "null", `source: "1" data { null_value: NULL_VALUE }`},
		"CloudEvent": {"io.cloudevents.v1.CloudEvent", with("ce-subject: x", "ce-n: 7", "ce-time: 1970-01-01T00:00:01Z", "ce-dataschema: /d", "Content-Type: application/json"), `{ }`,
			base + `id: "1" spec_version: "1.0" text_data: "{}" attributes { key: "subject" value { ce_string: "x" } } attributes { key: "n" value { ce_string: "7" } } attributes { key: "time" value { ce_timestamp { seconds: 1 } } } attributes { key: "dataschema" value { ce_uri: "/d" } } attributes { key: "datacontenttype" value { ce_string: "application/json" } }`},
		"CloudEvent, binary": {"io.cloudevents.v1.CloudEvent", with(), "x", base + `id: "1" spec_version: "1.0" binary_data: "x"`},

		"an extension":           {"webtest.StructEvent", with("ce-ext: 1"), "", "400 the attribute ext can't be kept"},
		"a broken trace":         {"webtest.PlainEvent", with("ce-traceparent: 00-a"), "", "400 the attribute traceparent is not as W3C"},
		"a schema":               {"webtest.StructEvent", with("ce-dataschema: /x", "Content-Type: application/json"), "{}", "400 the attribute dataschema can't be kept"},
		"no field for a subject": {"webtest.PlainEvent", with("ce-subject: x"), "", "400 the attribute subject can't be kept"},
		"no field for data":      {"webtest.NoData", with(), "x", "400 the data can't be kept"},
		"no field for a source":  {"webtest.NoSource", with(), "", "400 the attribute source can't be kept"},
		"another type":           {"webtest.ValueEvent", with(), "", "400 the attribute type is \"t\", but webtest.ValueEvent has no field for it"},
		"XML in a string":        {"webtest.PlainEvent", with("Content-Type: application/xml"), "<a/>", "415 the attribute datacontenttype, application/xml, can't be kept"},
		"a parameter of JSON":    {"webtest.StructEvent", with("Content-Type: application/json; profile=x"), "{}", "415 the attribute datacontenttype"},
		"JSON of a subtype":      {"webtest.StructEvent", with("Content-Type: application/vnd.a+json"), "{}", "415 the attribute datacontenttype"},
		"text in a Struct":       {"webtest.StructEvent", with("Content-Type: text/plain"), "{}", "415 the data can't be kept: it is text/plain"},
		"a list in a Struct":     {"webtest.StructEvent", with("Content-Type: application/json"), "[]", "400 the data is not a valid google.protobuf.Struct"},
		"null in a Struct":       {"webtest.StructEvent", asJSON(structuredMode), in(`"data":null`), "400 the data is not a valid google.protobuf.Struct"},
		"no UTF-8 in a string":   {"webtest.PlainEvent", with("Content-Type: text/plain"), "\xff", "400 the data can't be kept: the field data holds text"},
		"an unknown member":      {"webtest.OddEvent", odd("Content-Type: application/json"), `{"who":1}`, `400 the data is not a valid webtest.Payload: .*unknown field "who"`},
		"no protobuf":            {"webtest.OddEvent", odd("Content-Type: application/protobuf"), "x", "400 the data is not a valid webtest.Payload"},
		"another schema":         {"webtest.OddEvent", odd("Content-Type: application/protobuf", "ce-dataschema: webtest.User"), "", "400 the attribute dataschema can't be kept"},
		"no number":              {"webtest.OddEvent", head("ce-specversion: 1.0", "ce-id: x", "ce-source: 1", "ce-type: SOLD"), "", `400 the attribute id is "x"`},
		"no value of an enum":    {"webtest.OddEvent", head("ce-specversion: 1.0", "ce-id: 7", "ce-source: 1", "ce-type: LOST"), "", `400 the attribute type is "LOST", which is not a value of webtest.Kind`},
		"a number with a sign":   {"webtest.OddEvent", head("ce-specversion: 1.0", "ce-id: +7", "ce-source: 1", "ce-type: SOLD"), "", `400 the attribute id is "\+7"`},
		"zero":                   {"webtest.OddEvent", head("ce-specversion: 1.0", "ce-id: 0", "ce-source: 1", "ce-type: SOLD"), "", `400 the attribute id is "0"`},
		"33 bits":                {"webtest.OddEvent", head("ce-specversion: 1.0", "ce-id: 7", "ce-source: 4294967296", "ce-type: SOLD"), "", `400 the attribute source is "4294967296"`},
		"after 2038 in 32 bits":  {"webtest.PlainEvent", with("ce-time: 2038-01-19T03:14:08Z"), "", "400 the attribute time is 2038-01-19T03:14:08Z, which the field at can't hold"},
		"1970":                   {"webtest.PlainEvent", with("ce-time: 1970-01-01T00:00:00Z"), "", "400 the attribute time"},
		"the year 0":             {"webtest.StructEvent", with("ce-time: 0000-01-01T00:00:00Z"), "", "400 the attribute time is 0000-01-01T00:00:00Z, which is not within"},
		"the year 0, CloudEvent": {"io.cloudevents.v1.CloudEvent", with("ce-time: 0000-01-01T00:00:00Z"), "", "400 the attribute time is 0000-01-01T00:00:00Z, which is not within"},
	} {
		t.Run(name, func(t *testing.T) { checkHeld(t, test.message, test.header, test.body, test.want) })
	}
}

// odd has the headers of an OddEvent, and more.
func odd(lines ...string) http.Header {
	return head(append([]string{"ce-specversion: 1.0", "ce-id: 7", "ce-source: 1", "ce-type: SOLD"}, lines...)...)
}

// decodeStrictly decodes data as calls do.
func decodeStrictly(data []byte, into proto.Message, isJSON bool) error {
	decode := proto.Unmarshal
	if isJSON {
		decode = protojson.Unmarshal
	}
	if err := decode(data, into); err != nil {
		return status.Errorf(codes.InvalidArgument, "the request is not a valid %s: %v", into.ProtoReflect().Descriptor().FullName(), err)
	}
	return nil
}

func checkHeld(t *testing.T, name protoreflect.FullName, header http.Header, body, want string) {
	message, fields := newMessage(t, name), fieldsOf[name]
	events, _, err := readEvents(header, []byte(body), 1000)
	if err != nil {
		t.Fatal(err)
	}
	err = fill(message, events[0], fields, decodeStrictly)
	if code, text, ok := strings.Cut(want, " "); ok && len(code) == 3 {
		why, ok := err.(*refused)
		if pattern := regexp.MustCompile("^" + text); !ok || fmt.Sprint(why.status) != code || !pattern.MatchString(strings.ReplaceAll(why.text, "\u00a0", " ")) {
			t.Errorf("error is %v, want %s", err, want)
		}
		return
	}
	held := newMessage(t, name).Interface()
	if err := prototext.Unmarshal([]byte(want), held); err != nil {
		t.Fatal(err)
	}
	if err != nil || !proto.Equal(message.Interface(), held) {
		t.Errorf("it holds\n%v (error %v), want\n%v", message, err, held)
	}
}

// TestAnEventIsTheSameInAllModes reads events in each mode, with data in each form.
func TestAnEventIsTheSameInAllModes(t *testing.T) {
	for name, test := range map[string]struct{ contentType, data, inJSON string }{
		"JSON":      {"application/json", `{"b":1.0, "a":"<é"}`, `{"a":"\u003c\u00e9","b":1.0}`},
		"text":      {"text/plain", "é", `"\u00e9"`},
		"binary":    {"image/png", "\x00\xff", ""},
		"protobuf":  {"application/protobuf", "\x0a\x01x", ""},
		"untyped":   {"", "\xff", ""},
		"JSON text": {"application/vnd.x+json", `"x"`, `"x"`},
		"no data":   {"", "", ""},
	} {
		attributes := map[string]any{"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "subject": "a b", "number": 7, "yes": true, "time": "2026-11-27T09:30:00Z"}
		header := with("ce-subject: a%20b", "ce-number: 7", "ce-yes: true", "ce-time: 2026-11-27T09:30:00Z")
		if test.contentType != "" {
			header.Set("Content-Type", test.contentType)
			attributes["datacontenttype"] = test.contentType
		}
		marshal := func() string {
			text, err := json.Marshal(attributes)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		attributes["data_base64"] = base64.StdEncoding.EncodeToString([]byte(test.data))
		structured := marshal()
		bodies := []struct {
			header http.Header
			body   string
		}{
			{header, test.data}, {asJSON(structuredMode), structured}, {asJSON(batchMode), "[" + structured + "]"},
		}
		if test.inJSON != "" {
			delete(attributes, "data_base64")
			attributes["data"] = json.RawMessage(test.inJSON)
			bodies = append(bodies, struct {
				header http.Header
				body   string
			}{asJSON(structuredMode), marshal()})
		}
		for _, message := range []protoreflect.FullName{"io.cloudevents.v1.CloudEvent", "webtest.KeepingEvent"} {
			var first []byte
			for i, one := range bodies {
				events, _, err := readEvents(one.header, []byte(one.body), 1000)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				into := newMessage(t, message)
				if err := fill(into, events[0], fieldsOf[message], decodeStrictly); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(into.Interface())
				if err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					first = bytes
				} else if string(bytes) != string(first) {
					t.Errorf("%s: in mode %d, %s is %v", name, i, message, into)
				}
			}
		}
	}
}

const (
	traceA = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	traceB = "00-0af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01"
)

// intake implements the services of the protos: it keeps what comes.
type intake struct {
	mu    sync.Mutex
	calls []string // each as "RPC id traceparent!: event | event", with the id that an event without one gets, and a mark if the log keeps the trace
	fail  func(call int) error
}

func (in *intake) take(ctx context.Context, rpc string, messages []*dynamicpb.Message) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.fail != nil {
		if err := in.fail(len(in.calls)); err != nil {
			return err
		}
	}
	md, _ := metadata.FromIncomingContext(ctx)
	next := eventid.Next(ctx, 1)
	var texts []string
	for _, message := range messages {
		texts = append(texts, strings.Join(strings.Fields(prototext.MarshalOptions{}.Format(message)), " "))
	}
	id := next()
	if len(id) == 36 || len(id) == 38 {
		id = "made" // a UUID
	}
	in.calls = append(in.calls, fmt.Sprintf("%s %s %s: %s", rpc, id, strings.Join(md.Get("traceparent"), ",")+kept(md), strings.Join(texts, " | ")))
	return nil
}

// kept returns a mark if the log would keep the trace of the event.
func kept(md metadata.MD) string {
	if own := md.Get("ce-traceparent"); len(own) > 0 && slices.Equal(own, md.Get("traceparent")) {
		return "!"
	}
	return ""
}

// service returns a service of the protos that the intake implements. Its RPCs take
// events if their requests are or hold some.
func (in *intake) service(t *testing.T, name protoreflect.FullName) server.Service {
	t.Helper()
	desc := &grpc.ServiceDesc{ServiceName: string(name), HandlerType: (*any)(nil)}
	rpcs := map[string]server.RPC{}
	methods := descriptor(t, name).(protoreflect.ServiceDescriptor).Methods()
	for i := range methods.Len() {
		method := methods.Get(i)
		rpc, input := string(method.Name()), method.Input()
		if fields, ok := fieldsOf[input.FullName()]; ok {
			rpcs[rpc] = server.RPC{Sources: sources(nil)}.WithFields(fields)
		} else if input.Fields().Len() > 0 {
			holder := input.Fields().Get(0)
			fields := fieldsOf[holder.Message().FullName()]
			fields.Holder = string(holder.Name())
			rpcs[rpc] = server.RPC{Sources: sources(holder)}.WithFields(fields)
		}
		if !method.IsStreamingClient() {
			desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: rpc, Handler: func(_ any, ctx context.Context, decode func(any) error, through grpc.UnaryServerInterceptor) (any, error) {
				request := dynamicpb.NewMessage(input)
				if err := decode(request); err != nil {
					return nil, err
				}
				handle := func(ctx context.Context, request any) (any, error) {
					return dynamicpb.NewMessage(method.Output()), in.take(ctx, rpc, []*dynamicpb.Message{request.(*dynamicpb.Message)})
				}
				if through == nil {
					return handle(ctx, request)
				}
				return through(ctx, request, &grpc.UnaryServerInfo{}, handle)
			}})
			continue
		}
		desc.Streams = append(desc.Streams, grpc.StreamDesc{StreamName: rpc, ClientStreams: true, ServerStreams: method.IsStreamingServer(), Handler: func(_ any, stream grpc.ServerStream) error {
			var all []*dynamicpb.Message
			for {
				request := dynamicpb.NewMessage(input)
				if err := stream.RecvMsg(request); err == io.EOF {
					break
				} else if err != nil {
					return err
				}
				all = append(all, request)
				if method.IsStreamingServer() {
					if err := stream.SendMsg(dynamicpb.NewMessage(method.Output())); err != nil {
						return err
					}
				}
			}
			if err := in.take(eventid.Sequence(stream.Context()), rpc, all); err != nil || method.IsStreamingServer() {
				return err
			}
			return stream.SendMsg(dynamicpb.NewMessage(method.Output()))
		}})
	}
	return server.Service{Desc: desc, Impl: in, RPCs: rpcs}
}

// sources returns how a guard finds the sources in requests of dynamic messages.
func sources(holder protoreflect.FieldDescriptor) func(any, func(string) error) error {
	return func(request any, each func(string) error) error {
		events := []protoreflect.Message{request.(*dynamicpb.Message)}
		if holder != nil && holder.IsList() {
			list := events[0].Get(holder).List()
			events = nil
			for i := range list.Len() {
				events = append(events, list.Get(i).Message())
			}
		} else if holder != nil {
			events[0] = events[0].Get(holder).Message()
		}
		for _, event := range events {
			if err := each(event.Get(event.Descriptor().Fields().ByName("source")).String()); err != nil {
				return err
			}
		}
		return nil
	}
}

// serveEvents serves the services of the protos by HTTP, and returns the address.
func serveEvents(t *testing.T, in *intake, change func(*server.Config, *Config), options ...server.Option) string {
	t.Helper()
	config := server.Defaults(t.Name())
	config.Addr, config.LogLevel = "127.0.0.1:0", slog.LevelError+1
	http := &port{config: Config{Addr: "127.0.0.1:0"}}
	if change != nil {
		change(&config, &http.config)
	}
	for _, name := range []protoreflect.FullName{"webtest.Intake", "webtest.Nameless", "webtest.Own"} {
		options = append(options, in.service(t, name))
	}
	return listen(t, config, http, options...)
}

// listen serves until the test ends, and returns the address of events.
func listen(t *testing.T, config server.Config, http *port, options ...server.Option) string {
	t.Helper()
	running, err := server.Listen(config, append(options, server.Ports(http))...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- running.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + http.listener.Addr().String() + "/events/"
}

// send sends a request, and returns the answer and its body.
func send(t *testing.T, method, address string, header http.Header, body string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

// TestEventsComeToTheirRPC sends events to all kinds of RPC, and batches.
func TestEventsComeToTheirRPC(t *testing.T) {
	kept := &intake{}
	address := serveEvents(t, kept, nil)
	of := func(id, members string) string { return strings.Replace(in(members), `"id":"1"`, `"id":"`+id+`"`, 1) }
	two := "[" + of("1", "") + "," + of("2", "") + "]"
	traces := "[" + of("1", `"traceparent":"`+traceA+`"`) + "," + of("2", `"traceparent":"`+traceB+`"`) + "]"
	event := func(id string) string { return `event_id:"` + id + `" source:"/s" type:"t"` }
	plain := `source:"/s" type:"t"`
	own := func(id string) string { return `id:"` + id + `" source:"/s" spec_version:"1.0" type:"t"` }
	for _, test := range []struct {
		path, mode, body string
		want             []string
	}{
		{"webtest.Intake", structuredMode, of("1", ""), []string{"One 1 : event:{" + event("1") + "}"}},
		{"webtest.Intake/One", structuredMode, of("1", ""), []string{"One 1 : event:{" + event("1") + "}"}},
		{"webtest.Intake/Many", structuredMode, of("1", ""), []string{"Many 1 : events:{" + event("1") + "}"}},
		{"webtest.Intake/Upload", structuredMode, of("1", ""), []string{"Upload 1 : " + event("1")}},
		{"webtest.Intake/Talk", structuredMode, of("1", ""), []string{"Talk 1 : " + event("1")}},
		{"webtest.Intake", batchMode, two, []string{"Many made : events:{" + event("1") + "} events:{" + event("2") + "}"}},
		{"webtest.Intake/One", batchMode, two, []string{"One 1 : event:{" + event("1") + "}", "One 2 : event:{" + event("2") + "}"}},
		{"webtest.Intake/Upload", batchMode, two, []string{"Upload made : " + event("1") + " | " + event("2")}},
		{"webtest.Intake/Talk", batchMode, two, []string{"Talk made : " + event("1") + " | " + event("2")}},
		{"webtest.Intake", batchMode, traces, []string{"Many 1 " + traceA + "!: events:{" + event("1") + "}", "Many 2 " + traceB + "!: events:{" + event("2") + "}"}},
		{"webtest.Intake", batchMode, "[]", nil},
		{"webtest.Nameless", structuredMode, of("1", ""), []string{"One 1 : " + plain}},
		{"webtest.Nameless/Upload", structuredMode, of("1", ""), []string{"Upload 1 : " + plain}},
		{"webtest.Nameless/Many", structuredMode, of("1", ""), []string{"Many 1 : events:{" + plain + "}"}},
		{"webtest.Nameless", batchMode, two, []string{"Upload 1 : " + plain, "Upload 2 : " + plain}},
		{"webtest.Nameless/Many", batchMode, two, []string{"Many 1 : events:{" + plain + "}", "Many 2 : events:{" + plain + "}"}},
		{"webtest.Own", structuredMode, of("1", ""), []string{"One 1 : " + own("1")}},
		{"webtest.Own", batchMode, two, []string{"Many made : events:{" + own("1") + "} events:{" + own("2") + "}"}},
	} {
		kept.calls = nil
		header := asJSON(test.mode)
		header.Set("event-id", "of the call")
		answer, text := send(t, "POST", address+test.path, header, test.body)
		if answer.StatusCode != http.StatusNoContent || text != "" || !slices.Equal(kept.calls, test.want) {
			t.Errorf("%s to %s: %d %s\n%q, want\n%q", test.mode, test.path, answer.StatusCode, text, kept.calls, test.want)
		}
	}
}

// TestTheTraceOfAnEventGoesWithTheCall sends traces by headers.
func TestTheTraceOfAnEventGoesWithTheCall(t *testing.T) {
	kept := &intake{}
	address := serveEvents(t, kept, nil)
	for _, header := range []http.Header{
		with("ce-traceparent: "+traceA, "ce-tracestate: x=y", "traceparent: 00-hop"),
		with("traceparent: 00-hop"),
	} {
		send(t, "POST", address+"webtest.Nameless", header, "")
	}
	want := []string{`One 1 ` + traceA + `!: source:"/s" type:"t"`, `One 1 00-hop: source:"/s" type:"t"`}
	if !slices.Equal(kept.calls, want) {
		t.Errorf("the calls are %q, want %q", kept.calls, want)
	}
}

// TestEventsAreAnsweredByTheStatusOfTheirRPC makes an RPC fail in all ways, and calls what
// there is not.
func TestEventsAreAnsweredByTheStatusOfTheirRPC(t *testing.T) {
	kept := &intake{}
	address := serveEvents(t, kept, func(config *server.Config, _ *Config) { config.MaxMessageBytes, config.MaxBatch = 2000, 3 },
		server.Guards(server.Guard{Check: func(_ context.Context, call server.Call, request any) error {
			return call.RPC.Sources(request, func(source string) error {
				if source == "/others" {
					return status.Error(codes.PermissionDenied, "this key is for events of /s")
				}
				return nil
			})
		}}))
	failing := func(code codes.Code) error { return status.Error(code, "because") }
	full, _ := status.New(codes.ResourceExhausted, "full").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)})
	others := with()
	others.Set("ce-source", "/others")
	four := "[" + strings.Repeat(in("")+",", 3) + in("") + "]"
	for name, test := range map[string]struct {
		method, path string
		header       http.Header
		body         string
		fail         error
		status       int
		text, after  string
	}{
		"invalid":          {fail: failing(codes.InvalidArgument), status: 400, text: `"invalid_argument".*because`},
		"a conflict":       {fail: failing(codes.AlreadyExists), status: 409, text: `"already_exists"`},
		"no key":           {fail: failing(codes.Unauthenticated), status: 401, text: `"unauthenticated"`},
		"a rate":           {fail: failing(codes.ResourceExhausted), status: 429, text: "because", after: "1"},
		"full":             {fail: full.Err(), status: 429, text: "full", after: "2"},
		"unavailable":      {fail: failing(codes.Unavailable), status: 503, text: "because", after: "1"},
		"late":             {fail: failing(codes.DeadlineExceeded), status: 504, text: "because"},
		"not implemented":  {fail: failing(codes.Unimplemented), status: 501, text: "because"},
		"an inner error":   {fail: fmt.Errorf("password"), status: 500, text: "internal error"},
		"another source":   {header: others, status: 403, text: "this key is for events of /s"},
		"an attribute":     {header: with("ce-ext: x"), status: 400, text: "attribute ext can't be kept"},
		"too large":        {body: strings.Repeat("x", 2001), status: 413, text: "--max-message-bytes"},
		"too many":         {header: asJSON(batchMode), body: four, status: 413, text: "--max-batch"},
		"too many of none": {header: asJSON(batchMode), body: ` [ {"a": [1, "\\", ["\"]"]]}, 1, {}, {} ]`, status: 413, text: "4 events.*--max-batch"},
		"a content type":   {header: with("Content-Type: image/png"), body: "x", status: 415, text: "datacontenttype"},
		"another service":  {path: "webtest.Other", status: 404, text: `no service \\"webtest.Other\\" that takes events: there is webtest.Intake, webtest.Nameless, webtest.Own`},
		"another RPC":      {path: "webtest.Intake/Note", status: 404, text: "it has One, Many, Upload, Talk; without a name the first is meant"},
		"another path":     {path: "webtest.Intake/One/x", status: 404, text: "no RPC"},
		"GET":              {method: "GET", status: 405, text: "by POST"},
		"the second fails": {header: asJSON(batchMode), body: "[" + in("") + "," + in("") + "]", status: 503, text: "event 2 of 2: because .those before it are stored", after: "1", fail: failing(codes.Unavailable)},
	} {
		t.Run(name, func(t *testing.T) {
			kept.calls = nil
			kept.fail = func(call int) error {
				if name == "the second fails" && call == 0 {
					return nil
				}
				return test.fail
			}
			if test.header == nil {
				test.header = with()
			}
			answer, text := send(t, cmp.Or(test.method, "POST"), address+cmp.Or(test.path, "webtest.Nameless"), test.header, test.body)
			if answer.StatusCode != test.status || !regexp.MustCompile(test.text).MatchString(text) || answer.Header.Get("Retry-After") != test.after || answer.Header.Get("Content-Type") != "application/json" {
				t.Errorf("answer is %s %v %s, want %d, %s, Retry-After %q", answer.Status, answer.Header, text, test.status, test.text, test.after)
			}
		})
	}
}

// TestEventsForNoServiceAreToldWhatThereIs: by all methods, and without a redirect.
func TestEventsForNoServiceAreToldWhatThereIs(t *testing.T) {
	address := serveEvents(t, &intake{}, nil)
	for _, method := range []string{"POST", "GET", "OPTIONS", "PUT"} {
		for _, at := range []string{address, address + "/", strings.TrimSuffix(address, "/")} {
			answer, text := send(t, method, at, with(), "")
			if answer.StatusCode != http.StatusNotFound || answer.Request.Method != method || answer.Header.Get("Content-Type") != "application/json" || !strings.Contains(text, "one that takes events: webtest.Intake, webtest.Nameless, webtest.Own") {
				t.Errorf("%s %s: answer is %s %v %s", method, at, answer.Status, answer.Header, text)
			}
		}
	}
}

// TestWebhooksShakeHands asks as senders of webhooks do.
func TestWebhooksShakeHands(t *testing.T) {
	kept := &intake{}
	open := serveEvents(t, kept, func(_ *server.Config, config *Config) { config.WebhookOrigins = []string{"a.example"} })
	closed := serveEvents(t, kept, nil)
	for name, test := range map[string]struct {
		address, origin string
		status          int
		allowed         string
	}{
		"expected":       {open + "webtest.Intake", "a.example", 200, "a.example"},
		"another":        {open + "webtest.Intake", "b.example", 403, ""},
		"no service":     {open + "webtest.Other", "a.example", 404, ""},
		"none is":        {closed + "webtest.Intake", "a.example", 403, ""},
		"without asking": {open + "webtest.Intake", "", 204, ""},
	} {
		header := http.Header{}
		if test.origin != "" {
			header = head("WebHook-Request-Origin: "+test.origin, "WebHook-Request-Rate: 100")
		}
		answer, text := send(t, "OPTIONS", test.address, header, "")
		rate := ""
		if test.allowed != "" {
			rate = "*"
		}
		if answer.StatusCode != test.status || answer.Header.Get("WebHook-Allowed-Origin") != test.allowed || answer.Header.Get("WebHook-Allowed-Rate") != rate {
			t.Errorf("%s: answer is %s %v %s, want %d for %q", name, answer.Status, answer.Header, text, test.status, test.allowed)
		}
	}
	if len(kept.calls) > 0 {
		t.Errorf("RPCs were called: %q", kept.calls)
	}
}

// TestPagesOfOtherOriginsSendNoEvents sends what pages can send without asking, such as by
// forms, and what they can send once their host's name means this machine.
func TestPagesOfOtherOriginsSendNoEvents(t *testing.T) {
	kept := &intake{}
	address := serveEvents(t, kept, func(_ *server.Config, config *Config) { config.CORSOrigins = []string{"https://a.example"} })
	host := strings.TrimPrefix(address[:strings.Index(address, "/events/")], "http://")
	for _, origin := range []string{"https://b.example", "null", "http://" + host} {
		for _, method := range []string{"POST", "OPTIONS"} {
			header := with("Content-Type: text/plain", "Origin: "+origin)
			answer, text := send(t, method, address+"webtest.Nameless", header, "hello")
			if answer.StatusCode != http.StatusForbidden || !strings.Contains(text, "--cors-origins") || answer.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s of %s: %s %v %s", method, origin, answer.Status, answer.Header, text)
			}
		}
	}
	if len(kept.calls) > 0 {
		t.Errorf("RPCs were called: %q", kept.calls)
	}
}

// TestBodiesOfEventsKeepToTheLimits sends bodies that are compressed, of unknown length, or
// become large in memory.
func TestBodiesOfEventsKeepToTheLimits(t *testing.T) {
	kept := &intake{}
	address := serveEvents(t, kept, func(config *server.Config, _ *Config) { config.MaxMessageBytes = 100_000 })
	compressed := func(text string) string {
		var to bytes.Buffer
		writer := gzip.NewWriter(&to)
		if _, err := io.WriteString(writer, text); err != nil {
			t.Fatal(err)
		}
		if err := writer.Close(); err != nil {
			t.Fatal(err)
		}
		return to.String()
	}
	gzipped := with("Content-Encoding: gzip", "Content-Type: text/plain")
	for name, test := range map[string]struct {
		path    string
		header  http.Header
		body    string
		chunked bool
		status  int
		text    string
	}{
		"gzip":                    {path: "webtest.Nameless", header: gzipped, body: compressed("hello"), status: 204},
		"not gzip":                {path: "webtest.Nameless", header: gzipped, body: "hello", status: 400, text: "not in gzip"},
		"cut off gzip":            {path: "webtest.Nameless", header: gzipped, body: compressed("hello")[:20], status: 400, text: "not in gzip"},
		"much in little":          {path: "webtest.Nameless", header: gzipped, body: compressed(strings.Repeat("x", 100_001)), status: 413, text: "--max-message-bytes"},
		"just not too much":       {path: "webtest.Nameless", header: gzipped, body: compressed(strings.Repeat("x", 99_000)), status: 204},
		"another compression":     {path: "webtest.Nameless", header: with("Content-Encoding: br"), body: "x", status: 415, text: "Content-Encoding"},
		"of unknown length":       {path: "webtest.Nameless", header: with(), body: strings.Repeat("x", 99_000), chunked: true, status: 204},
		"too long, unknown":       {path: "webtest.Nameless", header: with(), body: strings.Repeat("x", 100_001), chunked: true, status: 413, text: "--max-message-bytes"},
		"many values":             {path: "webtest.Intake", header: with("Content-Type: application/json"), body: `{"a":[` + strings.Repeat("0,", 30_000) + `0]}`, status: 400, text: "the data would take more than"},
		"many values, in a batch": {path: "webtest.Intake", header: asJSON(batchMode), body: "[" + in("") + "," + in(`"data":{"a":[`+strings.Repeat("0,", 30_000)+`0]}`) + "]", status: 400, text: "event 2 of 2: the data would take more than"},
	} {
		t.Run(name, func(t *testing.T) {
			body := io.Reader(strings.NewReader(test.body))
			if test.chunked {
				body = io.MultiReader(body)
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+test.path, body)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = test.header
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != test.status || !regexp.MustCompile(test.text).Match(text) {
				t.Errorf("answer is %s %s, want %d with %q", answer.Status, text, test.status, test.text)
			}
		})
	}
}

// TestWhoMayNotCallIsNotRead sends an event that is not valid, without a key.
func TestWhoMayNotCallIsNotRead(t *testing.T) {
	kept := &intake{}
	address := serveEvents(t, kept, nil, server.Guards(server.Guard{Admit: func(ctx context.Context, _ server.Call) (context.Context, error) {
		if md, _ := metadata.FromIncomingContext(ctx); slices.Equal(md.Get("authorization"), []string{"Bearer key"}) {
			return ctx, nil
		}
		return nil, status.Error(codes.Unauthenticated, "no valid API key")
	}}))
	for _, body := range []string{"{", in(""), "[]"} {
		header := asJSON(structuredMode)
		answer, text := send(t, "POST", address+"webtest.Intake", header, body)
		if answer.StatusCode != http.StatusUnauthorized || answer.Header.Get("WWW-Authenticate") != "Bearer" || !strings.Contains(text, "no valid API key") {
			t.Errorf("without a key the answer is %s %v %s, want 401", answer.Status, answer.Header, text)
		}
	}
	header := asJSON(structuredMode)
	header.Set("Authorization", "Bearer key")
	if answer, text := send(t, "POST", address+"webtest.Intake", header, in("")); answer.StatusCode != http.StatusNoContent || len(kept.calls) != 1 {
		t.Errorf("with a key the answer is %s %s, and the calls are %q", answer.Status, text, kept.calls)
	}
}

// TestEventsThatAnRPCLeavesAreNotAcknowledged calls RPCs that answer before they have taken
// all events.
func TestEventsThatAnRPCLeavesAreNotAcknowledged(t *testing.T) {
	kept := &intake{}
	early := kept.service(t, "webtest.Intake")
	for i := range early.Desc.Streams {
		early.Desc.Streams[i].Handler = func(_ any, stream grpc.ServerStream) error {
			return stream.RecvMsg(newMessage(t, "webtest.StructEvent").Interface())
		}
	}
	config := server.Defaults(t.Name())
	config.Addr, config.LogLevel = "127.0.0.1:0", slog.LevelError+1
	port := &port{config: Config{Addr: "127.0.0.1:0"}}
	address := listen(t, config, port, early)
	answer, text := send(t, "POST", address+"webtest.Intake/Upload", asJSON(batchMode), "["+in("")+","+strings.Replace(in(""), `"id":"1"`, `"id":"2"`, 1)+"]")
	if answer.StatusCode != http.StatusInternalServerError || !strings.Contains(text, "before it had taken all events") {
		t.Errorf("answer is %s %s, want 500", answer.Status, text)
	}
}

// TestEventsByHTTP2LeaveNothing sends events by HTTP/2, some of which are refused, and
// waits until nothing waits any longer for their answers to be written.
func TestEventsByHTTP2LeaveNothing(t *testing.T) {
	config := server.Defaults(t.Name())
	config.Addr, config.LogLevel = "127.0.0.1:0", slog.LevelError+1
	port := &port{config: Config{Addr: "127.0.0.1:0"}}
	kept := &intake{}
	address := listen(t, config, port, kept.service(t, "webtest.Nameless"))
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: transport}
	defer client.CloseIdleConnections()
	for n := range 20 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"webtest.Nameless", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		want := http.StatusNoContent
		if request.Header = with("Content-Type: text/plain"); n%2 == 1 {
			request.Header.Del("ce-id")
			want = http.StatusBadRequest
		}
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want || answer.ProtoMajor != 2 {
			t.Fatalf("answer %d is %s by %s, want %d by HTTP/2", n, answer.Status, answer.Proto, want)
		}
	}
	if len(kept.calls) != 10 {
		t.Errorf("%d events have come, want 10", len(kept.calls))
	}
	for giveUp := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		var stacks bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
			t.Fatal(err)
		}
		waiting := strings.Count(stacks.String(), "web.answered.func")
		if waiting == 0 {
			return
		}
		if time.Now().After(giveUp) {
			t.Fatalf("%d goroutines still wait:\n%s", waiting, stacks.String())
		}
	}
}

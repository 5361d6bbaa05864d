// Package cloudevents sends events to a generated server with the official SDK of
// CloudEvents for Go, in all its modes, and its protobuf by gRPC.
package cloudevents

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	format "github.com/cloudevents/sdk-go/binding/format/protobuf/v2"
	"github.com/cloudevents/sdk-go/binding/format/protobuf/v2/pb"
	sdk "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	protocol "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/cloudevents/sdk-go/v2/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// shop is a generated server that is running.
type shop struct {
	dir        string // of its module
	grpc, http string // where it listens
	events     string // its log
}

// run runs a program, and returns what it printed.
func run(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	command := exec.Command(name, args...)
	command.Dir = dir
	var out, problems bytes.Buffer
	command.Stdout, command.Stderr = &out, &problems
	if err := command.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out.Bytes(), problems.Bytes())
	}
	return out.Bytes()
}

// generate makes a module of the proto, and builds its server.
func generate(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	generator := filepath.Join(dir, "protoc-gen-receiver")
	run(t, repository, "go", "build", "-o", generator, "./cmd/protoc-gen-receiver")
	for _, path := range []string{
		filepath.Join("testdata", "shop.proto"),
		filepath.Join(repository, "internal", "acceptance", "testdata", "cloudevents", "cloudevents.proto"),
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.Replace(text, []byte("example.com/intake/"), []byte("example.com/shop/"), 1)
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, "go", "mod", "init", "example.com/shop")
	run(t, dir, generator, "generate", "shop.proto", "cloudevents.proto")
	run(t, dir, "go", "mod", "tidy")
	run(t, dir, "go", "build", "-o", "shop-server", "./cmd/shop-server")
	return dir
}

// serve runs the server until the test ends.
func serve(t *testing.T) *shop {
	t.Helper()
	s := &shop{dir: generate(t)}
	s.events = "sqlite:" + filepath.Join(s.dir, "events.db")
	server := exec.Command(filepath.Join(s.dir, "shop-server"), "--addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--ops-addr", "", "--log-format", "json", "--events", s.events)
	log, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	timeout := time.AfterFunc(time.Minute, func() { _ = server.Process.Kill() })
	defer timeout.Stop()
	lines := bufio.NewScanner(log)
	var printed []string
	for (s.grpc == "" || s.http == "") && lines.Scan() {
		printed = append(printed, lines.Text())
		var line struct{ Msg, Addr string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			continue
		}
		switch line.Msg {
		case "serving":
			s.grpc = line.Addr
		case "serving HTTP":
			s.http = "http://" + line.Addr + "/events/"
		}
	}
	if s.grpc == "" || s.http == "" {
		_ = server.Wait()
		t.Fatalf("the server does not serve:\n%s", strings.Join(printed, "\n"))
	}
	go func() { _, _ = io.Copy(io.Discard, log) }()
	t.Cleanup(func() {
		if err := server.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := server.Wait(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// samples are events of all kinds, as a program that uses the SDK makes them.
func samples(t *testing.T, source string) (events []event.Event) {
	t.Helper()
	add := func(id, contentType string, data any, change func(*event.Event)) {
		e := event.New()
		e.SetID(id)
		e.SetSource(source)
		e.SetType("com.example.sold")
		if data != nil {
			if err := e.SetData(contentType, data); err != nil {
				t.Fatal(err)
			}
		}
		if change != nil {
			change(&e)
		}
		events = append(events, e)
	}
	add("least", "", nil, nil)
	add("json", "application/json", map[string]any{"b": "<é> & \"", "a": []any{1.5, nil, true}}, func(e *event.Event) {
		e.SetSubject("jérry's hat")
		e.SetTime(time.Date(2026, 11, 27, 9, 30, 0, 123456789, time.FixedZone("", 3600)))
	})
	add("json bytes", "application/json", []byte(`{ "z": 1.0, "a": 12345678901234567890 }`), nil)
	return events
}

// others are events for the service that takes all there are.
func others(t *testing.T) (events []event.Event) {
	t.Helper()
	events = samples(t, "/mirror")
	add := func(id, contentType string, data any, change func(*event.Event)) {
		e := events[1].Clone()
		e.SetID(id)
		if err := e.SetData(contentType, data); err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(&e)
		}
		events = append(events, e)
	}
	add("text", "text/plain", "a hat, é\n", nil)
	add("xml", "application/xml", []byte("<a/>"), nil)
	add("image", "image/png", []byte{0, 0xff, 'x'}, nil)
	add("subtype", "application/vnd.example+json", []byte(`[ 1, 2 ]`), nil)
	add("message", "application/protobuf", &emptypb.Empty{}, func(e *event.Event) { e.SetDataSchema("https://type.googleapis.com/google.protobuf.Empty") })
	add("extensions", "text/plain", "x", func(e *event.Event) {
		e.SetDataSchema("https://example.com/schema?a=b")
		e.SetExtension("text", "a, b")
		e.SetExtension("number", 42)
		e.SetExtension("yes", true)
		e.SetExtension("bytes", []byte{0xff})
		e.SetExtension("at", time.Date(2026, 11, 27, 9, 30, 0, 5, time.UTC))
		e.SetExtension("where", types.ParseURI("https://example.com/a").URL)
		e.SetExtension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	})
	return events
}

// newClient returns a client of the SDK that sends events as they are. That of
// NewClientHTTP gives those without a time another one each time that it sends them.
func newClient(t *testing.T) sdk.Client {
	t.Helper()
	byHTTP, err := sdk.NewHTTP()
	if err != nil {
		t.Fatal(err)
	}
	client, err := sdk.NewClient(byHTTP)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// send sends an event by HTTP, in one of the SDK's modes.
func send(t *testing.T, address string, mode binding.Encoding, e event.Event) {
	t.Helper()
	client := newClient(t)
	ctx := sdk.ContextWithTarget(t.Context(), address)
	if mode == binding.EncodingStructured {
		ctx = binding.WithForceStructured(ctx)
	} else {
		ctx = binding.WithForceBinary(ctx)
	}
	if result := client.Send(ctx, e); !sdk.IsACK(result) {
		t.Errorf("event %s in mode %s: %v", e.ID(), mode, result)
	}
}

// sendBatch sends events in one request.
func sendBatch(t *testing.T, address string, events []event.Event) {
	t.Helper()
	request, err := protocol.NewHTTPRequestFromEvents(t.Context(), address, events)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusNoContent {
		t.Errorf("the batch: %s %s %v", answer.Status, text, err)
	}
}

// stored is an event as the server's command prints it.
type stored struct {
	ID, Source, Type, Subject, DataSchema string
	Time                                  time.Time
	Data                                  json.RawMessage
	InBase64                              []byte `json:"data_base64"` // if the message has no JSON
}

// replay returns the stored events of a type of message, by their ids.
func (s *shop) replay(t *testing.T, schema string) map[string]stored {
	t.Helper()
	events := map[string]stored{}
	lines := json.NewDecoder(bytes.NewReader(run(t, s.dir, "./shop-server", "events", "replay", "--events", s.events)))
	for lines.More() {
		var one stored
		if err := lines.Decode(&one); err != nil {
			t.Fatal(err)
		}
		if one.DataSchema != schema {
			continue
		}
		if _, twice := events[one.ID]; twice {
			t.Errorf("event %s is stored twice", one.ID)
		}
		events[one.ID] = one
	}
	return events
}

// TestEachEventIsStoredOnce sends each event to a service that takes CloudEvents, and to
// one that takes messages of its own, in all modes and by gRPC, twice.
func TestEachEventIsStoredOnce(t *testing.T) {
	s := serve(t)
	t.Run("CloudEvents", s.testMirror)
	t.Run("messages of its own", s.testOrders)
}

func (s *shop) testMirror(t *testing.T) {
	connection, err := grpc.NewClient(s.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	events := others(t)
	for i := range 2 {
		var batch []byte // the SDK has no message for it
		for n, e := range events {
			message, err := format.ToProto(&e)
			if err != nil {
				t.Fatal(err)
			}
			encoded, err := proto.Marshal(message)
			if err != nil {
				t.Fatal(err)
			}
			batch = protowire.AppendBytes(protowire.AppendTag(batch, 1, protowire.BytesType), encoded)
			ways := []func(){
				func() { send(t, s.http+"shop.v1.Mirror", binding.EncodingBinary, e) },
				func() { send(t, s.http+"shop.v1.Mirror/Publish", binding.EncodingStructured, e) },
				func() {
					if err := connection.Invoke(t.Context(), "/shop.v1.Mirror/Publish", message, &emptypb.Empty{}); err != nil {
						t.Errorf("event %s by gRPC: %v", e.ID(), err)
					}
				},
				func() { sendBatch(t, s.http+"shop.v1.Mirror/Publish", []event.Event{e}) },
			}
			for way := range ways { // another one stores each
				ways[(way+n+i)%len(ways)]()
			}
		}
		sendBatch(t, s.http+"shop.v1.Mirror", events)
		all := &emptypb.Empty{}
		all.ProtoReflect().SetUnknown(batch)
		if err := connection.Invoke(t.Context(), "/shop.v1.Mirror/PublishMany", all, &emptypb.Empty{}); err != nil {
			t.Errorf("the batch by gRPC: %v", err)
		}
	}
	found := s.replay(t, "io.cloudevents.v1.CloudEvent")
	if len(found) != len(events) {
		t.Errorf("%d events are stored, want %d: %v", len(found), len(events), slices.Sorted(maps.Keys(found)))
	}
	for _, e := range events {
		one := found[e.ID()]
		if one.Source != e.Source() || one.Type != e.Type() || one.Subject != e.Subject() || !e.Time().IsZero() && !one.Time.Equal(e.Time()) {
			t.Errorf("event %s is stored with %q %q %q %v", e.ID(), one.Source, one.Type, one.Subject, one.Time)
		}
		var message pb.CloudEvent
		if one.Data != nil {
			err = protojson.Unmarshal(one.Data, &message)
		} else {
			err = proto.Unmarshal(one.InBase64, &message)
		}
		if err != nil {
			t.Errorf("event %s: %v", e.ID(), err)
			continue
		}
		if got, want := attributesOf(t, &message), attributesWanted(t, &e); !maps.Equal(got, want) {
			t.Errorf("event %s is stored as\n%q, want\n%q", e.ID(), got, want)
		}
	}
}

// attributesOf returns all that a message has, as text.
func attributesOf(t *testing.T, message *pb.CloudEvent) map[string]string {
	t.Helper()
	all := map[string]string{"specversion": message.GetSpecVersion(), "id": message.GetId(), "source": message.GetSource(), "type": message.GetType()}
	for name, value := range message.GetAttributes() {
		switch v := value.GetAttr().(type) {
		case *pb.CloudEventAttributeValue_CeString:
			all[name] = v.CeString
		case *pb.CloudEventAttributeValue_CeUri:
			all[name] = v.CeUri
		case *pb.CloudEventAttributeValue_CeTimestamp:
			all[name] = v.CeTimestamp.AsTime().Format(time.RFC3339Nano)
		default:
			t.Errorf("the attribute %s of %s is a %T", name, message.GetId(), v)
		}
	}
	switch v := message.GetData().(type) {
	case *pb.CloudEvent_TextData:
		all["data"] = v.TextData
	case *pb.CloudEvent_BinaryData:
		all["data"] = string(v.BinaryData)
	case *pb.CloudEvent_ProtoData:
		all["data"] = v.ProtoData.GetTypeUrl() + " " + string(v.ProtoData.GetValue())
	}
	return all
}

// attributesWanted returns all that an event has, as text. JSON is without spaces, with
// the names in order.
func attributesWanted(t *testing.T, e *event.Event) map[string]string {
	t.Helper()
	all := map[string]string{"specversion": "1.0", "id": e.ID(), "source": e.Source(), "type": e.Type()}
	for name, value := range map[string]string{"subject": e.Subject(), "datacontenttype": e.DataContentType(), "dataschema": e.DataSchema()} {
		if value != "" {
			all[name] = value
		}
	}
	if !e.Time().IsZero() {
		all["time"] = e.Time().UTC().Format(time.RFC3339Nano)
	}
	for name, value := range e.Extensions() {
		text, err := types.Format(value)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = text
	}
	switch data := e.Data(); {
	case strings.HasSuffix(e.DataContentType(), "json"):
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		var value any
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(value); err != nil {
			t.Fatal(err)
		}
		all["data"] = strings.TrimSpace(text.String())
	case e.DataContentType() == "application/protobuf":
		all["data"] = e.DataSchema() + " " + string(data)
	case len(data) > 0:
		all["data"] = string(data)
	}
	return all
}

func (s *shop) testOrders(t *testing.T) {
	events := samples(t, "/orders")
	for range 2 {
		for _, e := range events {
			send(t, s.http+"shop.v1.Orders", binding.EncodingBinary, e)
			send(t, s.http+"shop.v1.Orders/Report", binding.EncodingStructured, e)
			send(t, s.http+"shop.v1.Orders/ReportMany", binding.EncodingStructured, e)
		}
		sendBatch(t, s.http+"shop.v1.Orders", events)
		sendBatch(t, s.http+"shop.v1.Orders/Report", events)
	}
	found := s.replay(t, "shop.v1.OrderEvent")
	if len(found) != len(events) {
		t.Errorf("%d events are stored, want %d: %v", len(found), len(events), slices.Sorted(maps.Keys(found)))
	}
	for _, e := range events {
		one := found[e.ID()]
		var message struct {
			ID                          string `json:"event_id"`
			Source, Type, Subject, Time string
			Data                        any
		}
		if err := json.Unmarshal(one.Data, &message); err != nil {
			t.Errorf("event %s: %v", e.ID(), err)
			continue
		}
		when := ""
		if !e.Time().IsZero() {
			when = e.Time().UTC().Format(time.RFC3339Nano)
		}
		var data any
		if len(e.Data()) > 0 {
			if err := e.DataAs(&data); err != nil {
				t.Fatal(err)
			}
		}
		got := fmt.Sprint(one.ID, one.Source, one.Type, one.Subject, message.ID, message.Source, message.Type, message.Subject, message.Time, message.Data)
		want := fmt.Sprint(e.ID(), e.Source(), e.Type(), e.Subject(), e.ID(), e.Source(), e.Type(), e.Subject(), when, data)
		if got != want {
			t.Errorf("event %s is stored as\n%s, want\n%s", e.ID(), got, want)
		}
	}
	refused := events[1].Clone()
	refused.SetID("refused")
	refused.SetExtension("extra", "x")
	result := newClient(t).Send(sdk.ContextWithTarget(context.Background(), s.http+"shop.v1.Orders"), refused)
	if answer := (*protocol.Result)(nil); sdk.IsACK(result) || !sdk.ResultAs(result, &answer) || answer.StatusCode != http.StatusBadRequest {
		t.Errorf("an event with an extension that the message can't hold: %v, want 400", result)
	}
}

package servertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/guard"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/metrics"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/ops"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/web"
)

// collector is a service of which one RPC takes an event, and another some of them.
type collector struct {
	testpb.UnimplementedTestServiceServer
	log eventlog.Log
}

func (c collector) append(ctx context.Context, count int) error {
	_, err := eventlog.AppendMessages(ctx, c.log, slices.Repeat([]*testpb.Empty{{}}, count), func(*testpb.Empty) eventlog.Event {
		return eventlog.Event{ID: eventid.New(), Type: "collected"}
	})
	return err
}

func (c collector) UnaryCall(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return &testpb.SimpleResponse{}, c.append(ctx, 1)
}

func (c collector) StreamingOutputCall(request *testpb.StreamingOutputCallRequest, stream grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	return c.append(stream.Context(), len(request.ResponseParameters))
}

// mistakenMain is what main does in place of what it should.
type mistakenMain string

// run is the function of main.
func (m mistakenMain) run(ctx context.Context, args []string) error {
	var access guard.Config
	var httpPort web.Config
	var opsPort ops.Config
	if m == "ignores wrong flags" {
		args = slices.DeleteFunc(args, func(arg string) bool { return arg == "--no-such-flag" })
	}
	for name, command := range map[string]func(context.Context, string, []string, func(string) string, io.Writer) error{
		"events": func(ctx context.Context, program string, args []string, getenv func(string) string, out io.Writer) error {
			return operate.Events(ctx, program, args, getenv, out)
		},
		"keys": func(_ context.Context, program string, args []string, getenv func(string) string, out io.Writer) error {
			return guard.Keys(program, args, getenv, out)
		},
	} {
		if args[0] == name && m != "has no subcommand "+mistakenMain(name) {
			return command(ctx, "test-server", args[1:], os.Getenv, os.Stdout)
		}
	}
	config, err := server.Parse("test-server", args, os.Getenv, os.Stdout, access.Flags, httpPort.Flags, opsPort.Flags)
	if err != nil {
		return err
	}
	switch m {
	case "allows plaintext":
		config.Insecure = true
	case "has no reflection":
		config.Reflection = false
	case "lifts the limit of a message":
		config.MaxMessageBytes = 0
	case "lifts the limit of a batch":
		config.MaxBatch = 0
	case "has another log":
		config.Events = "sqlite:other.db"
	case "ignores its context":
		ctx = context.WithoutCancel(context.Background())
	case "ends with an error":
		return errors.New("no license")
	}
	log, err := eventlog.Open(ctx, config.Events)
	if err != nil {
		return err
	}
	stored, consumed := log, log
	for mistake, other := range map[mistakenMain]*eventlog.Log{"stores in another log": &stored, "consumes another log": &consumed} {
		if m != mistake {
			continue
		}
		if *other, err = eventlog.Open(ctx, "sqlite:other.db"); err != nil {
			return err
		}
		defer (*other).Close()
	}
	meter := metrics.New()
	options := map[mistakenMain]server.Option{
		"does not consume":     server.Alongside("consumer", func(ctx context.Context) error { return consume(ctx, consumed) }),
		"has a health without": server.Needs("event log", log.Check),
		"asks for no keys":     access.Option(),
		"has no HTTP":          httpPort.Option(),
		"has no probes":        opsPort.Option(),
		"has no metrics":       meter.Option(),
	}
	delete(options, m)
	service := server.Service{Desc: &testpb.TestService_ServiceDesc, Impl: collector{log: stored}, RPCs: map[string]server.RPC{
		"UnaryCall": server.TakesEvent(func(*testpb.SimpleRequest) string { return "" }),
		"StreamingOutputCall": server.TakesEvents((*testpb.StreamingOutputCallRequest).GetResponseParameters, func(*testpb.ResponseParameters) string { return "" }).
			WithFields(server.Fields{Holder: "response_parameters"}),
	}}
	if m == "serves nothing" {
		service.Impl = testpb.UnimplementedTestServiceServer{}
	}
	given := []server.Option{service}
	if m == "leaves out a service" {
		given = []server.Option{server.Service{Desc: &testpb.HookService_ServiceDesc, Impl: testpb.UnimplementedHookServiceServer{}}}
	}
	for _, option := range options {
		given = append(given, option)
	}
	protoregistry.GlobalFiles.RangeFilesByPackage("grpc.testing", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			given = append(given, server.Without(string(file.Services().Get(i).FullName())))
		}
		return true
	})
	err = server.Run(ctx, config, given...)
	if m == "leaves its log open" {
		return err
	}
	return errors.Join(err, log.Close())
}

func consume(ctx context.Context, log eventlog.Log) error {
	return eventlog.Consume(ctx, log, "mailer", func(context.Context, eventlog.Record) error { return nil })
}

// mistakeVariable is the environment variable with the mistake of the program under test, and
// patienceVariable that with how long it may take to do what it should.
const mistakeVariable, patienceVariable = "PROGRAM_MISTAKE", "PROGRAM_PATIENCE"

func TestProgram(t *testing.T) {
	m := mistakenMain(os.Getenv(mistakeVariable))
	if patience, err := time.ParseDuration(os.Getenv(patienceVariable)); err == nil {
		programTime, consumeTimeout = patience, patience
	}
	Program{Run: m.run, Services: []string{"grpc.testing.TestService"}}.Test(t, WithEvents("mailer"), WithKeys(), WithHTTP(), WithProbes("/metrics"))
}

// TestProgramLeavesOutWithAReason what main has left out: a main may have reasons.
func TestProgramLeavesOutWithAReason(t *testing.T) {
	Program{
		Run: mistakenMain("has no reflection").run, Services: []string{"grpc.testing.TestService"},
		Skip: map[string]string{"reflection names its services": "nobody may ask for them"},
	}.Test(t, WithEvents("mailer"))
}

// TestProgramFindsMistakes of main, each by the test that is for it.
func TestProgramFindsMistakes(t *testing.T) {
	for mistake, want := range map[mistakenMain]string{
		"ignores wrong flags":          "with --addr=127.0.0.1:0 --no-such-flag the program starts",
		"allows plaintext":             "with --addr=0.0.0.0:0 the program starts",
		"has no reflection":            "reflection does not name grpc.testing.TestService",
		"lifts the limit of a message": "/grpc.testing.TestService/StreamingOutputCall gets more than 64 KiB",
		"lifts the limit of a batch":   "/grpc.testing.TestService/StreamingOutputCall gets 101 events",
		"has another log":              "does main open the log that --events names?",
		"ignores its context":          "does it call server.Run with the context that it gets?",
		"ends with an error":           "the program ends at once, with the error no license",
		"stores in another log":        "/grpc.testing.TestService/UnaryCall acknowledged events that are not in the log",
		"consumes another log":         "consumer mailer has not come to the end of the log",
		"does not consume":             "consumer mailer has not come to the end of the log",
		"has a health without":         `pass server.Needs("event log", log.Check)`,
		"asks for no keys":             "a call of /grpc.testing.TestService/EmptyCall without an API key",
		"has no HTTP":                  "pass httpPort.Option() to server.Run",
		"has no probes":                "pass opsPort.Option() to server.Run",
		"has no metrics":               "/metrics is answered with 404",
		"serves nothing":               "is served by UnimplementedTestServiceServer, which answers Unimplemented",
		"leaves out a service":         "service grpc.testing.TestService is not served",
		"has no subcommand events":     `events stats ends with the error unexpected argument "events"`,
		"has no subcommand keys":       `keys add test --all-sources ends with the error unexpected argument "keys"`,
		"leaves its log open":          "without closing its event log",
	} {
		t.Run(string(mistake), func(t *testing.T) {
			t.Parallel()
			for patience := time.Second; ; patience *= 5 { // on a busy machine a second may be too little
				program := exec.Command(os.Args[0], "-test.run=^TestProgram$")
				program.Env = append(os.Environ(), fmt.Sprintf("%s=%s", mistakeVariable, mistake), fmt.Sprintf("%s=%s", patienceVariable, patience))
				output, err := program.CombinedOutput()
				hinted := strings.Contains(string(output), "by Program.Skip") || mistake == "ignores its context" || mistake == "ends with an error"
				if err != nil && strings.Contains(string(output), want) && hinted {
					return
				}
				if patience > 20*time.Second {
					t.Fatalf("%v, and it prints\n%s\nwant %q", err, output, want)
				}
			}
		})
	}
}

// TestSamplesAreFound beside the method of an RPC.
func TestSamplesAreFound(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if folder := folderOf(collector{}, "UnaryCall"); folder != here {
		t.Errorf("found in %q, want %q", folder, here)
	}
	if folder := folderOf(collector{}, "EmptyCall"); folder != "" { // of what it embeds
		t.Errorf("a method that is generated is found in %q", folder)
	}
}

// TestExportedEventsCanBeRead by all tests of a service with events.
func TestExportedEventsCanBeRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "sample.ndjson")
	if err := os.WriteFile(name, []byte(`{"id":"a","type":"t","dataschema":"grpc.testing.Empty","data":{}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.OpenReader(t.Context(), "file:"+name)
	if err != nil {
		t.Fatal(err)
	}
	if stats, err := log.Stats(t.Context()); err != nil || stats.Events != 1 {
		t.Errorf("the log has %d events, %v", stats.Events, err)
	}
}

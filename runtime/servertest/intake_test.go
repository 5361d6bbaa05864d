package servertest

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

type (
	click    = kindspb.ClickEvent
	uploads  = kindspb.Intake_UploadServer
	exchange = kindspb.Intake_ExchangeServer
)

// clicks is a service, right unless a test replaces an RPC of it.
type clicks struct {
	kindspb.UnimplementedIntakeServer
	log      eventlog.Log
	one      func(context.Context, *click) (*kindspb.Reply, error)
	batch    func(context.Context, []*click) (*kindspb.Reply, error)
	upload   func(uploads) error
	exchange func(exchange) error
}

// rightClicks returns the service as it is generated.
func rightClicks(log eventlog.Log) *clicks {
	s := &clicks{log: log}
	s.one = func(ctx context.Context, event *click) (*kindspb.Reply, error) {
		return s.reply(s.append(ctx, event))
	}
	s.batch = func(ctx context.Context, events []*click) (*kindspb.Reply, error) {
		return s.reply(s.append(eventid.Sequence(ctx), events...))
	}
	s.upload = func(stream uploads) error {
		ctx, all := eventid.Sequence(stream.Context()), uint32(0)
		for {
			event, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return stream.SendAndClose(&kindspb.Reply{Count: all})
			}
			if err != nil {
				return err
			}
			if _, err := s.append(ctx, event); err != nil {
				return err
			}
			all++
		}
	}
	s.exchange = func(stream exchange) error {
		ctx := eventid.Sequence(stream.Context())
		for {
			event, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			reply, err := s.reply(s.append(ctx, event))
			if err != nil {
				return err
			}
			if err := stream.Send(reply); err != nil {
				return err
			}
		}
	}
	return s
}

func (s *clicks) One(ctx context.Context, event *click) (*kindspb.Reply, error) {
	return s.one(ctx, event)
}

func (s *clicks) Held(ctx context.Context, request *kindspb.HeldRequest) (*kindspb.Reply, error) {
	return s.one(ctx, request.GetEvent())
}

func (s *clicks) Batch(ctx context.Context, request *kindspb.BatchRequest) (*kindspb.Reply, error) {
	return s.batch(ctx, request.GetEvents())
}

func (s *clicks) Upload(stream uploads) error { return s.upload(stream) }

func (s *clicks) Exchange(stream exchange) error { return s.exchange(stream) }

func (s *clicks) append(ctx context.Context, events ...*click) ([]eventlog.Receipt, error) {
	return eventlog.AppendMessages(ctx, s.log, events, func(event *click) eventlog.Event {
		return eventlog.Event{Type: event.GetType(), Subject: event.GetUserId(), Time: eventlog.TimestampTime(event.GetEventTime())}
	})
}

func (s *clicks) reply(receipts []eventlog.Receipt, err error) (*kindspb.Reply, error) {
	if err != nil {
		return nil, err
	}
	return &kindspb.Reply{Count: uint32(len(receipts))}, nil
}

// rpcs are the RPCs of the service, by kind.
var rpcs = map[string]func(*testing.T, Options, func(eventlog.Log) *clicks){
	"One": func(t *testing.T, options Options, service func(eventlog.Log) *clicks) {
		TakesEvents(t, intakeOf[*click](options, "One", "", service, func(c kindspb.IntakeClient) Caller { return Unary(c.One) }))
	},
	"Held": func(t *testing.T, options Options, service func(eventlog.Log) *clicks) {
		TakesEvents(t, intakeOf[*kindspb.HeldRequest](options, "Held", "event", service, func(c kindspb.IntakeClient) Caller { return Unary(c.Held) }))
	},
	"Batch": func(t *testing.T, options Options, service func(eventlog.Log) *clicks) {
		TakesEvents(t, intakeOf[*kindspb.BatchRequest](options, "Batch", "events", service, func(c kindspb.IntakeClient) Caller { return Unary(c.Batch) }))
	},
	"Upload": func(t *testing.T, options Options, service func(eventlog.Log) *clicks) {
		TakesEvents(t, intakeOf[*click](options, "Upload", "", service, func(c kindspb.IntakeClient) Caller { return Sending(c.Upload) }))
	},
	"Exchange": func(t *testing.T, options Options, service func(eventlog.Log) *clicks) {
		TakesEvents(t, intakeOf[*click](options, "Exchange", "", service, func(c kindspb.IntakeClient) Caller { return Sending(c.Exchange) }))
	},
}

// intakeOf describes an RPC of the service, as generated code does.
func intakeOf[Request proto.Message](options Options, name, holder string, service func(eventlog.Log) *clicks, caller func(kindspb.IntakeClient) Caller) Intake[Request, *click, *kindspb.Reply] {
	return Intake[Request, *click, *kindspb.Reply]{
		Options: options,
		Method:  "/kinds.v1.Intake/" + name,
		Name:    name,
		File:    "testdata/" + strings.ToLower(name) + ".json",
		Fields:  server.Fields{Holder: holder, Type: "type", Subject: "user_id", Time: "event_time"},
		Answer:  Answer{Count: "count"},
		Serve: func(t testing.TB, log eventlog.Log, options ...client.Option) Caller {
			return caller(dialClicks(t, service(log), options...))
		},
	}
}

// dialClicks serves the service, and returns a client that sends event ids.
func dialClicks(t testing.TB, service *clicks, options ...client.Option) kindspb.IntakeClient {
	address := Serve(t, server.Service{Desc: &kindspb.Intake_ServiceDesc, Impl: service}, server.Without("kinds.v1.Other"))
	if options == nil {
		options = Dialing()
	}
	var methods []client.Method
	for _, rpc := range kindspb.Intake_ServiceDesc.Methods {
		methods = append(methods, client.Method{Name: rpc.MethodName, Retry: true})
	}
	options = append(options, client.PerCall(func(ctx context.Context, _ string) (context.Context, error) { return eventid.Ensure(ctx), nil }))
	conn, err := client.Dial(t.Context(), address, []client.Service{{Name: "kinds.v1.Intake", Methods: methods}}, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return kindspb.NewIntakeClient(grpc.ClientConnInterface(conn))
}

// TestARightServicePasses the contract, whatever its kind.
func TestARightServicePasses(t *testing.T) {
	for name, test := range rpcs {
		t.Run(name, func(t *testing.T) { test(t, Options{}, rightClicks) })
	}
}

// failure is the part of a contract in which a test failed, and what it printed.
type failure struct{ part, text string }

// failures are what failed in a test, by subtest.
type failures struct {
	test string
	of   map[string][]failure
}

// find returns what failed in a subtest, and whether that is as wanted. If it is not, it runs
// the subtest alone: beside many others on a busy machine the contract may look too soon.
func (f failures) find(t *testing.T, name string, wanted func(failure) bool) (got []failure, found bool) {
	t.Helper()
	name = strings.ReplaceAll(name, " ", "_")
	got = f.of[name]
	for range 3 {
		if slices.ContainsFunc(got, wanted) {
			return got, true
		}
		got = failuresOf(t, f.test, strings.Split(name, "/")...).of[name]
	}
	return got, slices.ContainsFunc(got, wanted)
}

// failuresOf runs a test of this package, or one of its subtests, in a process of its own,
// where it may fail, and returns what failed.
func failuresOf(t *testing.T, test string, subtest ...string) failures {
	t.Helper()
	pattern := "^" + test + "$"
	for _, part := range subtest {
		pattern += "/^" + regexp.QuoteMeta(part) + "$"
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+pattern, "-test.v=test2json", "-test.parallel=8")
	command.Env = append(os.Environ(), "SERVERTEST_WRONG=1")
	output, _ := command.CombinedOutput() // the tests fail
	current, texts := "", map[string]string{}
	failed := failures{test, map[string][]failure{}}
	for line := range strings.Lines(string(output)) {
		line = strings.TrimLeft(line, "\x16 ")
		fields := strings.Fields(line)
		switch {
		case len(fields) > 2 && fields[0] == "===":
			current = fields[2]
		case len(fields) > 2 && fields[0] == "---" && fields[1] == "FAIL:":
			name, part := strings.TrimPrefix(fields[2], test+"/"), ""
			if i := strings.LastIndex(name, "/"); i >= 0 {
				name, part = name[:i], strings.ReplaceAll(name[i+1:], "_", " ")
			}
			failed.of[name] = append(failed.of[name], failure{part, texts[fields[2]]})
		default:
			texts[current] += line
		}
	}
	if len(failed.of) == 0 && len(subtest) == 0 {
		t.Fatalf("%s did not fail:\n%s", test, output)
	}
	return failed
}

// mistaken is a service with a mistake, and the part of the contract that finds it.
type mistaken struct {
	rpc     string
	mistake string
	part    string // of the contract; "" for any, where it depends on which goroutine is faster
	text    string // a part of the message
	service func(*clicks)
}

// TestWrongIntakesFail with a message that says what is wrong, in the part of the
// contract that is about it.
func TestWrongIntakesFail(t *testing.T) {
	t.Parallel()
	failures := failuresOf(t, "TestOfWrongIntakes")
	for _, wrong := range wrongs {
		t.Run(wrong.mistake, func(t *testing.T) { wrong.check(t, failures) })
	}
}

// TestOfWrongIntakes runs in the process of [TestWrongIntakesFail].
func TestOfWrongIntakes(t *testing.T) {
	if os.Getenv("SERVERTEST_WRONG") == "" {
		t.Skip("it is to fail")
	}
	short(t, &callTimeout, 10*time.Second)
	short(t, &endTime, 200*time.Millisecond)
	takeWrong(t, wrongs)
}

// TestRefusalsFailOnce: the first part says what to do, for all.
func TestRefusalsFailOnce(t *testing.T) {
	t.Parallel()
	failures := failuresOf(t, "TestOfRefusals")
	for _, wrong := range refusals {
		t.Run(wrong.mistake, func(t *testing.T) {
			if got := wrong.check(t, failures); len(got) != 1 {
				t.Errorf("%d parts failed, want one that speaks for all: %v", len(got), got)
			}
		})
	}
}

// TestOfRefusals runs in the process of [TestRefusalsFailOnce].
func TestOfRefusals(t *testing.T) {
	if os.Getenv("SERVERTEST_WRONG") == "" {
		t.Skip("it is to fail")
	}
	takeWrong(t, refusals)
}

// check checks that the mistake is among what was found, and returns that.
func (m mistaken) check(t *testing.T, in failures) []failure {
	t.Helper()
	got, found := in.find(t, m.mistake+"/"+m.rpc, func(f failure) bool {
		return (f.part == m.part || m.part == "") && strings.Contains(f.text, m.text)
	})
	if found {
		return got
	}
	t.Errorf("want a failure of %q with %q, and it has:", m.part, m.text)
	for _, failure := range got {
		t.Errorf("%s\n%s", failure.part, failure.text)
	}
	return got
}

// takeWrong runs the contract of services with mistakes.
func takeWrong(t *testing.T, services []mistaken) {
	for _, wrong := range services {
		t.Run(wrong.mistake+"/"+wrong.rpc, func(t *testing.T) {
			t.Parallel()
			rpcs[wrong.rpc](t, Options{}, func(log eventlog.Log) *clicks {
				s := rightClicks(log)
				wrong.service(s)
				return s
			})
		})
	}
}

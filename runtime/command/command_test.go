package command

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
)

var update = flag.Bool("update", false, "write the golden files again")

// answer returns a call that reaches no server, with the given reply and error.
func answer(reply proto.Message, err error) func(context.Context, string, []client.Option, proto.Message) (proto.Message, error) {
	return func(context.Context, string, []client.Option, proto.Message) (proto.Message, error) {
		return reply, err
	}
}

// receive returns the command of the Receiver demo, with do as its call.
func receive(t *testing.T, do func(context.Context, string, []client.Option, proto.Message) (proto.Message, error)) Command {
	event := descriptorOf(t, "receiver.proto", "Event")
	return Command{
		Name:  "receive",
		Doc:   "Sends an Event to Receiver.receive and prints the Reply.",
		Event: true,
		Flags: []Flag{
			{Name: "appid", Field: "appid", Doc: "The app that reports it."},
			{Name: "xwho", Field: "xwho"},
			{Name: "xwhat", Field: "xwhat"},
			{Name: "xwhen", Field: "xwhen", Doc: " When it happened,\n in seconds since 1970.\n\n Now, if it is 0.\n"},
			{Name: "xcontext", Field: "xcontext"},
		},
		Call: Call{request: func() proto.Message { return dynamicpb.NewMessage(event) }, do: once(do)},
	}
}

// run runs receiver-client in an empty environment.
func run(ctx context.Context, commands []Command, args ...string) (stdout string, err error) {
	var out bytes.Buffer
	env := Env{Program: "receiver-client", Args: args, Getenv: func(string) string { return "" }, Stdout: &out}
	err = Run(ctx, env, commands)
	return out.String(), err
}

func TestDemo(t *testing.T) {
	command := receive(t, func(_ context.Context, addr string, _ []client.Option, request proto.Message) (proto.Message, error) {
		if addr != "localhost:50051" {
			t.Errorf("the server is at %s", addr)
		}
		want := messageOf(t, request.ProtoReflect().Descriptor(), `{"xwho": "jerry", "xwhat": "install", "xcontext": {"idfa": "idfa1", "amount": 123}}`)
		if !proto.Equal(request, want) {
			t.Errorf("the request is %v, want %v", request, want)
		}
		return messageOf(t, descriptorOf(t, "receiver.proto", "Reply"), `{"message": "Hello, jerry!"}`), nil
	})
	out, err := run(t.Context(), []Command{command}, "receive", "--xwho", "jerry", "--xwhat", "install", "--xcontext", `{"idfa":"idfa1","amount":123}`)
	if out != "client status: 0 received: Hello, jerry!\n" || err != nil {
		t.Errorf("it prints %q, error %v", out, err)
	}
}

func TestMisuse(t *testing.T) {
	commands := []Command{
		receive(t, answer(nil, errors.New("called"))),
		{Name: "check", Call: receive(t, answer(nil, nil)).Call, Flags: []Flag{{Name: "x", Field: "nothing"}}},
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "no command given (run 'receiver-client help')"},
		{[]string{"recieve"}, `no command "recieve"; the commands are: receive, check (run 'receiver-client help')`},
		{[]string{"--addr", "x", "receive"}, `no command "--addr"; the commands are: receive, check (run 'receiver-client help')`},
		{[]string{"help", "recieve"}, `no command "recieve"; the commands are: receive, check (run 'receiver-client help')`},
		{[]string{"help", "receive", "check"}, `help takes one command at a time, not ["receive" "check"]`},
		{[]string{"receive", "--who", "jerry"}, "receive: flag provided but not defined: -who (run 'receiver-client help receive')"},
		{[]string{"receive", "jerry"}, `receive: unexpected argument "jerry" (run 'receiver-client help receive')`},
		{[]string{"receive", "--xwhen", "now"}, `receive: --xwhen: "now" is not a valid int32`},
		{[]string{"receive", "--xcontext", `{"idfa":"idfa1",}`}, "receive: --xcontext: line 1, column 17: invalid character '}' looking for beginning of object key string"},
		{[]string{"check"}, `check: the program has a bug: --x is for the field "nothing", which Event does not have`},
		{[]string{"help", "check"}, `check: the program has a bug: --x is for the field "nothing", which Event does not have`},
		{[]string{"receive"}, "receive: called"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			out, err := run(t.Context(), commands, test.args...)
			if got := fmt.Sprint(err); got != test.want {
				t.Errorf("the error is\n%s, want\n%s", got, test.want)
			}
			if out != "" {
				t.Errorf("it prints %q", out)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	every := commandOf(descriptorOf(t, "every.proto", "Every"))
	every.Name, every.Doc = "every", "Sends everything."
	nothing := commandOf(descriptorOf(t, "replies.proto", "Nothing"))
	nothing.Name, nothing.Doc = "check-health", "Says how the server is.\nIt takes nothing."
	commands := []Command{receive(t, answer(nil, nil)), every, nothing}
	golden(t, commands, map[string][]string{
		"help.txt":         {"help", "-h", "-help", "--help"},
		"help-receive.txt": {"help receive", "receive --help", "receive -h", "receive --xwho jerry -help"},
		"help-every.txt":   {"help every", "every --help"},
		"help-nothing.txt": {"help check-health"},
	})
}

// golden compares what command lines print with files of testdata.
func golden(t *testing.T, commands []Command, lines map[string][]string) {
	for name, lines := range lines {
		for _, args := range lines {
			t.Run(args, func(t *testing.T) {
				out, err := run(t.Context(), commands, strings.Fields(args)...)
				if err != nil {
					t.Fatal(err)
				}
				file := filepath.Join("testdata", name)
				if *update {
					if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if out != string(want) {
					t.Errorf("it prints\n%s\nwant\n%s", out, want)
				}
			})
		}
	}
}

func TestAddr(t *testing.T) {
	for _, test := range []struct {
		program, variable, args, want string
	}{
		{"receiver-client", "", "receive", "localhost:50051"},
		{"receiver-client", "RECEIVER_CLIENT_ADDR", "receive", "from-environment:1"},
		{"receiver-client", "RECEIVER_CLIENT_ADDR", "receive --addr there:2", "there:2"},
		{"shop.v1-client", "SHOP_V1_CLIENT_ADDR", "receive", "from-environment:1"},
	} {
		t.Run(test.program+" "+test.args, func(t *testing.T) {
			var got string
			command := receive(t, func(_ context.Context, addr string, _ []client.Option, _ proto.Message) (proto.Message, error) {
				got = addr
				return messageOf(t, descriptorOf(t, "replies.proto", "Nothing"), "{}"), nil
			})
			getenv := func(key string) string {
				if key == test.variable {
					return "from-environment:1"
				}
				return ""
			}
			env := Env{Program: test.program, Args: strings.Fields(test.args), Getenv: getenv, Stdout: io.Discard}
			if err := Run(t.Context(), env, []Command{command}); err != nil || got != test.want {
				t.Errorf("the server is at %q, error %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestErrorsOfCalls(t *testing.T) {
	for want, err := range map[string]error{
		"receive: Unavailable: shutting down":                   status.Error(codes.Unavailable, "shutting down"),
		"receive: DeadlineExceeded: the server's own":           status.Error(codes.DeadlineExceeded, "the server's own"),
		"receive: no server at localhost:1: connection refused": errors.New("no server at localhost:1: connection refused"),
	} {
		out, got := run(t.Context(), []Command{receive(t, answer(nil, err))}, "receive")
		if fmt.Sprint(got) != want || out != "" {
			t.Errorf("the error is %q, want %q; it prints %q", got, want, out)
		}
	}
}

func TestACancelledCallReportsTheCause(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	command := receive(t, func(ctx context.Context, _ string, _ []client.Option, _ proto.Message) (proto.Message, error) {
		cancel(errors.New("interrupt signal received"))
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	})
	if _, err := run(ctx, []Command{command}, "receive"); fmt.Sprint(err) != "receive: interrupt signal received" {
		t.Errorf("the error is %v", err)
	}
}

// fullDisk is a standard output on which every write fails.
type fullDisk struct{}

var errFull = errors.New("no space left on device")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestOutputThatFailsIsAnError(t *testing.T) {
	reply := messageOf(t, descriptorOf(t, "receiver.proto", "Reply"), "{}")
	commands := []Command{receive(t, answer(reply, nil))}
	for _, args := range []string{"help", "help receive", "receive", "receive --json", "receive --help"} {
		env := Env{Program: "receiver-client", Args: strings.Fields(args), Getenv: func(string) string { return "" }, Stdout: fullDisk{}}
		if err := Run(t.Context(), env, commands); !errors.Is(err, errFull) {
			t.Errorf("%s: the error is %v", args, err)
		}
	}
}

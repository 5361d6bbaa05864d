//go:build unix

package acceptance

import (
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/printed"
)

// labProto has a message of somebody's domain, which nothing marks as an event.
const labProto = `syntax = "proto3";
package lab.v1;
option go_package = "example.com/lab/gen/labpb";

// Lab gets what sensors read.
service Lab {
  rpc Put(Reading) returns (Ack);
  rpc PutMany(Readings) returns (Ack);
  rpc Feed(stream Reading) returns (Ack);
  rpc Chat(stream Reading) returns (stream Ack);
  rpc Ask(Question) returns (Ack);
}

message Reading {
  string sensor = 1;
  string kind = 2;
}
message Readings { repeated Reading readings = 1; }
message Question { string text = 1; }
message Ack { string message = 1; int32 count = 2; }
`

const labCode = "internal/lab/v1/lab/"

// TestNewcomer generates from a proto without events, and marks one of its messages as an
// event when the code is there. Doing literally what the runs print, as often as they
// print steps, ends in a module that stores the events and passes its tests.
func TestNewcomer(t *testing.T) {
	t.Parallel()
	type newcomer struct {
		name   string
		edit   func(s lab) // changes the code before there are events
		rounds int         // of steps
	}
	own := func(s lab) { // code of their own nearly everywhere
		s.edit(labCode+"service.go", "that have no method here\n", "that have no method here\n\n\tnames []string\n",
			"func New() *Service {\n\treturn &Service{}", "func New(names ...string) *Service {\n\treturn &Service{names: names}")
		s.edit(labCode+"put.go", `return nil, status.Error(codes.Unimplemented, "Put is not implemented yet")`, "return &labpb.Ack{Message: request.GetSensor()}, nil",
			"\t\"google.golang.org/grpc/codes\"\n\t\"google.golang.org/grpc/status\"\n\n", "")
		s.edit(labCode+"put_test.go", "t.Log(reply) // check here what it must be", `if reply.GetMessage() != "sensor" {
			t.Errorf("the reply is %v", reply)
		}`)
		s.edit(labCode+"put_many.go", "is not implemented yet.", "will come.")
		s.edit(labCode+"feed.go", `"Feed is not implemented yet"`, `"to be done"`)
		s.edit(labCode+"ask.go", "codes.Unimplemented", "codes.NotFound")
		s.edit(labCode+"service_test.go", "// newService makes", "// It makes")
		s.edit("cmd/lab-server/main.go", "slog.SetDefault", "// Logs go to stderr.\n\tslog.SetDefault")
	}
	for _, test := range []newcomer{
		{"who changed nothing", func(lab) {}, 1},
		{"who wrote code of their own", own, 1},
		{"whose main leaves the service out", func(s lab) {
			own(s)
			s.edit("cmd/lab-server/main.go", "labserver.Lab(lab.New()),", `server.Without("lab.v1.Lab"), // not yet`,
				"\t\"example.com/lab/gen/labpb/labserver\"\n", "", "\t\"example.com/lab/internal/lab/v1/lab\"\n", "")
		}, 1},
		{"who makes the service in a variable, and tests in a way of their own", func(s lab) {
			s.edit("cmd/lab-server/main.go", "\treturn server.Run(ctx, config,\n\t\tlabserver.Lab(lab.New()),", "\tservice := lab.New()\n\treturn server.Run(ctx, config,\n\t\tlabserver.Lab(service),")
			s.edit(labCode+"service_test.go", "\treturn New()", "\tservice := New()\n\treturn service")
		}, 1},
	} {
		if testing.Short() && test.name != "who wrote code of their own" {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			s := lab{t, t.TempDir()}
			for _, name := range []string{"go.mod", "go.sum"} { // as after go mod tidy
				s.write(name, strings.Replace(shop{T: t, dir: repository(t)}.read("examples/receiver/"+name), "module example.com/receiver", "module example.com/lab", 1))
			}
			s.write("lab.proto", labProto)
			s.generate()
			test.edit(s)
			s.edit("lab.proto", "message Reading {", "// receiver:event\nmessage Reading {")
			rounds := 0
			for steps := s.follow(s.generate()); steps > 0; steps = s.follow(s.generate()) {
				if rounds++; rounds > 5 {
					t.Fatal("the steps do not come to an end")
				}
			}
			if rounds != test.rounds {
				t.Errorf("steps were printed %d times, want %d", rounds, test.rounds)
			}
			run(t, s.dir, "protoc-gen-receiver", "generate", "--check")
			run(t, s.dir, "go", "vet", "./...") // which does not link the programs, as go test does
			if output := run(t, s.dir, "go", "test", "./..."); !strings.Contains(output, "ok  \texample.com/lab/internal/lab/v1/lab") {
				t.Errorf("the tests of the service did not run:\n%s", output)
			}
			if unformatted := run(t, s.dir, "gofmt", "-l", "cmd", "internal/lab"); unformatted != "" {
				t.Errorf("not in the form of gofmt:\n%s", unformatted)
			}
			for _, name := range []string{"put", "put_many", "feed", "chat", "consume"} {
				text := s.read(labCode + name + ".go")
				if strings.Contains(text, "Unimplemented") || !strings.Contains(text, "s.events.") {
					t.Errorf("%s.go does not use the log:\n%s", name, text)
				}
			}
			main := s.read("cmd/lab-server/main.go")
			for _, want := range []string{"labserver.Lab(", `server.Alongside("consumer lab.v1.Lab"`, "labevents.New(log)", "operate.Events("} {
				if strings.Count(main, want) != 1 {
					t.Errorf("main does not have %s once:\n%s", want, main)
				}
			}
		})
	}
}

// lab is the module of a newcomer.
type lab struct {
	*testing.T
	dir string
}

func (s lab) read(name string) string { return shop{T: s.T, dir: s.dir}.read(name) }

func (s lab) write(name, text string) { shop{T: s.T, dir: s.dir}.write(name, text) }

func (s lab) edit(name string, oldNew ...string) { shop{T: s.T, dir: s.dir}.edit(name, oldNew...) }

func (s lab) generate() (printed string) {
	s.Helper()
	return run(s, s.dir, "protoc-gen-receiver", "generate")
}

// follow does what is printed, and nothing else. It returns how many steps there were.
func (s lab) follow(text string) int {
	s.Helper()
	steps, err := printed.Steps(s.dir, text, func(command string) error {
		run(s, s.dir, "sh", "-c", command)
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	return steps
}

//go:build unix

package acceptance

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/printed"
)

// TestNew makes a module, and runs literally what it prints, until an event is stored.
// Then it runs all that the module brings for its owner: the targets of its Makefile,
// the steps of its CI, and buf.
func TestNew(t *testing.T) {
	dir := t.TempDir()
	listed := run(t, dir, "protoc-gen-receiver", "new", "example.com/orders", "--dry-run")
	if made := filesIn(t, dir); len(made) > 0 {
		t.Fatalf("--dry-run wrote %q", made)
	}
	text := run(t, dir, "protoc-gen-receiver", "new", "example.com/orders")
	var want []string
	for line := range strings.Lines(listed) {
		want = append(want, strings.TrimPrefix(strings.TrimSpace(line), "add "))
	}
	want = append(want, "go.sum")
	slices.Sort(want)
	if made := filesIn(t, dir); !slices.Equal(made, want) {
		t.Errorf("it made\n%q\nwant, by --dry-run,\n%q", made, want)
	}
	made := contents(t, dir)
	o := owner{T: t, dir: dir, addr: freeAddr(t)}
	next := printed.Next(text)
	if len(next) != 3 {
		t.Fatalf("it prints %d commands:\n%s", len(next), text)
	}
	if output := o.shell(next[0]); !strings.Contains(output, "ok  \texample.com/orders/internal/orders/v1/ordersservice") {
		t.Errorf("%s prints\n%s", next[0], output)
	}
	o.serve(next[1], func() {
		if output := o.shell(next[2]); !strings.Contains(output, `"position": "1"`) {
			t.Errorf("%s prints\n%s", next[2], output)
		}
	})
	if output := o.shell("go run ./cmd/orders-server events replay"); strings.Count(output, "\n") != 1 || !strings.Contains(output, `"subject":"order-17"`) {
		t.Errorf("what is stored is\n%s\nwant one event", output)
	}

	t.Run("buf", func(t *testing.T) {
		buf := tool(t, "buf", fromMake)
		for _, args := range [][]string{{"lint"}, {"format", "--diff", "--exit-code"}, {"generate"}} {
			run(t, dir, buf, args...)
		}
	})
	unchanged := func() {
		os.RemoveAll(filepath.Join(dir, "data"))
		for name, text := range contents(t, dir) {
			if !bytes.Equal(text, made[name]) {
				t.Errorf("%s is another one afterwards", name)
			}
		}
	}
	if unchanged(); testing.Short() {
		return
	}
	t.Run("the Makefile", func(t *testing.T) {
		o := o
		o.T = t
		targets := regexp.MustCompile(`(?m)^  make (\S+) `).FindAllStringSubmatch(o.shell("make help"), -1)
		ran := []string{"help"}
		for _, match := range targets {
			switch target := match[1]; target {
			case "generate", "test", "bench", "check":
				o.shell("make " + target)
				ran = append(ran, target)
			case "prove":
				if output := o.shell("$(make --no-print-directory -n prove) -prove.kills 2 -prove.lasts 2s"); !strings.Contains(output, "0 of ") {
					t.Errorf("make prove prints\n%s", output)
				}
				ran = append(ran, target)
			case "run":
				o.serve("make run", func() {
					o.shell("make send")
					if output := o.shell("make events"); strings.Count(output, `"position":`) != 1 {
						t.Errorf("after make send, make events prints\n%s", output)
					}
				})
				ran = append(ran, "run", "send", "events")
			}
		}
		all := regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(string(made["Makefile"]), -1)
		if len(targets) != len(all) || len(ran) != len(all) {
			t.Errorf("of the targets %q make help lists %q, and %q were run", all, targets, ran)
		}
	})
	t.Run("CI", func(t *testing.T) {
		o := o
		o.T = t
		steps := ciSteps(t, made[".github/workflows/ci.yml"])
		if len(steps) != 4 {
			t.Errorf("the steps are %q", steps)
		}
		for _, step := range steps {
			o.shell(step)
		}
		o.write("proto/orders/v1/orders.proto", strings.Replace(string(made["proto/orders/v1/orders.proto"]), "string subject = 4", "string object = 4", 1))
		if output, err := o.try(steps[0]); err == nil || !strings.Contains(output, "not up to date with the protos") {
			t.Errorf("with another proto, %s prints (%v)\n%s", steps[0], err, output)
		}
		o.write("proto/orders/v1/orders.proto", string(made["proto/orders/v1/orders.proto"]))
	})
	unchanged()
}

// TestNewAddsAService adds services to a module, whose own files stay as they are.
func TestNewAddsAService(t *testing.T) {
	if testing.Short() {
		t.Skip("with -short only TestNew is run of these")
	}
	dir := t.TempDir()
	run(t, dir, "protoc-gen-receiver", "new", "example.com/my-app/v2")
	before := contents(t, dir)
	text := run(t, dir, "protoc-gen-receiver", "new", "--service", "Payments", "--event", "PaymentMade")
	for name, text := range before {
		if now, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(now, text) {
			t.Errorf("%s was changed (%v)", name, err)
		}
	}
	for _, line := range printed.Next(text)[:1] {
		owner{T: t, dir: dir}.shell(line)
	}
	run(t, dir, "go", "vet", "./...")
	run(t, dir, "go", "mod", "tidy", "-diff")
	run(t, dir, "protoc-gen-receiver", "generate", "-I", "proto", "--check")
	run(t, dir, tool(t, "buf", fromMake), "lint")
	now := contents(t, dir)
	run(t, dir, "protoc-gen-receiver", "new", "--service", "Payments", "--event", "PaymentMade")
	for name, text := range contents(t, dir) {
		if !bytes.Equal(text, now[name]) {
			t.Errorf("the second time %s was changed", name)
		}
	}
	if output, err := try(t, dir, "protoc-gen-receiver", "new", "--service", "Payments"); err == nil ||
		!strings.Contains(output, "in the way:\n\tproto/payments/v1/payments.proto\n") {
		t.Errorf("with another event it prints (%v)\n%s", err, output)
	}
}

// domains are protos that know nothing of the tool.
var domains = map[string]map[string]string{
	"messages that are not called events, without go_package": {
		"shop.proto": `syntax = "proto3";
package shop; // of ours
import "google/protobuf/timestamp.proto";
import "parts.proto"; // which they are made of
service Tills { rpc Ring(Sale) returns (Ok); rpc Many(Sales) returns (Ok); }
service Doors { rpc Open(Sale) returns (Ok); }
message Sale { string id = 1; string kind = 2; google.protobuf.Timestamp sold_at = 3; Part part = 4; message Line { string id = 1; } repeated Line lines = 5; }
message Sales { repeated Sale sales = 1; }
message Ok { string message = 1; }
`,
		"parts.proto": `syntax = "proto2";
option java_package = "com.acme";
package shop;
option go_package = "github.com/acme/parts";
message Part { optional string id = 1; }
`},
	"no package": {"meter.proto": `edition = "2023";

service Meters { rpc Report(Reading) returns (Done); }
message Reading { string meter = 1; }
message Done {}
`},
	"in the form of buf": {
		"acme/orders/v1/orders.proto": `// Orders of Acme.
syntax = "proto3";

package acme.orders.v1;

import "acme/types/v1/money.proto";
import "google/protobuf/timestamp.proto";

option go_package = "github.com/acme/apis/gen/acme/orders/v1;ordersv1";

service OrderService {
  rpc RecordOrder(RecordOrderRequest) returns (RecordOrderResponse);
}

// receiver:event
message OrderPlaced {
  string id = 1;
  string type = 2;
  string customer_id = 3;
  google.protobuf.Timestamp placed_at = 4;
  acme.types.v1.Money total = 5;
}

message RecordOrderRequest {
  OrderPlaced order = 1;
}

message RecordOrderResponse {}
`,
		"acme/types/v1/money.proto": `syntax = "proto3";

package acme.types.v1;

option go_package = "github.com/acme/apis/gen/acme/types/v1;typesv1";

message Money {
  string currency = 1;
  int64 units = 2;
}
`},
	"on one line": {"one.proto": `syntax="proto3";package a.b.v1;service S{rpc Put(Thing)returns(R);}message Thing{string a=1;}message R{}`},
}

// TestNewFrom builds modules around protos that know nothing of the tool.
func TestNewFrom(t *testing.T) {
	if testing.Short() {
		t.Skip("with -short only TestNew is run of these")
	}
	for name, files := range domains {
		t.Run(name, func(t *testing.T) {
			protos, dir := t.TempDir(), t.TempDir()
			from := ""
			for name, text := range files {
				owner{T: t, dir: protos}.write(name, text)
				if strings.Contains(text, "\nservice ") || strings.Contains(text, ";service ") {
					from = filepath.Join(protos, filepath.FromSlash(name))
				}
			}
			text := run(t, dir, "protoc-gen-receiver", "new", "example.com/orders", "--from", from)
			for name := range files {
				if _, err := os.Stat(filepath.Join(dir, "proto", name)); err != nil {
					t.Error(err)
				}
			}
			run(t, dir, "go", "vet", "./...")
			run(t, dir, "go", "mod", "tidy", "-diff")
			run(t, dir, "protoc-gen-receiver", "generate", "-I", "proto", "--check")
			next := printed.Next(text)
			if strings.Contains(next[2], "record-order --order ") {
				o := owner{T: t, dir: dir, addr: freeAddr(t)}
				o.shell(next[0])
				o.serve(next[1], func() { o.shell(next[2]) })
				return
			}
			_, last, _ := strings.Cut(text, next[2])
			if !strings.HasPrefix(last, "   # no RPC takes events yet\n") || !strings.Contains(last, "write // receiver:event above ") {
				t.Errorf("it takes no events, and does not say last what to write:\n%s", text)
			}
		})
	}
}

// TestNewIsCompletedLater makes a module without the network, and again with it.
func TestNewIsCompletedLater(t *testing.T) {
	if testing.Short() {
		t.Skip("with -short only TestNew is run of these")
	}
	dir := t.TempDir()
	command := call(t, dir, "protoc-gen-receiver", "new", "example.com/orders")
	command.Env = append(command.Env, "GOPROXY=off", "GOMODCACHE="+t.TempDir())
	output, err := command.CombinedOutput()
	const again = "\n\tprotoc-gen-receiver new example.com/orders\n"
	if err == nil || !strings.HasSuffix(string(output), again) {
		t.Fatalf("without the network it prints (%v)\n%s", err, output)
	}
	if _, err := os.Stat(filepath.Join(dir, "proto/orders/v1/orders.proto")); err != nil {
		t.Error(err)
	}
	owner{T: t, dir: dir}.shell(strings.TrimSpace(again))
	run(t, dir, "go", "vet", "./...")
	run(t, dir, "go", "mod", "tidy", "-diff")
	run(t, dir, "protoc-gen-receiver", "generate", "-I", "proto", "--check")
}

// owner is who made a module, and works in its folder. The server is at addr.
type owner struct {
	*testing.T
	dir, addr string
}

// try runs a command line in the module.
func (o owner) try(line string) (string, error) {
	command := o.command(line)
	output, err := command.CombinedOutput()
	return string(output), err
}

// shell runs a command line in the module, and returns what it prints.
func (o owner) shell(line string) string {
	o.Helper()
	output, err := o.try(line)
	if err != nil {
		o.Fatalf("%s: %v\n%s", line, err, output)
	}
	return output
}

func (o owner) command(line string) *exec.Cmd {
	command := call(o, o.dir, "sh", "-c", line)
	for _, program := range []string{"ORDERS", "SHOP", "METER", "ACME_ORDERS", "A_B", "MY_APP"} {
		command.Env = append(command.Env, program+"_SERVER_ADDR="+o.addr, program+"_CLIENT_ADDR="+o.addr)
	}
	return command
}

// serve runs a server while do does something.
func (o owner) serve(line string, do func()) {
	o.Helper()
	command := o.command(line)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // go run does not pass signals on
	out := &output{}
	command.Stdout, command.Stderr = out, out
	if err := command.Start(); err != nil {
		o.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait() // it ends by a signal
		close(ended)
	}()
	defer func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGTERM)
		<-ended
	}()
	deadline := time.After(2 * time.Minute)
	for !strings.Contains(out.printed(), "msg=serving") {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ended:
			o.Fatalf("%s ended:\n%s", line, out.printed())
		case <-deadline:
			o.Fatalf("%s does not serve:\n%s", line, out.printed())
		}
	}
	do()
}

func (o owner) write(name, text string) {
	o.Helper()
	at := filepath.Join(o.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		o.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		o.Fatal(err)
	}
}

// ciSteps returns what the steps of a workflow run.
func ciSteps(t *testing.T, workflow []byte) (steps []string) {
	t.Helper()
	var parsed struct {
		Jobs map[string]struct {
			Steps []struct{ Uses, Run string }
		}
	}
	if err := yaml.Unmarshal(workflow, &parsed); err != nil {
		t.Fatal(err)
	}
	for _, job := range parsed.Jobs {
		for _, step := range job.Steps {
			switch {
			case step.Run != "":
				steps = append(steps, step.Run)
			case !regexp.MustCompile(`^actions/[a-z-]+@v\d+$`).MatchString(step.Uses):
				t.Errorf("%q is not an action at a version", step.Uses)
			}
		}
	}
	return steps
}

// freeAddr returns an address that nothing listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return fmt.Sprint("localhost:", listener.Addr().(*net.TCPAddr).Port)
}

// filesIn returns the names of all files below a folder, in order.
func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	return slices.Sorted(maps.Keys(contents(t, dir)))
}

package clients

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/interop/orders"
)

// goTool builds a tool of go.mod unless it is built, and returns its path.
func goTool(t *testing.T, name string) string {
	return strings.TrimSpace(orders.Output(t, ".", "go", "tool", "-n", name))
}

// port is a port of a server, and how tools reach it.
type port struct {
	name, addr string
	grpcurl    []string // flags
	probe      []string
}

// ports returns both ports in all modes, each of a server of its own.
func ports(t *testing.T, flags ...string) (all []port) {
	for name, mode := range orders.Modes(t) {
		grpcurl, probe := []string{"-plaintext"}, []string(nil)
		if mode.Certificate != nil {
			grpcurl = []string{"-cacert", mode.Certificate.File}
			probe = []string{"-tls", "-tls-ca-cert", mode.Certificate.File}
		}
		start := func() *orders.Server { return orders.Start(t, append(flags[:len(flags):len(flags)], mode.Flags...)...) }
		all = append(all, port{"gRPC port, " + name, start().GRPC, grpcurl, probe}, port{"HTTP port, " + name, start().HTTP, grpcurl, probe})
	}
	return all
}

// TestGRPCurl finds the service by reflection, and calls it, on both ports.
func TestGRPCurl(t *testing.T) {
	program := goTool(t, "grpcurl")
	for _, port := range ports(t) {
		t.Run(port.name, func(t *testing.T) {
			grpcurl := func(args ...string) string {
				return orders.Output(t, ".", program, slices.Concat(port.grpcurl, args)...)
			}
			if services := grpcurl(port.addr, "list"); !strings.Contains(services, "orders.v1.OrdersService\n") ||
				!strings.Contains(services, "grpc.health.v1.Health\n") {
				t.Errorf("list prints\n%s", services)
			}
			if rpc := grpcurl(port.addr, "describe", "orders.v1.OrdersService.Tail"); !strings.Contains(rpc, "returns ( stream .orders.v1.TailResponse )") {
				t.Errorf("describe prints\n%s", rpc)
			}
			if status := grpcurl(port.addr, "grpc.health.v1.Health/Check"); !strings.Contains(status, `"SERVING"`) {
				t.Errorf("Check prints\n%s", status)
			}
			const event = `{"event": {"source": "web-shop", "eventType": "placed", "subject": "one"}}`
			for i, want := range []reply{{EventID: "one", Position: "1"}, {EventID: "one", Position: "1", Duplicate: true}} {
				var got reply
				decode(t, grpcurl("-H", "event-id: one", "-d", event, port.addr, "orders.v1.OrdersService/Publish"), &got)
				if got != want {
					t.Errorf("try %d of Publish answers %+v, want %+v", i+1, got, want)
				}
			}
			each := grpcurl("-H", "event-id: each", "-d", event+event, port.addr, "orders.v1.OrdersService/PublishEach")
			replies := json.NewDecoder(strings.NewReader(each))
			for _, want := range []reply{{EventID: "each/1", Position: "2"}, {EventID: "each/2", Position: "3"}} {
				var got reply
				if err := replies.Decode(&got); err != nil || got != want {
					t.Errorf("PublishEach answers %+v, %v; want %+v", got, err, want)
				}
			}
			// The tail has no end, so the deadline ends it.
			out, err := exec.Command(program, slices.Concat(port.grpcurl, []string{
				"-max-time", "0.5", port.addr, "orders.v1.OrdersService/Tail"})...).CombinedOutput()
			if err == nil || strings.Count(string(out), `"eventType": "placed"`) != 3 || !strings.Contains(string(out), "Code: DeadlineExceeded") {
				t.Errorf("Tail prints\n%s", out)
			}
		})
	}
}

// TestGRPCurlWithKeys needs an API key on both ports, also for reflection.
func TestGRPCurlWithKeys(t *testing.T) {
	program := goTool(t, "grpcurl")
	keys, key := orders.Keys(t)
	for _, port := range ports(t, "--keys", keys) {
		t.Run(port.name, func(t *testing.T) {
			args := slices.Concat(port.grpcurl, []string{"-d", `{"event": {"source": "web-shop", "eventType": "placed"}}`})
			signed := slices.Concat(args, []string{"-H", "authorization: Bearer " + key, port.addr, "orders.v1.OrdersService/Publish"})
			var got reply
			if decode(t, orders.Output(t, ".", program, signed...), &got); got.Position != "1" {
				t.Errorf("Publish answers %+v", got)
			}
			// With the proto, because reflection needs a key, too.
			args = append(args, "-import-path", filepath.Dir(orders.Proto(t)), "-proto", "orders.proto", port.addr, "orders.v1.OrdersService/Publish")
			if out, err := exec.Command(program, args...).CombinedOutput(); err == nil || !strings.Contains(string(out), "Code: Unauthenticated") {
				t.Errorf("without a key: %s", out)
			}
			list := slices.Concat(port.grpcurl, []string{port.addr, "list"})
			if out, err := exec.Command(program, list...).CombinedOutput(); err == nil || !strings.Contains(string(out), "Unauthenticated") {
				t.Errorf("list without a key: %s", out)
			}
		})
	}
}

// TestHealthProbe probes both ports, also of a server whose RPCs need keys.
func TestHealthProbe(t *testing.T) {
	program := goTool(t, "grpc-health-probe")
	keys, _ := orders.Keys(t)
	for _, port := range ports(t, "--keys", keys) {
		t.Run(port.name, func(t *testing.T) {
			for service, want := range map[string]string{"": "status: SERVING", "orders.v1.OrdersService": "status: SERVING", "orders.v1.Unknown": "NotFound"} {
				args := slices.Concat(port.probe, []string{"-addr", port.addr, "-service", service})
				out, err := exec.Command(program, args...).CombinedOutput()
				if !strings.Contains(string(out), want) || (err == nil) != (want == "status: SERVING") {
					t.Errorf("service %q: %v, %s", service, err, out)
				}
			}
		})
	}
}

// reply is what Publish answers, as protobuf's JSON has it.
type reply struct {
	Position  string
	EventID   string
	Duplicate bool
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/printed"
)

// orders makes a module without a proto at hand, sends it an event, and then changes the
// proto, a handler and the consumer.
func orders(n *newcomer) error {
	if err := n.install(); err != nil {
		return err
	}
	made, err := n.run("downloads and generating", "protoc-gen-receiver new example.com/orders")
	if err != nil {
		return err
	}
	server, send, err := n.serve(made, "orders")
	if err != nil {
		return err
	}
	sent, err := n.run("running", send)
	if err := errors.Join(err, expect(sent, "position")); err != nil {
		return err
	}
	n.acknowledged()
	stored, err := n.run("running", "go run ./cmd/orders-server events replay")
	if err := errors.Join(err, expect(stored, `"position":1`, `"type":"placed"`)); err != nil {
		return err
	}
	const code = "internal/orders/v1/ordersservice/"
	if err := errors.Join(
		n.replace("proto/orders/v1/orders.proto",
			"  google.protobuf.Struct data = 6;\n", "  google.protobuf.Struct data = 6;\n  string customer = 7;\n",
			"  // PublishBatch ", "  // Latest returns the last event of a customer.\n  rpc Latest(LatestRequest) returns (LatestResponse);\n\n  // PublishBatch ",
			"message PublishRequest {", "message LatestRequest {\n  string customer = 1;\n}\n\nmessage LatestResponse {\n  int64 position = 1;\n  Event event = 2;\n}\n\nmessage PublishRequest {"),
		server.stop(),
	); err != nil {
		return err
	}
	if _, err := n.run("generating", "make generate"); err != nil {
		return err
	}
	if err := errors.Join(
		n.replace(code+"latest.go",
			"\treturn nil, status.Error(codes.Unimplemented, \"Latest is not implemented yet\")\n", latestBody,
			"\t\"google.golang.org/grpc/codes\"\n\t\"google.golang.org/grpc/status\"\n\n\tordersv1 \"example.com/orders/gen/orders/v1\"\n", latestImports),
		n.write(code+"latest_test.go", latestTest),
		n.replace(code+"consume.go", "\tslog.InfoContext(ctx, \"stored\", ", "\tslog.InfoContext(ctx, \"thank you, \"+event.Message.GetCustomer(), "),
	); err != nil {
		return err
	}
	if _, err := n.run("running tests", "go test ./..."); err != nil {
		return err
	}
	if server, err = n.start("go run ./cmd/orders-server", "serving"); err != nil {
		return err
	}
	sent, err = n.run("running", `go run ./cmd/orders-client publish --event '{"source":"shop","eventType":"placed","subject":"order-18","customer":"Ada"}'`)
	if err != nil {
		return err
	}
	if err := errors.Join(expect(sent, "position"), server.wait("thank you, Ada")); err != nil {
		return err
	}
	latest, err := n.run("running", "go run ./cmd/orders-client latest --customer Ada")
	if err != nil {
		return err
	}
	return expect(latest, "order-18")
}

const (
	latestImports = `	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ordersv1 "example.com/orders/gen/orders/v1"
	"example.com/orders/gen/orders/v1/ordersv1events"
`
	latestBody = `	var latest *ordersv1.LatestResponse
	for stored, err := range s.events.ReplayEvent(ctx, ordersv1events.From{}) {
		if err != nil {
			return nil, err
		}
		if stored.Message.GetCustomer() == request.GetCustomer() {
			latest = &ordersv1.LatestResponse{Position: int64(stored.Position), Event: stored.Message}
		}
	}
	if latest == nil {
		return nil, status.Errorf(codes.NotFound, "customer %q has no events", request.GetCustomer())
	}
	return latest, nil
`
	latestTest = `package ordersservice

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ordersv1 "example.com/orders/gen/orders/v1"
)

func TestLatest(t *testing.T) {
	client, events := serve(t)
	if _, err := client.Latest(t.Context(), &ordersv1.LatestRequest{Customer: "Ada"}); status.Code(err) != codes.NotFound {
		t.Errorf("without events the error is %v, want NotFound", err)
	}
	for _, event := range []*ordersv1.Event{
		{EventId: "1", EventType: "placed", Customer: "Ada"},
		{EventId: "2", EventType: "paid", Customer: "Ada"},
		{EventId: "3", EventType: "placed", Customer: "Bob"},
	} {
		if _, err := events.AppendEvent(t.Context(), event); err != nil {
			t.Fatal(err)
		}
	}
	response, err := client.Latest(t.Context(), &ordersv1.LatestRequest{Customer: "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	if got := response.GetEvent().GetEventType(); got != "paid" {
		t.Errorf("the last event is %q, want paid", got)
	}
}
`
)

// install installs the program by the command of README.
func (n *newcomer) install() error {
	command := "go install " + n.proxy.Module + "/cmd/protoc-gen-receiver@latest"
	readme, err := os.ReadFile(filepath.Join(n.root, "README.md"))
	if err != nil {
		return err
	}
	if !strings.Contains(string(readme), "\n"+command+"\n") {
		return fmt.Errorf("README.md does not have the line %q", command)
	}
	_, err = n.run("downloads", command)
	return err
}

// serve runs the first two of the three commands that new printed at its end: they test
// the module and run its server. It returns the third.
func (n *newcomer) serve(made, app string) (s *server, last string, err error) {
	commands := printed.Next(made)
	if len(commands) != 3 {
		return nil, "", fmt.Errorf("new does not end with three commands:\n%s", made)
	}
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	for _, program := range []string{"server", "client"} {
		variable := strings.ToUpper(strings.ReplaceAll(app+"_"+program, "-", "_")) + "_ADDR"
		n.env = append(n.env, variable+"=localhost:"+port)
	}
	tests, err := n.run("running tests", commands[0])
	if err := errors.Join(err, expect(tests, "ok  \texample.com/")); err != nil {
		return nil, "", err
	}
	s, err = n.start(commands[1], "serving")
	return s, commands[2], err
}

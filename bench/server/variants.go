//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"example.com/receiver/gen/receiverpb"
	"example.com/receiver/gen/receiverpb/receiverserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/bench/server/rulespb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/guard"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/metrics"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/ops"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/traces"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/validate"
)

// variant is a server that is measured. The first one is what the others are compared
// to.
type variant struct {
	name     string
	most     float64 // that its time for a call may be, as a ratio; 0 for no goal
	explains bool    // measured only with -explain
	grpc     func() []grpc.ServerOption
	server   func(*server.Service) (setup, error) // may change the service; nil for grpc-go alone
	json     string                               // the version of HTTP by which it is called with JSON; "" for gRPC
	sampled  string                               // the part of its calls that is traced; "" for no traces
}

// setup is what a server is given besides its service, and what its callers must know.
type setup struct {
	options  []server.Option
	metadata []string // names and values in turn, which callers send with each call
	http     string   // its address for HTTP; "" for none
	dir      string   // of its files, "" for none
}

var variants = []variant{
	{name: "grpc-go", grpc: func() []grpc.ServerOption { return nil }},
	{name: "grpc-go, windows", explains: true, grpc: func() []grpc.ServerOption {
		return []grpc.ServerOption{grpc.InitialWindowSize(64 << 10), grpc.InitialConnWindowSize(1 << 20)}
	}},
	{name: "grpc-go, workers", explains: true, grpc: func() []grpc.ServerOption {
		return []grpc.ServerOption{grpc.NumStreamWorkers(32)}
	}},
	{name: "grpc-go, recovery", explains: true, grpc: func() []grpc.ServerOption {
		return []grpc.ServerOption{grpc.UnaryInterceptor(recovery)}
	}},
	{name: "all defaults", most: 1.10, server: func(*server.Service) (setup, error) { return setup{}, nil }},
	{name: "metrics", most: 1.10, server: counted},
	{name: "keys and rates", most: 1.20, server: guarded},
	{name: "rules", server: ruled},
	{name: "HTTP not used", most: 1.10, server: listening},
	{name: "JSON by HTTP 1.1", most: 3.00, server: listening, json: "1.1"},
	// package http alone takes more than twice as long for a call by HTTP/2 as grpc-go does
	{name: "JSON by HTTP 2", server: listening, json: "2"},
	{name: "traces, sampled 1 %", server: traced, sampled: "0.01"},
	{name: "traces, all", server: traced, sampled: "1"},
}

// counted gives the service all metrics, and the port that they are on.
func counted(*server.Service) (setup, error) {
	port := ops.Config{Addr: "127.0.0.1:0"}
	return setup{options: []server.Option{port.Option(), metrics.New().Option()}}, nil
}

// guarded gives the service what it has in a generated server with API keys, and with a
// rate for the server and for each source, which its callers don't reach.
func guarded(service *server.Service) (setup, error) {
	service.RPCs = map[string]server.RPC{
		"receive": server.TakesEvent(func(event *receiverpb.Event) string { return event.GetAppid() }),
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return setup{}, err
	}
	var key bytes.Buffer
	file := filepath.Join(dir, "keys")
	if err := guard.Keys("bench", []string{"add", "caller", "--source", "demo", "--keys", file}, os.Getenv, &key); err != nil {
		return setup{}, err
	}
	access := guard.Config{Keys: file, Rate: 1e9, SourceRate: 1e9}
	return setup{
		options:  []server.Option{access.Option()},
		metadata: []string{"authorization", "Bearer " + strings.TrimSpace(key.String())},
		dir:      dir,
	}, nil
}

// ruled makes the service one whose event has a rule for each field. It has another type,
// and looks the same to callers.
func ruled(service *server.Service) (setup, error) {
	desc := rulespb.Receiver_ServiceDesc
	desc.ServiceName = service.Desc.ServiceName
	*service = server.Service{Desc: &desc, Impl: ruledReceiver{}, Rules: validate.Rules(&rulespb.Event{})}
	return setup{}, nil
}

// traced gives the server traces, as its environment says.
func traced(*server.Service) (setup, error) {
	slog.SetLogLoggerLevel(slog.LevelWarn) // not where they are sent to
	spans, err := traces.Start(context.Background(), "bench")
	if err != nil {
		return setup{}, err
	}
	return setup{options: []server.Option{spans.Option()}}, nil
}

func variantOf(name string) (variant, error) {
	for _, v := range variants {
		if v.name == name {
			return v, nil
		}
	}
	return variant{}, fmt.Errorf("no server is named %q", name)
}

// start serves on an address of this machine, until the process ends.
func (v variant) start() (answer, error) {
	if v.server == nil {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return answer{}, err
		}
		s := grpc.NewServer(v.grpc()...)
		receiverpb.RegisterReceiverServer(s, receiver{})
		go func() { _ = s.Serve(listener) }()
		return answer{Address: listener.Addr().String()}, nil
	}
	config := server.Defaults("bench")
	config.Addr, config.LogLevel = "127.0.0.1:0", slog.LevelWarn
	generated := receiverserver.Receiver(receiver{})
	service := server.Service{Desc: generated.Desc, Impl: generated.Impl}
	with, err := v.server(&service)
	if err != nil {
		return answer{}, err
	}
	s, err := server.Listen(config, append(with.options, service)...)
	if err != nil {
		return answer{}, err
	}
	go func() { _ = s.Serve(context.Background()) }()
	return answer{Address: s.Addr(), Metadata: with.metadata, HTTP: with.http, dir: with.dir}, nil
}

// recovery is the least that an interceptor does which recovers panics.
func recovery(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (reply any, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			reply, err = nil, status.Error(codes.Internal, "internal error")
		}
	}()
	return next(ctx, request)
}

// receiver is the demo's service, without the log.
type receiver struct {
	receiverpb.UnimplementedReceiverServer
}

func (receiver) Receive(_ context.Context, event *receiverpb.Event) (*receiverpb.Reply, error) {
	return &receiverpb.Reply{Message: "Hello, " + event.GetXwho() + "!"}, nil
}

// ruledReceiver is the same for the type that has rules.
type ruledReceiver struct {
	rulespb.UnimplementedReceiverServer
}

//nolint:unparam // it implements an interface
func (ruledReceiver) Receive(_ context.Context, event *rulespb.Event) (*rulespb.Reply, error) {
	return &rulespb.Reply{Message: "Hello, " + event.GetXwho() + "!"}, nil
}

package server

import (
	"context"
	"testing"

	"google.golang.org/grpc/health/grpc_health_v1"
)

func TestOnListenLearnsThePortBeforeTheServerServes(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	listening, order := make(chan *Server, 1), make(chan string, 2)
	ctx = OnListen(ctx, func(s *Server) {
		order <- "listening"
		listening <- s
	})
	options := append(withoutOthers(), tested(&service{}), Alongside("consumer", func(context.Context) error {
		order <- "serving"
		return nil
	}))
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, free(), options...) }()
	select {
	case running := <-listening:
		if got := running.Services(); len(got) != 1 || got[0].Desc.ServiceName != "grpc.testing.TestService" {
			t.Errorf("Services returns %v, want the one that was given", got)
		}
		if _, err := grpc_health_v1.NewHealthClient(dial(t, running.Addr())).Check(soon(t), &grpc_health_v1.HealthCheckRequest{}); err != nil {
			t.Error(err)
		}
	case err := <-ended:
		t.Fatalf("the server ends before its function is called: %v", err)
	case <-soon(t).Done():
		t.Fatal("the function is not called")
	}
	if first, second := <-order, <-order; first != "listening" || second != "serving" {
		t.Errorf("the server was %s, and then %s", first, second)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestPortAddrFindsThePortOfAFlag(t *testing.T) {
	running := serve(t, free(), tested(&service{}), Ports(namedPort{}))
	if got := running.PortAddr("http-addr"); got != "127.0.0.1:8080" {
		t.Errorf("the port of --http-addr is at %q", got)
	}
	if got := running.PortAddr("ops-addr"); got != "" {
		t.Errorf("without a port of --ops-addr it is at %q", got)
	}
	if got := serve(t, free(), tested(&service{})).PortAddr("http-addr"); got != "" {
		t.Errorf("without ports one is at %q", got)
	}
}

// namedPort is a port that says for which flag it is.
type namedPort struct{}

func (namedPort) Open(*Server) error     { return nil }
func (namedPort) Serve() error           { return nil }
func (namedPort) Drain()                 {}
func (namedPort) Close()                 {}
func (namedPort) Listens() (_, _ string) { return "http-addr", "127.0.0.1:8080" }

package server

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"
)

func TestWhatRunsAlongsideEndsWithTheServer(t *testing.T) {
	begun, finished := make(chan struct{}), false
	running := serve(t, free(), tested(&service{}), Alongside("mailer", func(ctx context.Context) error {
		close(begun)
		<-ctx.Done()
		time.Sleep(50 * time.Millisecond)
		finished = true
		return nil
	}))
	<-begun
	running.stop()
	if err := running.end(t); err != nil || !finished {
		t.Errorf("got %v; finished: %v", err, finished)
	}
}

func TestAServerGoesOnWithoutWhatHasEnded(t *testing.T) {
	ended := make(chan struct{})
	running := serve(t, free(), tested(&service{}), Alongside("once", func(context.Context) error { close(ended); return nil }))
	<-ended
	if err := begin(t, dial(t, running.Addr())).finish(); err != nil {
		t.Error(err)
	}
	running.stop()
	if err := running.end(t); err != nil {
		t.Error(err)
	}
}

func TestAFailureAlongsideEndsTheServer(t *testing.T) {
	failure := errors.New("the log is closed")
	others := make(chan struct{})
	running := serve(t, free(), tested(&service{}),
		Alongside("mailer", func(context.Context) error { return failure }),
		Alongside("biller", func(ctx context.Context) error { <-ctx.Done(); close(others); return nil }))
	if err := running.end(t); !errors.Is(err, failure) || !strings.HasPrefix(err.Error(), "mailer: ") {
		t.Errorf("got %v, want mailer: %v", err, failure)
	}
	<-others
}

func TestWhatRunsAlongsideIsCutOffAfterTheDrainTimeout(t *testing.T) {
	config := free()
	config.DrainTimeout = 50 * time.Millisecond
	stuck := make(chan struct{})
	defer close(stuck)
	running := serve(t, config, tested(&service{}), Alongside("mailer", func(context.Context) error { <-stuck; return nil }))
	running.stop()
	if err := running.end(t); err == nil || !strings.Contains(err.Error(), "mailer still ran 50ms after") {
		t.Errorf("got %v, want that mailer still ran", err)
	}
}

func TestAServerIsReadyWhileItsNeedsAreMet(t *testing.T) {
	var broken atomic.Bool
	running := serve(t, free(), tested(&service{}),
		Needs("nothing", func(context.Context) error { return nil }),
		Needs("events", func(context.Context) error {
			if broken.Load() {
				return errors.New("the disk is full")
			}
			return nil
		}))
	conn := dial(t, running.Addr())
	health := grpc_health_v1.NewHealthClient(conn)
	becomes := func(want grpc_health_v1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		for _, name := range []string{"", "grpc.testing.TestService"} {
			for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
				reply, err := health.Check(soon(t), &grpc_health_v1.HealthCheckRequest{Service: name})
				if err != nil {
					t.Fatal(err)
				}
				if reply.Status == want {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%q is %v, want %v", name, reply.Status, want)
				}
			}
		}
	}
	becomes(grpc_health_v1.HealthCheckResponse_SERVING)
	broken.Store(true)
	becomes(grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	if err := begin(t, conn).finish(); err != nil {
		t.Errorf("a call that comes all the same: %v", err)
	}
	broken.Store(false)
	becomes(grpc_health_v1.HealthCheckResponse_SERVING)
	running.stop()
	if err := running.end(t); err != nil {
		t.Error(err)
	}
}

func TestAServerIsNotReadyBeforeItsFirstCheck(t *testing.T) {
	checked := make(chan struct{})
	running := serve(t, free(), tested(&service{}), Needs("events", func(ctx context.Context) error { <-checked; return nil }))
	defer close(checked)
	reply, err := grpc_health_v1.NewHealthClient(dial(t, running.Addr())).Check(soon(t), &grpc_health_v1.HealthCheckRequest{})
	if err != nil || reply.Status != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("%v, %v", reply, err)
	}
	running.stop()
	if err := running.end(t); err != nil {
		t.Error(err)
	}
}

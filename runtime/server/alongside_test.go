package server

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
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
			for deadline := time.Now().Add(testTimeout); ; time.Sleep(5 * time.Millisecond) {
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
		t.Errorf("a call while the server is not ready: %v", err)
	}
	broken.Store(false)
	becomes(grpc_health_v1.HealthCheckResponse_SERVING)
	running.stop()
	if err := running.end(t); err != nil {
		t.Error(err)
	}
}

func TestAServerIsNotReadyBeforeItsFirstCheck(t *testing.T) {
	running := serve(t, free(), tested(&service{}), Needs("events", func(ctx context.Context) error { <-ctx.Done(); return nil }))
	reply, err := grpc_health_v1.NewHealthClient(dial(t, running.Addr())).Check(soon(t), &grpc_health_v1.HealthCheckRequest{})
	if err != nil || reply.Status != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("%v, %v", reply, err)
	}
	running.stop()
	if err := running.end(t); err != nil {
		t.Error(err)
	}
}

func TestANeedMayBeOfSomeServices(t *testing.T) {
	never := func(context.Context) error { return errors.New("the log is closed") }
	always := func(context.Context) error { return nil }
	other := Service{Desc: &handMade, Impl: &service{}}
	for name, test := range map[string]struct {
		needs []Option
		want  map[string]bool // whether they are healthy
	}{
		"of one": {[]Option{Needs("log", never, "made.by.Hand"), Needs("cache", always)},
			map[string]bool{"grpc.testing.TestService": true, "made.by.Hand": false, "": false}},
		"of both": {[]Option{Needs("log", never, "made.by.Hand", "grpc.testing.TestService")},
			map[string]bool{"grpc.testing.TestService": false, "made.by.Hand": false, "": false}},
		"of all": {[]Option{Needs("log", never), Needs("cache", always, "made.by.Hand")},
			map[string]bool{"grpc.testing.TestService": false, "made.by.Hand": false, "": false}},
		"met": {[]Option{Needs("log", always, "made.by.Hand")},
			map[string]bool{"grpc.testing.TestService": true, "made.by.Hand": true, "": true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			running := serve(t, free(), append(test.needs, tested(&service{}), other)...)
			health := grpc_health_v1.NewHealthClient(dial(t, running.Addr()))
			for service, want := range test.want {
				for deadline := time.Now().Add(testTimeout); ; time.Sleep(time.Millisecond) {
					reply, err := health.Check(soon(t), &grpc_health_v1.HealthCheckRequest{Service: service})
					if err != nil {
						t.Fatal(err)
					}
					if (reply.Status == grpc_health_v1.HealthCheckResponse_SERVING) == want {
						break
					}
					if time.Now().After(deadline) {
						t.Fatalf("%q is %v", service, reply.Status)
					}
				}
			}
		})
	}
}

func TestANeedOfAServiceThatIsNotServedIsRefused(t *testing.T) {
	_, err := Listen(free(), tested(&service{}), Needs("log", func(context.Context) error { return nil }, "TestService"))
	oneLine(t, err, `server.Needs("log")`, "TestService", "not served")
}

// The value that is set last must be the current one, also if two checks end at
// the same time.
func TestReadinessIsSetInOrder(t *testing.T) {
	var last atomic.Bool
	setting, overtaken := make(chan struct{}), make(chan struct{})
	ready := readiness{services: []string{""}, needs: make([]need, 1), now: make([]NeedState, 1), health: func(_ string, ready bool) {
		if ready {
			last.Store(true)
			close(overtaken)
			return
		}
		close(setting)
		select { // give the other a chance to be first
		case <-overtaken:
		case <-time.After(50 * time.Millisecond):
		}
		last.Store(false)
	}}
	var group sync.WaitGroup
	group.Go(func() { ready.record(0, errUnchecked) })
	<-setting
	group.Go(func() { ready.record(0, nil) })
	group.Wait()
	if !last.Load() {
		t.Error("all needs are met, but not ready was set last")
	}
}

// However a server ends, everything that it started has ended when it returns,
// so that the event log that all of it uses can be closed.
func TestNothingOutlivesTheServer(t *testing.T) {
	broken := errors.New("the log is closed")
	for name, test := range map[string]struct {
		end  func(r *running, fail chan<- error)
		cuts bool   // whether the call under way is cut off
		err  string // how the error begins
	}{
		"its context ends":        {func(r *running, _ chan<- error) { r.stop() }, false, ""},
		"its listener fails":      {func(r *running, _ chan<- error) { _ = r.listener.Close() }, true, "serving 127.0.0.1:"},
		"what it runs has failed": {func(_ *running, fail chan<- error) { fail <- broken }, false, "biller: the log is closed"},
	} {
		t.Run(name, func(t *testing.T) {
			var underWay atomic.Int64
			untilEnd := func(ctx context.Context) error {
				underWay.Add(1)
				defer underWay.Add(-1)
				<-ctx.Done()
				time.Sleep(50 * time.Millisecond)
				return nil
			}
			handle := func(stream testpb.TestService_FullDuplexCallServer) error {
				ctx, cancel := UntilDrain(stream.Context())
				defer cancel()
				return errors.Join(stream.Send(&testpb.StreamingOutputCallResponse{}), untilEnd(ctx))
			}
			fail := make(chan error)
			r := serve(t, free(), tested(&service{stream: handle}), Alongside("mailer", untilEnd), Needs("events", untilEnd),
				Alongside("biller", func(ctx context.Context) error {
					select {
					case err := <-fail:
						return err
					case <-ctx.Done():
						return nil
					}
				}))
			call := begin(t, dial(t, r.Addr()))
			for deadline := time.Now().Add(testTimeout); underWay.Load() < 3; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("what the server starts doesn't begin")
				}
			}
			test.end(r, fail)
			if _, err := call.Recv(); (status.Code(err) == codes.Unavailable) != test.cuts {
				t.Errorf("the call under way: %v", err)
			}
			got := ""
			if err := r.end(t); err != nil {
				got = err.Error()
			}
			if !strings.HasPrefix(got, test.err) || test.err == "" && got != "" {
				t.Errorf("the error is %q, want %q", got, test.err)
			}
			if n := underWay.Load(); n > 0 {
				t.Errorf("%d of the functions that it started are still running", n)
			}
		})
	}
}

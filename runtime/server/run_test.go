package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// programVariable is the environment variable that makes the test binary a
// server program. With the value "notified" the program also catches signals
// itself, and with "watching FILE" it watches a file.
const programVariable = "RUN_TEST_SERVER"

func TestMain(m *testing.M) {
	if kind := os.Getenv(programVariable); kind != "" {
		if err := program(kind); err != nil {
			fmt.Fprintln(os.Stderr, "test-server:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func program(kind string) error {
	ctx := context.Background()
	if kind == "notified" {
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
	}
	config, err := Parse("test-server", os.Args[1:], os.Getenv, os.Stdout)
	if err != nil {
		return err
	}
	// A call works until it is cut off, or the file exists that it names, or answers how
	// much memory the program has.
	works := func(ctx context.Context, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		if request.FillUsername {
			var memory runtime.MemStats
			runtime.ReadMemStats(&memory)
			return &testpb.SimpleResponse{Username: fmt.Sprint(memory.Sys)}, nil
		}
		fmt.Fprintln(os.Stderr, "msg=working")
		for ctx.Err() == nil {
			if _, err := os.Stat(string(request.GetPayload().GetBody())); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		return &testpb.SimpleResponse{}, ctx.Err()
	}
	options := append(withoutOthers(), tested(&service{unary: works}))
	if file, ok := strings.CutPrefix(kind, "watching "); ok {
		options = append(options, Watch("file", []string{file}, func(contents [][]byte) error {
			fmt.Fprintf(os.Stderr, "msg=loaded content=%s\n", contents[0])
			return nil
		}))
	}
	return Run(ctx, config, options...)
}

// work makes a call that works until it is cut off, or finish is called, and returns where
// its error comes once it has begun.
func (p *process) work(t *testing.T) (_ <-chan error, finish func()) {
	t.Helper()
	ended, finished := make(chan error, 1), filepath.Join(t.TempDir(), "finished")
	client, ctx := testpb.NewTestServiceClient(dial(t, p.addr)), soon(t)
	go func() {
		_, err := client.UnaryCall(ctx, &testpb.SimpleRequest{Payload: &testpb.Payload{Body: []byte(finished)}})
		ended <- err
	}()
	p.waitForLog(t, "msg=working")
	return ended, func() {
		if err := os.WriteFile(finished, nil, 0o600); err != nil {
			t.Error(err)
		}
	}
}

// process is a server in a process of its own.
type process struct {
	*exec.Cmd
	addr  string
	ended chan error

	mu  sync.Mutex
	log bytes.Buffer
}

// start starts a process and returns once it serves.
func start(t *testing.T, kind string, flags ...string) *process {
	t.Helper()
	p := &process{
		Cmd:   exec.Command(os.Args[0], append([]string{"--addr", "127.0.0.1:0", "--drain-timeout", "1h"}, flags...)...),
		ended: make(chan error, 1),
	}
	p.Env = append(os.Environ(), programVariable+"="+kind)
	stderr, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() })
	go func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			p.mu.Lock()
			p.log.WriteString(lines.Text() + "\n")
			p.mu.Unlock()
		}
		p.ended <- p.Wait()
	}()
	_, rest, _ := strings.Cut(p.waitForLog(t, "msg=serving addr="), "msg=serving addr=")
	p.addr, _, _ = strings.Cut(rest, " ")
	return p
}

// waitForLog returns the log once it contains a text.
func (p *process) waitForLog(t *testing.T, text string) string {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); ; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		log := p.log.String()
		p.mu.Unlock()
		if strings.Contains(log, text) {
			return log
		}
		if time.Now().After(deadline) {
			t.Fatalf("the log doesn't come to contain %q:\n%s", text, log)
		}
	}
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// end waits until the process ends, and returns its error.
func (p *process) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-p.ended:
		return err
	case <-time.After(testTimeout):
		t.Fatal("the process doesn't end")
		return nil
	}
}

func TestASignalLetsCallsUnderWayFinish(t *testing.T) {
	for _, sent := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		for _, kind := range []string{"plain", "notified"} {
			t.Run(kind+" "+sent.String(), func(t *testing.T) {
				t.Parallel()
				p := start(t, kind)
				call := begin(t, dial(t, p.addr))
				p.signal(t, sent)
				waitUntilClosed(t, p.addr)
				if err := call.echo(); err != nil {
					t.Errorf("the call under way was cut off: %v", err)
				}
				if err := call.finish(); err != nil {
					t.Errorf("the call under way was cut off: %v", err)
				}
				if err := p.end(t); err != nil {
					t.Errorf("every call could finish, but the error is %v", err)
				}
				p.waitForLog(t, "msg=stopped")
			})
		}
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	for _, kind := range []string{"plain", "notified"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := start(t, kind)
			call, _ := p.work(t)
			p.signal(t, os.Interrupt)
			waitUntilClosed(t, p.addr)
			time.Sleep(secondSignal)
			p.signal(t, syscall.SIGTERM)
			if err := p.end(t); err == nil {
				t.Error("a call was cut off, but the process ended without an error")
			}
			p.waitForLog(t, "test-server: stopped by a second signal")
			if err := <-call; status.Code(err) != codes.Unavailable {
				t.Errorf("the call under way: %v", err)
			}
		})
	}
}

// timeout sends a signal to the process and to its group, and a terminal that is
// closed sends SIGHUP.
func TestTheSameSignalAgainCutsOffNoCall(t *testing.T) {
	for name, sent := range map[string][]os.Signal{
		"timeout":  {syscall.SIGTERM, syscall.SIGTERM},
		"terminal": {syscall.SIGHUP, syscall.SIGHUP},
		"both":     {syscall.SIGTERM, syscall.SIGHUP, syscall.SIGTERM},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, "plain")
			call, finish := p.work(t)
			for _, s := range sent {
				p.signal(t, s)
			}
			waitUntilClosed(t, p.addr)
			finish()
			if err := <-call; err != nil {
				t.Errorf("the call under way: %v", err)
			}
			if err := p.end(t); err != nil {
				t.Errorf("every call could finish, but the error is %v", err)
			}
			p.waitForLog(t, "msg=stopped")
		})
	}
}

func TestALateHangUpIsNotASecondSignal(t *testing.T) {
	t.Parallel()
	p := start(t, "plain")
	call, finish := p.work(t)
	p.signal(t, syscall.SIGTERM)
	waitUntilClosed(t, p.addr)
	time.Sleep(secondSignal)
	p.signal(t, syscall.SIGHUP)
	finish()
	if err := <-call; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	if err := p.end(t); err != nil {
		t.Errorf("every call could finish, but the error is %v", err)
	}
}

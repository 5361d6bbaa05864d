package command

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

func measures(t *testing.T, addr string, args ...string) (r benchResult, text string, err error) {
	t.Helper()
	var out bytes.Buffer
	env := Env{Program: "test-client", Args: append([]string{"bench", "send", "--addr", addr}, args...), Getenv: func(string) string { return "" }, Stdout: &out}
	err = Run(t.Context(), env, With([]Command{events}, Bench))
	_ = json.Unmarshal(out.Bytes(), &r)
	return r, out.String(), err
}

func TestBench(t *testing.T) {
	t.Parallel()
	var s memory
	addr := serve(t, s.unary)
	picture := filepath.Join(t.TempDir(), "bench.svg")
	r, _, err := measures(t, addr, "--duration", "300ms", "--warm-up", "50ms", "--concurrency", "4", "--json", "--svg", picture)
	if err != nil {
		t.Fatal(err)
	}
	if r.Loop != "closed" || r.Calls == 0 || r.Events != r.Calls || len(r.Percentiles) != 7 || len(r.Errors) != 0 {
		t.Errorf("it measures %+v", r)
	}
	for id := range s.stored {
		if !strings.HasPrefix(id, r.IDs) || !strings.HasPrefix(id, "bench-") {
			t.Fatalf("an event has the id %s", id)
		}
	}
	svg, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	for decoder := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the picture is not XML: %v", err)
		}
	}
	_, text, err := measures(t, addr, "--duration", "100ms", "--warm-up", "0s", "--payload", `{"body": "YQ=="}`)
	if err != nil || !strings.Contains(text, "closed loop of 64 callers") || !strings.Contains(text, "percent      milliseconds") {
		t.Errorf("it prints %v\n%s", err, text)
	}
	r, _, err = measures(t, addr, "--duration", "100ms", "--warm-up", "0s", "--json", "--bulk")
	if err == nil || !strings.Contains(err.Error(), "no bulk lane") || r.Calls == 0 {
		t.Errorf("by a lane that is not there: %v, %+v", err, r)
	}
	_, text, err = measures(t, addr, "--help")
	if err != nil || !strings.Contains(text, "Usage: test-client bench send [flags]") || strings.Contains(text, "standard input") {
		t.Errorf("its help is %v\n%s", err, text)
	}
}

// What was measured is not lost with its picture, and says how calls have failed.
func TestBenchPrintsWhatItMeasured(t *testing.T) {
	t.Parallel()
	var s memory
	s.before = func(n int) error {
		switch n % 4 {
		case 0:
			return status.Error(codes.Internal, "a fault\x1b[31m")
		case 1:
			return status.Error(codes.AlreadyExists, "a fault\x1b[31m")
		}
		return nil
	}
	addr := serve(t, s.unary)
	_, text, err := measures(t, addr, "--duration", "100ms", "--warm-up", "0s", "--svg", filepath.Join(t.TempDir(), "none", "bench.svg"))
	if err == nil || !strings.Contains(err.Error(), "bench.svg") || !strings.Contains(text, "percent      milliseconds") {
		t.Errorf("it prints %v\n%s", err, text)
	}
	if _, rest, ok := strings.Cut(text, " failed with AlreadyExists, "); !ok || !strings.Contains(rest, ` failed with Internal (the first: a fault\x1b[31m)`) {
		t.Errorf("it prints\n%s", text)
	}
	s.mu.Lock()
	s.before = func(int) error { return status.Error(codes.InvalidArgument, "bad") }
	s.mu.Unlock()
	if _, _, err := measures(t, addr, "--duration", "50ms", "--warm-up", "0s"); err == nil || !strings.Contains(err.Error(), " failed with InvalidArgument (the first: bad)") {
		t.Errorf("it fails with %v", err)
	}
}

// A server that pauses is charged for all calls that should have begun meanwhile.
func TestAPauseCountsForTheCallsThatItHoldsUp(t *testing.T) {
	t.Parallel()
	const pause = 400 * time.Millisecond
	var once sync.Once
	paused := make(chan struct{})
	addr := serve(t, func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		once.Do(func() { time.AfterFunc(pause, func() { close(paused) }) })
		<-paused
		return &testpb.SimpleResponse{}, nil
	})
	// One call at a time: in a closed loop one of all would have been slow.
	r, _, err := measures(t, addr, "--rate", "200", "--concurrency", "1", "--duration", "600ms", "--warm-up", "0s", "--json")
	if err != nil {
		t.Fatal(err)
	}
	if r.Calls != 120 {
		t.Errorf("%d calls are made, want 120", r.Calls)
	}
	// The calls of the pause waited between all of it and nothing, which is half of it at
	// the median of those.
	if median := r.Percentiles[0].Milliseconds; median < 20 {
		t.Errorf("half of the calls took %g ms at most", median)
	}
}

func TestBenchMisuse(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--addr example.com:443":   "another machine: give --yes",
		"--addr 10.0.0.1:1":        "another machine",
		"--rate -1":                "--rate: want a number",
		"--concurrency 0 --rate x": "rate",
		"--duration 0s":            "--duration must be more than 0",
		"--from /nonexistent":      "no such file",
	} {
		if _, _, err := measures(t, "localhost:1", strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}

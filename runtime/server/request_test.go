package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// logBuffer is what was logged, as lines of JSON.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(text)
}

// take returns the lines with a message that were logged since it was last called.
func (b *logBuffer) take(t *testing.T, message string) (lines []map[string]any) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for text := range strings.Lines(b.text.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		if line["msg"] == message {
			lines = append(lines, line)
		}
	}
	b.text.Reset()
	return lines
}

// TestLinesOfACallHaveItsID: those of the server and of the handler have the id that the
// caller sent, or one of its own; and a caller gets it if the server is to blame.
func TestLinesOfACallHaveItsID(t *testing.T) {
	var lines logBuffer
	config := free()
	config.LogLevel, config.LogFormat = slog.LevelDebug, "json"
	log := config.Logger(&lines)
	var ids [2]string
	handle := func(ctx context.Context) error {
		ids = [2]string{RequestID(ctx), RequestID(context.WithoutCancel(ctx))}
		log.With("by", "the handler").InfoContext(ctx, "in the handler")
		switch sent := metadata.ValueFromIncomingContext(ctx, "end"); {
		case len(sent) == 0:
			return nil
		case sent[0] == "not found":
			return status.Error(codes.NotFound, "not found")
		case sent[0] == "panic":
			panic("at the disco")
		}
		return errors.New("disk on fire")
	}
	observer := Observer{RPC: func(Call) RPCObserver {
		return RPCObserver{Begin: func(ctx context.Context) context.Context {
			return WithLogAttrs(WithLogAttrs(ctx, slog.String("trace_id", "12")), slog.Int("shard", 3))
		}}
	}}
	tested := tested(&service{
		unary: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			return &testpb.SimpleResponse{}, handle(ctx)
		},
		stream: func(stream testpb.TestService_FullDuplexCallServer) error { return handle(stream.Context()) },
	})
	running := serve(t, config, tested, Logger(log), Observers(observer))
	client := testpb.NewTestServiceClient(dial(t, running.Addr()))
	for name, test := range map[string]struct {
		sent     []string // names and values
		made     bool     // the server makes one
		returned bool     // to the caller
	}{
		"sent":                   {[]string{"x-request-id", "order-7!"}, false, false},
		"none":                   {nil, true, false},
		"empty":                  {[]string{"x-request-id", ""}, true, false},
		"two":                    {[]string{"x-request-id", "a", "x-request-id", "b"}, true, false},
		"too long":               {[]string{"x-request-id", strings.Repeat("x", 129)}, true, false},
		"with a space":           {[]string{"x-request-id", "a b"}, true, false},
		"the caller's fault":     {[]string{"x-request-id", "a", "end", "not found"}, false, false},
		"the server's fault":     {[]string{"x-request-id", "a", "end", "error"}, false, true},
		"a panic":                {[]string{"x-request-id", "a", "end", "panic"}, false, true},
		"none, and the server's": {[]string{"end", "error"}, true, true},
	} {
		for _, streams := range []bool{false, true} {
			ctx := metadata.AppendToOutgoingContext(soon(t), test.sent...)
			var trailer metadata.MD
			if streams {
				stream, err := client.FullDuplexCall(ctx)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = stream.Recv()
				trailer = stream.Trailer()
			} else {
				_, _ = client.UnaryCall(ctx, &testpb.SimpleRequest{}, grpc.Trailer(&trailer))
			}
			running.waitForCall(t, &lines)
			logged := lines.take(t, "call")
			if len(logged) != 1 {
				t.Fatalf("%s: %d lines", name, len(logged))
			}
			id, _ := logged[0]["request_id"].(string)
			switch {
			case ids[0] == "" || ids[0] != ids[1] || id != ids[0]:
				t.Errorf("%s: logged %q, and the handler has %q", name, id, ids)
			case test.made && len(id) != 26, !test.made && id != test.sent[1]:
				t.Errorf("%s: the id is %q", name, id)
			case logged[0]["trace_id"] != "12" || logged[0]["shard"] != 3.:
				t.Errorf("%s: logged %v", name, logged[0])
			}
			if got := strings.Join(trailer.Get("x-request-id"), " "); test.returned && got != id || !test.returned && got != "" {
				t.Errorf("%s: the caller gets the id %q", name, got)
			}
		}
	}
}

// waitForCall waits until the server has logged a call.
func (r *running) waitForCall(t *testing.T, lines *logBuffer) {
	t.Helper()
	eventually(t, "the call is logged", func() bool {
		lines.mu.Lock()
		defer lines.mu.Unlock()
		return strings.Contains(lines.text.String(), `"msg":"call"`)
	})
}

// TestHandlersLogWithTheIDOfTheirCall, by the logger that main makes the default, which
// says nothing of calls elsewhere.
func TestHandlersLogWithTheIDOfTheirCall(t *testing.T) {
	var lines logBuffer
	config := free()
	config.LogLevel, config.LogFormat = slog.LevelInfo, "json"
	log := config.Logger(&lines)
	running := serve(t, config, Logger(slog.New(slog.DiscardHandler)), tested(&service{
		unary: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			log.With("by", "the handler").WithGroup("order").InfoContext(ctx, "handled", "number", 7)
			return &testpb.SimpleResponse{}, nil
		},
	}))
	ctx := metadata.AppendToOutgoingContext(soon(t), "x-request-id", "order-7")
	if _, err := testpb.NewTestServiceClient(dial(t, running.Addr())).UnaryCall(ctx, &testpb.SimpleRequest{}); err != nil {
		t.Fatal(err)
	}
	logged := lines.take(t, "handled")
	if len(logged) != 1 {
		t.Fatalf("%d lines", len(logged))
	}
	if group, _ := logged[0]["order"].(map[string]any); group["number"] != 7. || group["request_id"] != "order-7" || logged[0]["by"] != "the handler" {
		t.Errorf("logged %v", logged[0])
	}
	log.InfoContext(t.Context(), "elsewhere")
	if logged := lines.take(t, "elsewhere"); len(logged) != 1 || len(logged[0]) != 3 {
		t.Errorf("logged %v", logged)
	}
	if id := RequestID(t.Context()); id != "" {
		t.Errorf("a context that is not of a call has the id %q", id)
	}
}

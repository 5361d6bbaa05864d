package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

// tally counts by name, and lets tests wait for a sum.
type tally struct {
	mu      sync.Mutex
	counts  map[string]int
	changed sync.Cond
}

func newTally() *tally {
	c := &tally{counts: map[string]int{}}
	c.changed.L = &c.mu
	return c
}

func (c *tally) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[name]++
	c.changed.Broadcast()
}

// await waits until there are so many counts, and returns all.
func (c *tally) await(t *testing.T, sum int) map[string]int {
	t.Helper()
	late := false
	defer time.AfterFunc(testTimeout, func() { c.mu.Lock(); late = true; c.mu.Unlock(); c.changed.Broadcast() }).Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		has := 0
		for _, count := range c.counts {
			has += count
		}
		if has >= sum {
			return maps.Clone(c.counts)
		}
		if late {
			t.Fatalf("only %v is counted", c.counts)
		}
		c.changed.Wait()
	}
}

// begin sends the headers of a call, in frames of two parts, and, unless it is nil, all
// that the call sends. The server may have closed the connection before the end.
func (a *attacker) begin(t *testing.T, message []byte, fields ...[2]string) {
	t.Helper()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range fields {
		if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			t.Fatal(err)
		}
	}
	half := block.Len() / 2
	check(t, a.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Next(half), EndStream: message == nil}))
	_ = a.framer.WriteContinuation(1, true, block.Bytes())
	if message != nil {
		_ = a.framer.WriteData(1, true, message)
	}
}

// framed returns a message with its prefix.
func framed(compressed byte, message string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{compressed}, uint32(len(message))), message...)
}

// What ends before a handler has a request is counted, and logged: once at first.
func TestCallsThatEndBeforeAHandlerAreCountedAndLogged(t *testing.T) {
	t.Parallel()
	headers := func(change ...[2]string) (fields [][2]string) {
		fields = [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", unaryMethod}, {":authority", "x"}, {"content-type", "application/grpc"}, {"te", "trailers"}}
		for _, field := range change {
			i := slices.IndexFunc(fields, func(f [2]string) bool { return f[0] == field[0] })
			if i < 0 {
				fields = append(fields, field)
			} else {
				fields[i] = field
			}
		}
		return fields
	}
	valid := framed(0, "")
	for name, test := range map[string]struct {
		message []byte
		fields  [][2]string
		why     string
		method  string // in the log
	}{
		"too large":                {framed(0, strings.Repeat("x", 2000)), headers(), TooLarge, ""},
		"not a message":            {framed(0, "\xff\xff"), headers(), Undecodable, unaryMethod},
		"not in a stream":          {framed(0, "\xff\xff"), headers([2]string{":path", bidiMethod}), Undecodable, bidiMethod},
		"not compressed":           {framed(1, "text"), headers([2]string{"grpc-encoding", "gzip"}), Undecodable, unaryMethod},
		"compressed by nothing":    {framed(1, "text"), headers(), Undecodable, unaryMethod},
		"without an end":           {valid[:3], headers(), Undecodable, unaryMethod},
		"without a request":        {nil, headers(), NoRequest, unaryMethod},
		"compressed by an unknown": {valid, headers([2]string{"grpc-encoding", "br"}), UnknownCompression, unaryMethod},
		"an unknown RPC":           {valid, headers([2]string{":path", "/grpc.testing.TestService/Other"}), UnknownRPC, "/grpc.testing.TestService/Other"},
		"an unknown service":       {valid, headers([2]string{":path", "/other.Service/Call"}), UnknownRPC, "/other.Service/Call"},
		"a long name":              {valid, headers([2]string{":path", "/" + strings.Repeat("x", 300)}), UnknownRPC, "/" + strings.Repeat("x", 99) + "…"},
		"another content type":     {valid, headers([2]string{"content-type", "application/json"}), NotGRPC, ""},
		"another method of HTTP":   {nil, headers([2]string{":method", "GET"}), NotGRPC, ""},
		"malformed metadata":       {valid, headers([2]string{"a-bin", "%"}), NotGRPC, ""},
		"large headers":            {valid, headers([2]string{"a", strings.Repeat("x", 2500)}, [2]string{"b", strings.Repeat("x", 2500)}), HeadersTooLarge, ""},
		"one large header":         {valid, headers([2]string{"a", strings.Repeat("x", 10_000)}), HeadersTooLarge, ""},
		"no time left":             {valid, headers([2]string{"grpc-timeout", "0n"}), TooLate, unaryMethod},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused, log := newTally(), &lockedBuffer{}
			config := free()
			config.MaxMessageBytes, config.MaxMetadataBytes = 1000, 4000
			running := serve(t, config, tested(&service{}), Observers(Observer{Refused: refused.add}), Logger(slog.New(slog.NewTextHandler(log, nil))))
			for range 2 {
				a := attack(t, running.Addr())
				a.begin(t, test.message, test.fields...)
			}
			refused.await(t, 2)
			running.stop()
			check(t, running.end(t))
			if got := refused.await(t, 2); !maps.Equal(got, map[string]int{test.why: 2}) {
				t.Errorf("%v, want two of %q", got, test.why)
			}
			lines := log.linesWith("calls ended before a handler")
			if test.why == TooLarge {
				lines = log.linesWith("limit=--max-message-bytes")
			}
			if len(lines) != 1 || !strings.Contains(lines[0], "times=1") || test.method != "" && !strings.Contains(lines[0], "last_method="+test.method+" ") {
				t.Errorf("it logs\n%s", strings.Join(lines, "\n"))
			}
		})
	}
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(line)
}

func (b *lockedBuffer) linesWith(text string) (lines []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return lines
}

// HTTP/1.1 on the port of gRPC ends with the connection.
func TestHTTP1IsNotGRPC(t *testing.T) {
	refused := newTally()
	running := serve(t, free(), tested(&service{}), Observers(Observer{Refused: refused.add}))
	conn, err := net.Dial("tcp", running.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = conn.Write([]byte("PUT / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	check(t, err)
	if got := refused.await(t, 1); !maps.Equal(got, map[string]int{NotGRPC: 1}) {
		t.Errorf("%v, want one %q", got, NotGRPC)
	}
}

// More calls of a connection than it may have are a limit, not a mistake.
func TestCallsBeyondThoseOfAConnectionAreCounted(t *testing.T) {
	refused, limits := newTally(), newTally()
	config := free()
	config.MaxStreams = 1
	running := serve(t, config, tested(&service{}), Observers(Observer{Refused: refused.add, Limit: limits.add}))
	a := attack(t, running.Addr())
	a.open(t, 1, bidiMethod, -1)
	a.open(t, 3, bidiMethod, -1)
	if got := limits.await(t, 1); !maps.Equal(got, map[string]int{"--max-streams": 1}) {
		t.Errorf("%v, want one of --max-streams", got)
	}
	if len(refused.counts) > 0 {
		t.Errorf("%v", refused.counts)
	}
}

// A client that leaves within its headers has made no mistake.
func TestAClientThatLeavesWithinItsHeadersIsNotRefused(t *testing.T) {
	refused := newTally()
	running := serve(t, free(), tested(&service{}), Observers(Observer{Refused: refused.add}))
	a := attack(t, running.Addr())
	a.settle(t)
	check(t, a.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}}))
	check(t, a.Close())
	for deadline := time.Now().Add(testTimeout); running.Stats().Connections > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the connection is still counted")
		}
	}
	running.stop()
	check(t, running.end(t))
	if got := refused.counts; len(got) > 0 {
		t.Errorf("%v", got)
	}
}

// What has nothing wrong, or ends by its client, is not counted as refused.
func TestCallsThatHandlersEndAreNotRefused(t *testing.T) {
	refused := newTally()
	entered := make(chan struct{})
	running := serve(t, free(), tested(&service{unary: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		close(entered)
		<-ctx.Done()
		return nil, ctx.Err()
	}}), Observers(Observer{Refused: refused.add}))
	conn := dial(t, running.Addr())
	client := testpb.NewTestServiceClient(conn)
	ctx, cancel := context.WithCancel(soon(t))
	go func() { <-entered; cancel() }()
	_, _ = client.UnaryCall(ctx, &testpb.SimpleRequest{})
	_, _ = client.EmptyCall(soon(t), &testpb.Empty{}) // Unimplemented, by the handler
	echo, err := client.FullDuplexCall(soon(t))
	check(t, err)
	check(t, echo.CloseSend())
	_, _ = echo.Recv()
	running.stop()
	check(t, running.end(t))
	if len(refused.counts) > 0 {
		t.Errorf("%v", refused.counts)
	}
}

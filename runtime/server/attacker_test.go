package server

import (
	"bytes"
	"encoding/binary"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// attacker is a client that sends frames as it likes, within the windows that it
// is given.
type attacker struct {
	net.Conn
	framer *http2.Framer

	mu      sync.Mutex
	changed *sync.Cond
	window  map[uint32]int64  // by stream, 0 for the connection
	initial int64             // of each stream
	status  map[uint32]string // the code with which a stream ended
	pings   byte              // answered
	closed  bool
}

// attack connects an attacker to a server.
func attack(t *testing.T, addr string) *attacker {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	a := &attacker{Conn: conn, framer: http2.NewFramer(conn, conn), window: map[uint32]int64{0: 65535}, initial: 65535, status: map[uint32]string{}}
	a.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	a.changed = sync.NewCond(&a.mu)
	// A server that refuses the connection may have closed it already.
	_, _ = conn.Write([]byte(http2.ClientPreface))
	_ = a.framer.WriteSettings()
	go a.read()
	return a
}

func (a *attacker) read() {
	for {
		frame, err := a.framer.ReadFrame()
		a.mu.Lock()
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if size, ok := frame.Value(http2.SettingInitialWindowSize); ok {
				for stream := range a.window {
					if stream != 0 {
						a.window[stream] += int64(size) - a.initial
					}
				}
				a.initial = int64(size)
			}
		case *http2.WindowUpdateFrame:
			a.window[frame.StreamID] += int64(frame.Increment)
		case *http2.PingFrame:
			if frame.IsAck() {
				a.pings = frame.Data[0]
			}
		case *http2.MetaHeadersFrame:
			for _, field := range frame.Fields {
				if field.Name == "grpc-status" {
					a.status[frame.StreamID] = field.Value
				}
			}
		}
		a.closed = a.closed || err != nil
		a.changed.Broadcast()
		a.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// await waits until something is true, which do reports under the lock.
func (a *attacker) await(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(testTimeout)
	defer time.AfterFunc(testTimeout, a.changed.Broadcast).Stop()
	a.mu.Lock()
	defer a.mu.Unlock()
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not happen: windows %v, codes %v, closed %v", what, a.window, a.status, a.closed)
		}
		a.changed.Wait()
	}
}

// settle waits until the server has handled all that was sent so far.
func (a *attacker) settle(t *testing.T) {
	t.Helper()
	a.mu.Lock()
	next := a.pings + 1
	a.mu.Unlock()
	if err := a.framer.WritePing(false, [8]byte{next}); err != nil {
		t.Fatal(err)
	}
	a.await(t, "the answer to a ping", func() bool { return a.pings == next })
}

// open begins a call with the prefix of a message, if its length is not negative.
func (a *attacker) open(t *testing.T, stream uint32, method string, length int, more ...[2]string) {
	t.Helper()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range append([][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", method}, {":authority", "x"}, {"content-type", "application/grpc"}, {"te", "trailers"},
	}, more...) {
		if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	a.window[stream] = a.initial
	a.mu.Unlock()
	if length >= 0 {
		a.send(t, stream, binary.BigEndian.AppendUint32([]byte{0}, uint32(length)))
	}
}

// send sends bytes of a stream. They must fit into the windows.
func (a *attacker) send(t *testing.T, stream uint32, data []byte) {
	t.Helper()
	for len(data) > 0 {
		n := min(len(data), 16<<10)
		a.await(t, "the window of the connection", func() bool { return a.window[0] >= int64(n) })
		a.mu.Lock()
		a.window[0] -= int64(n)
		a.window[stream] -= int64(n)
		a.mu.Unlock()
		if err := a.framer.WriteData(stream, false, data[:n]); err != nil {
			t.Fatal(err)
		}
		data = data[n:]
	}
}

// flood sends on each of some streams, of a message of which left bytes are to
// come, all but the last byte, as far as its window allows, until all windows
// are used up. It returns how many bytes it could send.
func (a *attacker) flood(t *testing.T, left map[uint32]int) (sent int) {
	t.Helper()
	for {
		before := sent
		for stream := range left {
			a.mu.Lock()
			n := min(left[stream]-1, int(a.window[stream]))
			a.mu.Unlock()
			if n > 0 {
				a.send(t, stream, make([]byte, n))
				left[stream] -= n
				sent += n
			}
		}
		a.settle(t)
		if sent == before {
			return sent
		}
	}
}

package server

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// readable is a connection of which only Read works.
type readable struct {
	net.Conn
	io.Reader
}

func (r readable) Read(into []byte) (int, error) { return r.Reader.Read(into) }

// Where messages begin and end doesn't depend on how they are cut into frames and
// frames into reads.
func TestFramesAreFollowedHoweverTheyAreCut(t *testing.T) {
	messages := []byte{0, 0, 0, 0, 3, 'a', 'b', 'c', 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 'd', 'e', 'f'}
	messages = messages[:len(messages)-3]
	messages = append(messages, make([]byte, 255)...) // of 256 and a byte
	for _, frame := range []int{1, 2, 7, 1000} {
		for _, padding := range []int{0, 1, 9, 255} {
			for _, read := range []int{1, 3, 9, 10, 4096} {
				var wire bytes.Buffer
				wire.WriteString(http2.ClientPreface)
				framer := http2.NewFramer(&wire, nil)
				check(t, framer.WriteSettings())
				check(t, framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: []byte("x"), EndHeaders: true}))
				for part := range slices.Chunk(messages, frame) {
					check(t, framer.WriteDataPadded(3, false, part, make([]byte, padding)))
					check(t, framer.WriteData(5, false, []byte("of another call")))
					check(t, framer.WritePing(false, [8]byte{1}))
				}
				check(t, framer.WriteData(3, true, nil))
				c := &connection{calls: map[uint32]*call{}}
				got := &call{Context: context.Background(), of: c, limits: newLimits(free(), nil, context.Background())}
				c.calls[3] = got
				f := follow(c, readable{Reader: bytes.NewReader(wire.Bytes())})
				into := make([]byte, read)
				for {
					if _, err := f.Read(into); err != nil {
						break
					}
				}
				want := []messagePrefix{{3, false}, {0, true}, {256, false}}
				if !slices.Equal(got.messages, want) || got.whole != 2 || got.left != 256-255 || !got.ended || c.stream != 3 {
					t.Fatalf("frames of %d bytes and %d of padding, read by %d: %+v", frame, padding, read, got)
				}
			}
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Which calls end doesn't depend on how gRPC cuts what it writes.
func TestTheEndOfAnswersIsSeenHoweverTheyAreCut(t *testing.T) {
	var wire bytes.Buffer
	framer := http2.NewFramer(&wire, nil)
	check(t, framer.WriteSettings())
	for _, stream := range []uint32{1, 3, 5, 7} {
		check(t, framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: []byte("x"), EndHeaders: true}))
		check(t, framer.WriteData(stream, false, make([]byte, 300)))
	}
	check(t, framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: []byte("trailers"), EndHeaders: true, EndStream: true}))
	check(t, framer.WriteRSTStream(7, http2.ErrCodeCancel))
	for _, write := range []int{1, 3, 9, 10, 300, 4096} {
		l := newLimits(free(), nil, t.Context())
		c := &connection{of: &connections{limits: l}, address: &address{}, calls: map[uint32]*call{}}
		for _, stream := range []uint32{1, 3, 5, 7} {
			c.calls[stream] = &call{Context: t.Context(), of: c, limits: l, stream: stream, finished: stream != 7, started: true}
		}
		var written bytes.Buffer
		f := follow(c, writable{Writer: &written})
		for part := range slices.Chunk(wire.Bytes(), write) {
			if _, err := f.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		left := slices.Sorted(maps.Keys(c.calls))
		if !slices.Equal(left, []uint32{1, 5, 7}) || !c.calls[7].written || c.calls[5].written || c.data.Load() != 4 {
			t.Errorf("written by %d: the calls left are %v, with %d frames of data", write, left, c.data.Load())
		}
		if !bytes.Equal(written.Bytes(), wire.Bytes()) {
			t.Errorf("written by %d: the client gets something else", write)
		}
	}
}

// writable is a connection of which only Write works.
type writable struct {
	net.Conn
	io.Writer
}

func (w writable) Write(bytes []byte) (int, error) { return w.Writer.Write(bytes) }

// Clients that reset call after call are read more slowly, so that they leave time for
// others.
func TestResetsAreSlowedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wire bytes.Buffer
		wire.WriteString(http2.ClientPreface)
		framer := http2.NewFramer(&wire, nil)
		l := newLimits(free(), nil, t.Context())
		l.connections = listenWithin(l, nil)
		c := &connection{of: l.connections, address: &address{}, calls: map[uint32]*call{}}
		l.connections.byAddr["a"] = c.address
		reset := func(n int) (took time.Duration) {
			for range n {
				stream := uint32(len(c.calls) + 1)
				c.calls[stream] = &call{Context: t.Context(), of: c, limits: l, stream: stream, started: true}
				check(t, framer.WriteRSTStream(stream, http2.ErrCodeCancel))
			}
			f, begin := follow(c, readable{Reader: bytes.NewReader(wire.Bytes())}), time.Now()
			if _, err := io.Copy(io.Discard, f); err != nil {
				t.Fatal(err)
			}
			wire.Reset()
			wire.WriteString(http2.ClientPreface)
			return time.Since(begin)
		}
		if took := reset(mostResets); took != 0 {
			t.Errorf("%d resets are delayed by %v", mostResets, took)
		}
		if took := reset(10); took != 10*resetPause {
			t.Errorf("10 more are delayed by %v", took)
		}
		c.address.connections = 1
		l.connections.forgetAddresses()
		if took := reset(10); took != 0 {
			t.Errorf("later ones are delayed by %v", took)
		}
	})
}

package server

import (
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"testing"

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

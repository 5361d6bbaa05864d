//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
)

// target is a server that is attacked.
type target struct {
	addr    string
	figures figures
	encrypt bool
	key     string // of the attackers, for events of the source "attacker"

	mu      sync.Mutex
	answers map[string]int
}

// answered counts an answer of the server.
func (t *target) answered(answer string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answers[answer]++
}

// address returns the nth address of attackers.
func address(n int) net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(10+n))} }

// connect connects from the nth address, without sending anything.
func (t *target) connect(ctx context.Context, from int) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: address(from), Timeout: 10 * time.Second}
	return dialer.DialContext(ctx, "tcp", t.addr)
}

// peer is a client that sends frames as it likes.
type peer struct {
	net.Conn
	of     *target
	framer *http2.Framer
	block  bytes.Buffer
	encode *hpack.Encoder
	next   uint32 // stream

	contentType string // of calls

	mu      sync.Mutex
	changed *sync.Cond
	window  map[uint32]int64 // by stream, 0 for the connection
	initial int64
	ended   int // streams
	closed  bool
	lock    sync.Mutex // of writing
}

// peer connects from the nth address and sends the preface, with settings.
func (t *target) peer(ctx context.Context, from int, settings ...http2.Setting) (*peer, error) {
	conn, err := t.connect(ctx, from)
	if err != nil {
		return nil, err
	}
	if t.encrypt {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	p := &peer{Conn: conn, of: t, framer: http2.NewFramer(conn, conn), next: 1, contentType: "application/grpc", window: map[uint32]int64{0: 65535}, initial: 65535}
	p.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.framer.AllowIllegalWrites = true
	p.changed = sync.NewCond(&p.mu)
	p.encode = hpack.NewEncoder(&p.block)
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		conn.Close()
		return nil, err
	}
	if err := p.framer.WriteSettings(settings...); err != nil {
		conn.Close()
		return nil, err
	}
	go p.read(ctx)
	return p, nil
}

// read reads what the server answers, and counts it.
func (p *peer) read(ctx context.Context) {
	for {
		frame, err := p.framer.ReadFrame()
		if err != nil {
			var invalid http2.StreamError
			if ok := asStreamError(err, &invalid); ok {
				continue
			}
			if ctx.Err() == nil {
				p.of.answered("closed")
			}
			p.mu.Lock()
			p.closed = true
			p.changed.Broadcast()
			p.mu.Unlock()
			p.Conn.Close()
			return
		}
		p.mu.Lock()
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if size, ok := frame.Value(http2.SettingInitialWindowSize); ok {
				for stream := range p.window {
					if stream != 0 {
						p.window[stream] += int64(size) - p.initial
					}
				}
				p.initial = int64(size)
			}
		case *http2.WindowUpdateFrame:
			p.window[frame.StreamID] += int64(frame.Increment)
		case *http2.GoAwayFrame:
			p.of.answered("GOAWAY " + frame.ErrCode.String())
		case *http2.RSTStreamFrame:
			if frame.ErrCode != http2.ErrCodeNo {
				p.of.answered("RST " + frame.ErrCode.String())
			}
			p.finish(frame.StreamID)
		case *http2.MetaHeadersFrame:
			for _, field := range frame.Fields {
				if field.Name == "grpc-status" {
					code, _ := strconv.Atoi(field.Value)
					p.of.answered(codes.Code(code).String())
				}
				if field.Name == ":status" && field.Value != "200" {
					p.of.answered("HTTP " + field.Value)
				}
			}
			if frame.StreamEnded() {
				p.finish(frame.StreamID)
			}
		}
		p.changed.Broadcast()
		p.mu.Unlock()
	}
}

// finish notes that a stream has ended. The lock is held.
func (p *peer) finish(stream uint32) {
	if _, ok := p.window[stream]; ok {
		delete(p.window, stream)
		p.ended++
	}
}

// gone reports whether the connection is closed.
func (p *peer) gone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// under returns how many streams are open.
func (p *peer) under() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.window) - 1
}

// await waits until something is so, or the connection is closed. It is asked under
// the lock.
func (p *peer) await(is func() bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !is() {
		if p.closed {
			return io.ErrClosedPipe
		}
		p.changed.Wait()
	}
	return nil
}

const service = "/abuse.v1.AbuseService/"

// fields encodes the headers of a call of an RPC, with more of them.
func (p *peer) fields(method string, more ...[2]string) []byte {
	p.block.Reset()
	for _, field := range append([][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", method}, {":authority", "x"},
		{"content-type", p.contentType}, {"te", "trailers"},
	}, more...) {
		_ = p.encode.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}) // into memory
	}
	return bytes.Clone(p.block.Bytes())
}

// open begins a call, and returns its stream.
func (p *peer) open(method string, more ...[2]string) (uint32, error) {
	p.lock.Lock()
	defer p.lock.Unlock()
	stream := p.next
	p.next += 2
	p.mu.Lock()
	p.window[stream] = p.initial
	p.mu.Unlock()
	block := p.fields(method, more...)
	first := block[:min(len(block), 16<<10)]
	err := p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndHeaders: len(first) == len(block)})
	for rest := block[len(first):]; err == nil && len(rest) > 0; {
		n := min(len(rest), 16<<10)
		err = p.framer.WriteContinuation(stream, n == len(rest), rest[:n])
		rest = rest[n:]
	}
	return stream, err
}

// prefixed returns a message with its prefix.
func prefixed(compressed byte, message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{compressed}, uint32(len(message))), message...)
}

// send sends bytes on a stream, as far and as fast as the windows allow. It returns
// early if the stream has ended.
func (p *peer) send(stream uint32, bytes []byte, end bool) error {
	for len(bytes) > 0 || end {
		n := min(len(bytes), 16<<10)
		over := false
		err := p.await(func() bool {
			_, open := p.window[stream]
			over = !open
			return over || n == 0 || p.window[0] >= int64(n) && p.window[stream] >= int64(n)
		})
		if over || err != nil {
			return err
		}
		p.mu.Lock()
		p.window[0] -= int64(n)
		if _, open := p.window[stream]; open {
			p.window[stream] -= int64(n)
		}
		p.mu.Unlock()
		p.lock.Lock()
		err = p.framer.WriteData(stream, end && n == len(bytes), bytes[:n])
		p.lock.Unlock()
		if err != nil {
			return err
		}
		if bytes = bytes[n:]; len(bytes) == 0 {
			return nil
		}
	}
	return nil
}

// sendWithinWindow sends as many of the bytes as the windows allow now.
func (p *peer) sendWithinWindow(stream uint32, bytes []byte) error {
	p.mu.Lock()
	n := int(min(int64(len(bytes)), p.window[stream], p.window[0]))
	p.mu.Unlock()
	if n <= 0 {
		return nil
	}
	return p.send(stream, bytes[:n], false)
}

// call sends a whole request of a unary RPC. It does not wait for the answer.
func (p *peer) call(method string, message []byte, more ...[2]string) error {
	return p.callFramed(method, prefixed(0, message), more...)
}

func (p *peer) callFramed(method string, framed []byte, more ...[2]string) error {
	stream, err := p.open(method, more...)
	if err != nil {
		return err
	}
	return p.send(stream, framed, true)
}

// reset resets a stream.
func (p *peer) reset(stream uint32) error {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.mu.Lock()
	p.finish(stream)
	p.mu.Unlock()
	return p.framer.WriteRSTStream(stream, http2.ErrCodeCancel)
}

func (p *peer) String() string { return fmt.Sprint(p.LocalAddr()) }

// store stores events of 1 MiB.
func (t *target) store(ctx context.Context, events int) error {
	if events == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p, err := t.peer(ctx, 0)
	if err != nil {
		return err
	}
	for range events {
		if err := p.call(service+"Publish", publish(field(6, field(1, append(field(1, make([]byte, mib)), field(2, nil)...))))); err != nil {
			return err
		}
	}
	if err := p.await(func() bool { return len(p.window) == 1 }); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.answers["OK"] != events {
		return fmt.Errorf("%d events were to be stored, and the answers are %s", events, counted(t.answers))
	}
	delete(t.answers, "OK")
	return nil
}

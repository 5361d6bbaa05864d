package server

import (
	"bufio"
	"context"
	"encoding/binary"
	"log/slog"
	"net"

	"google.golang.org/grpc/credentials"
)

// preface is what a connection of HTTP/2 begins with (RFC 9113, section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Kinds and flags of HTTP/2 frames (RFC 9113, section 6), the length of their header, and
// codes of errors (section 7).
const (
	frameData, frameHeaders, frameReset             = 0x0, 0x1, 0x3
	frameContinuation                               = 0x9
	flagEndStream, flagEndHeaders, flagPadded       = 0x1, 0x4, 0x8
	frameHeaderLength                               = 9
	frameSizeError, refusedStream                   = 0x6, 0x7
	resetLength                                     = 4 // the code of a reset
	readBuffer                                      = 16 << 10
	messagePrefixLength                             = 5 // compressed or not, and the length
	compressedMessage                               = 1
	connectionWindow                          int32 = 1 << 20
	streamWindow                              int32 = 64 << 10
)

// follower follows what a client sends on a connection, at the pace at which
// gRPC reads it: which call each frame belongs to, and where its messages begin
// and end. gRPC shows a message only once all of it has arrived. What a call
// has begun to send, and for how long, can be seen only here.
type follower struct {
	net.Conn // without TLS
	of       *connection
	buffered *bufio.Reader

	skip    int  // bytes of the preface that are left
	foreign bool // it is another one
	header  [frameHeaderLength]byte
	have    int   // bytes of header
	payload int   // bytes of the frame that are left
	padding int   // of them, bytes at the end that are padding
	padded  bool  // whether the next byte is the length of the padding
	call    *call // that the frame belongs to; nil if none
	stirred *call // whose handler to wake once gRPC has handled the frame; nil if none
	headers bool  // the frame completes the headers of a call

	sent outgoing
}

func follow(c *connection, unencrypted net.Conn) *follower {
	return &follower{of: c, Conn: unencrypted, buffered: bufio.NewReaderSize(unencrypted, readBuffer), skip: len(preface)}
}

// RemoteAddr returns the address that the connection was accepted from, also if the
// credentials have another one.
func (f *follower) RemoteAddr() net.Addr { return f.of.RemoteAddr() }

func (f *follower) Read(into []byte) (int, error) {
	if f.stirred != nil {
		f.stirred.stir()
		f.stirred = nil
	}
	if f.headers && f.payload == 0 {
		f.headers = false
		f.of.handled()
	}
	n, err := f.buffered.Read(into)
	f.see(into[:n])
	if err != nil {
		f.of.loses()
	}
	return n, err
}

// see takes note of bytes that gRPC is about to read.
func (f *follower) see(bytes []byte) {
	if n := min(f.skip, len(bytes)); n > 0 {
		if !f.foreign && string(bytes[:n]) != preface[len(preface)-f.skip:][:n] { // gRPC closes the connection
			f.foreign = true
			f.of.of.limits.notices.unhandled(NotGRPC, "", f.of.from)
		}
		f.skip -= n
		bytes = bytes[n:]
	}
	for len(bytes) > 0 {
		if f.payload == 0 {
			n := copy(f.header[f.have:], bytes)
			f.have += n
			bytes = bytes[n:]
			if f.have < frameHeaderLength {
				return
			}
			f.begin()
			continue
		}
		n := min(f.payload, len(bytes))
		f.take(bytes[:n])
		bytes = bytes[n:]
	}
}

// Write writes what gRPC sends, and takes note of the calls that it ends.
func (f *follower) Write(bytes []byte) (int, error) {
	f.sent.see(f.of, bytes)
	return f.Conn.Write(bytes)
}

// outgoing follows what gRPC sends. A call whose handler has returned may keep its
// answer in memory for as long as the client gives it no window, which can be seen only
// here.
type outgoing struct {
	header  [frameHeaderLength]byte
	have    int // bytes of header
	payload int // bytes of the frame that are left
	reset   [resetLength]byte
}

func (o *outgoing) see(c *connection, bytes []byte) {
	for len(bytes) > 0 {
		if n := min(o.payload, len(bytes)); n > 0 {
			if o.header[3] == frameReset {
				copy(o.reset[max(0, resetLength-o.payload):], bytes[:n])
			}
			if o.payload -= n; o.payload == 0 && o.header[3] == frameReset {
				c.answered(o.stream(), true, binary.BigEndian.Uint32(o.reset[:]))
			}
			bytes = bytes[n:]
			continue
		}
		n := copy(o.header[o.have:], bytes)
		bytes = bytes[n:]
		if o.have += n; o.have < frameHeaderLength {
			return
		}
		o.have, o.payload = 0, int(binary.BigEndian.Uint32(o.header[:])>>8)
		kind, flags := o.header[3], o.header[4]
		switch {
		case kind == frameHeaders && flags&flagEndStream != 0:
			c.answered(o.stream(), false, 0)
		case kind == frameData:
			c.data.Add(1)
		}
	}
}

// stream returns that of the frame.
func (o *outgoing) stream() uint32 { return binary.BigEndian.Uint32(o.header[5:]) &^ (1 << 31) }

// begin begins a frame, whose header is complete.
func (f *follower) begin() {
	f.have, f.call, f.padding = 0, nil, 0
	f.payload = int(binary.BigEndian.Uint32(f.header[:]) >> 8)
	kind, flags := f.header[3], f.header[4]
	stream := binary.BigEndian.Uint32(f.header[5:]) &^ (1 << 31)
	f.padded = kind == frameData && flags&flagPadded != 0
	switch kind {
	case frameHeaders:
		f.headers = flags&flagEndHeaders != 0
		f.of.beginCall(stream, flags&flagEndStream != 0)
	case frameContinuation:
		f.headers = flags&flagEndHeaders != 0
	case frameData:
		f.call = f.of.callOf(stream)
		if f.payload == 0 && f.call != nil {
			f.call.arrived(nil, flags&flagEndStream != 0)
			f.stirred = f.call
		}
	case frameReset:
		if call := f.of.callOf(stream); call != nil {
			f.of.address.slowDown()
			call.leave()
			f.stirred = call
		}
	}
}

// take takes bytes of the payload of a frame.
func (f *follower) take(bytes []byte) {
	f.payload -= len(bytes)
	if f.call == nil {
		return
	}
	if f.padded {
		f.padded = false
		f.padding, bytes = int(bytes[0]), bytes[1:]
	}
	if beyond := min(len(bytes), f.padding-f.payload); beyond > 0 {
		bytes = bytes[:len(bytes)-beyond]
	}
	f.call.arrived(bytes, f.payload == 0 && f.header[4]&flagEndStream != 0)
	f.stirred = f.call
}

// handshake makes gRPC read each connection through a follower, after the
// handshake of TLS if there is one.
type handshake struct {
	credentials.TransportCredentials // of TLS; nil for plaintext
	log                              *slog.Logger
}

func (h handshake) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	unencrypted, info := raw, credentials.AuthInfo(nil)
	if h.TransportCredentials != nil {
		var err error
		if unencrypted, info, err = h.TransportCredentials.ServerHandshake(raw); err != nil {
			h.log.Debug("a TLS handshake did not succeed", "peer", raw.RemoteAddr().String(), "error", err)
			return nil, nil, err
		}
	}
	return follow(raw.(*connection), unencrypted), info, nil
}

func (h handshake) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	panic("a server's credentials are not for clients")
}

func (h handshake) Info() credentials.ProtocolInfo {
	if h.TransportCredentials == nil {
		return credentials.ProtocolInfo{SecurityProtocol: "insecure"}
	}
	return h.TransportCredentials.Info()
}

func (h handshake) Clone() credentials.TransportCredentials { return h }

func (h handshake) OverrideServerName(string) error { return nil }

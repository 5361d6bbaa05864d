//runtime:with web console

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// ListenAt listens on a further address, for a [Port]: the limits of connections hold for
// all addresses of the server together. flag names the address in errors.
func (s *Server) ListenAt(flag, addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s %s is in use by another program, or by --addr: stop that program, or choose another %[1]s", flag, addr)
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", flag, addr, err)
	}
	return portListener{listener, s.limits.connections}, nil
}

// TLS returns the configuration of TLS for a [Port] that speaks the given protocols, such
// as "h2" and "http/1.1": with the certificates that the server has at the time of a
// handshake, and the clients' CAs. It is nil without TLS by the server's own configuration.
func (s *Server) TLS(protocols ...string) *tls.Config {
	if s.certificates == nil {
		return nil
	}
	return s.certificates.config(protocols...)
}

// CheckPlaintext returns an error if other machines can reach the address of a [Port] in
// plaintext, unless the configuration allows that. flag names the address.
func (s *Server) CheckPlaintext(flag, addr string, encrypted bool) error {
	if encrypted {
		return nil
	}
	return s.config.checkPlaintextAt(flag, addr)
}

// WarnIfOpen logs what the address of a [Port] leaves open to other machines.
func (s *Server) WarnIfOpen(addr string, encrypted bool) { s.warnIfOpen(addr, encrypted) }

// portListener is the listener of a [Port].
type portListener struct {
	net.Listener
	of *connections
}

func (p portListener) Accept() (net.Conn, error) {
	accepted, err := p.of.accept(p.Listener)
	if err != nil {
		return nil, err
	}
	c := accepted.(*connection)
	if age := p.of.limits.config.MaxConnectionAge; age > 0 {
		age += time.Duration((rand.Float64() - 0.5) / 5 * float64(age))
		c.mu.Lock()
		c.ends = time.Now().Add(age + p.of.limits.config.MaxConnectionAgeGrace)
		c.mu.Unlock()
	}
	return portConnection{c}, nil
}

// portConnection is a connection of a [Port].
type portConnection struct{ *connection }

// mostOwed bounds how long reading from a connection pauses at once.
const mostOwed = 200 * time.Millisecond

const (
	// fewAsides is how many requests that are not calls a connection may always have.
	fewAsides = 4
	// Of a connection without calls the server reads fewBytes at once, where it has many
	// such requests: a thousand bytes can begin a hundred of them.
	fewBytes = 128
	// lookAsideEvery is how often it looks if there are fewer, for waitAside at most.
	lookAsideEvery = 5 * time.Millisecond
	waitAside      = time.Second
)

// Read pauses for calls that the client has reset, if there were too many, and for those
// requests that are not calls.
func (p portConnection) Read(into []byte) (int, error) {
	if l := p.of.limits; l.asides.Load() > int64(l.config.MaxCalls)/8 && !p.hasCalls() {
		for begin := time.Now(); p.asides.Load() >= fewAsides && time.Since(begin) < waitAside; {
			time.Sleep(lookAsideEvery)
		}
		into = into[:min(len(into), fewBytes)]
	}
	if owed := p.owed.Swap(0); owed > 0 {
		time.Sleep(min(time.Duration(owed)*resetPause, mostOwed))
	}
	return p.connection.Read(into)
}

func (p portConnection) hasCalls() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.calls) > 0
}

// connectionOf returns the connection that a listener of [Server.ListenAt] has accepted,
// perhaps within TLS.
func connectionOf(c net.Conn) *connection {
	if encrypted, ok := c.(*tls.Conn); ok {
		c = encrypted.NetConn()
	}
	return c.(portConnection).connection
}

// Retires reports whether a connection is so old that its client should take its next
// call to a new one.
func (s *Server) Retires(c net.Conn) bool {
	of := connectionOf(c)
	of.mu.Lock()
	defer of.mu.Unlock()
	return !of.ends.IsZero() && time.Now().After(of.ends.Add(-s.config.MaxConnectionAgeGrace))
}

// Unhandled counts and logs a call that came to a [Port] on a connection and ended before
// a handler had its request, and why: one of [Refusals]. method is what was called, "" if
// that is not known.
func (s *Server) Unhandled(why, method string, on net.Conn) {
	s.limits.notices.unhandled(why, method, connectionOf(on).from)
}

// Aside counts a request on a connection of a [Port] that is not one of a call, such as one
// that is refused, until end. ok is false, and nothing is counted, if there are as many as
// there may be calls and more than a few are of that connection: it should be closed.
func (s *Server) Aside(on net.Conn) (end func(), ok bool) {
	c, l := connectionOf(on), s.limits
	if l.asides.Load() >= int64(l.config.MaxCalls) && c.asides.Load() >= fewAsides {
		l.notices.reached("--max-calls", c.from)
		return nil, false
	}
	l.asides.Add(1)
	c.asides.Add(1)
	return func() {
		l.asides.Add(-1)
		c.asides.Add(-1)
	}, true
}

// PortCall is a call that came by a [Port]. It counts as one of gRPC does and keeps to the
// same limits, if the port reads its body by Receives and decodes its messages by Decode.
type PortCall struct {
	call *call
	body *portBody // nil without one
	kept int64     // of the memory, by Keep
}

// Form says how a body has the messages of a call.
type Form struct {
	// Framed is true if each has a prefix with its length, as in gRPC. Otherwise the
	// whole body is one message.
	Framed bool
	// Length is that of the body, negative if it is not known.
	Length int64
	// Compressed is true if the whole body is.
	Compressed bool
}

// Enter lets in a call of an RPC that came on a connection, or returns why not. The call
// counts until End. interrupt makes reading from the client fail, at once and from then
// on; a server calls it at most once at a time, and while it holds locks.
func (s *Server) Enter(ctx context.Context, on net.Conn, method string, interrupt func()) (*PortCall, error) {
	c := connectionOf(on)
	kind := s.limits.kinds[method]
	if err := s.limits.enter(c, kind); err != nil {
		return nil, err
	}
	call := newCall(ctx, c, kind)
	call.interrupt = interrupt
	c.mu.Lock()
	c.stream++
	call.stream = c.stream
	c.calls[call.stream] = call
	c.mu.Unlock()
	return &PortCall{call: call}, nil
}

// Leave notes that the call is handled, and that its answer is not written yet. A
// client that has reset it before is slowed down, if it does so again and again.
func (p *PortCall) Leave() {
	if of := p.call.of; p.call.Err() != nil && of.address.resets.Add(1) > mostResets {
		of.owed.Add(1)
	}
}

// End no longer counts the call, whose answer is written as far as it can be.
func (p *PortCall) End() {
	p.call.of.mu.Lock()
	p.call.wakeUp()
	started := p.call.started
	p.call.of.mu.Unlock()
	if !started {
		p.call.release()
	}
	p.call.of.answered(p.call.stream, true, 0)
}

// Context returns the context of the call, in which its handler must run.
func (p *PortCall) Context() context.Context { return p.call }

// Cut returns why the limits of the server ended the call; nil if they did not.
func (p *PortCall) Cut() error {
	p.call.of.mu.Lock()
	defer p.call.of.mu.Unlock()
	return p.call.cut
}

// Interrupt makes reading the body fail from then on.
func (p *PortCall) Interrupt() {
	p.call.of.mu.Lock()
	defer p.call.of.mu.Unlock()
	if p.body != nil {
		p.body.stops = true
	}
	p.call.wakeUp()
}

// Answers notes that the answer is being written, which takes as long as the client likes:
// where there is no room for other calls, the server may close the connection instead.
func (p *PortCall) Answers() {
	p.call.of.mu.Lock()
	p.call.becomeUnread()
	p.call.of.mu.Unlock()
}

// Wrote notes that the client has room for what is written to it.
func (p *PortCall) Wrote() { p.call.of.data.Add(1) }

// Receives returns a body that is read at the pace that the limits allow.
func (p *PortCall) Receives(body io.ReadCloser, form Form) io.ReadCloser {
	p.body = &portBody{ReadCloser: body, call: p.call, form: form}
	if !form.Framed {
		p.call.messages = append(p.call.messages, messagePrefix{form.Length, form.Compressed})
		p.call.left = 1 << 62
	}
	return p.body
}

// Done reports whether all of the body was read.
func (p *PortCall) Done() bool { return p.body == nil || p.body.done }

// Broken returns why the body could not be read from the client; nil if it could.
func (p *PortCall) Broken() error {
	if p.body == nil {
		return nil
	}
	return p.body.err
}

// Next begins to receive a message: what the one before it holds of the memory is free.
func (p *PortCall) Next() error {
	c := p.call
	c.release()
	if p.body != nil {
		p.body.holds = false
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.whole > 0 {
		c.messages = c.messages[1:]
		c.whole--
	}
	if c.cut == nil && c.uploads && c.limits.endUploads.Load() {
		c.cut = errStopping
	}
	return c.cut
}

// Holds makes the call hold the memory for a message of a length that has arrived by
// another way than its body.
func (p *PortCall) Holds(length int64, compressed bool) error {
	return p.call.hold(p.call.memoryFor(messagePrefix{length, compressed}))
}

// memoryFor returns the memory for a message until it is decoded.
func (c *call) memoryFor(m messagePrefix) int64 {
	most := int64(c.limits.config.MaxMessageBytes)
	switch {
	case m.length < 0:
		return messageForms * most
	case m.compressed:
		return messageForms * min(most, m.length*decompressed)
	}
	return messageForms * min(most, m.length)
}

// TooLong ends the call because a message of it is too long, and returns the error for the
// caller.
func (p *PortCall) TooLong() error { return p.call.cutTooLong() }

func (c *call) cutTooLong() error {
	c.tooLong(status.Errorf(codes.ResourceExhausted, "the request is larger than %d bytes, the most that the server takes (--max-message-bytes)", c.limits.config.MaxMessageBytes))
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	return c.cut
}

// Unreceived counts and logs that a request of the call could not be received: there is
// none, or it ends too early, or it is not what it was compressed to.
func (p *PortCall) Unreceived() { p.call.unreadable() }

// Decode decodes a message of the call that was received, or returns why it is refused, as
// the caller should see it.
func (p *PortCall) Decode(encoded []byte, into proto.Message) error {
	if p.call.limits.keepsRefused {
		p.call.original = append([]byte{}, encoded...)
	}
	if err := p.call.weigh(encoded, into, (*scale).weigh); err != nil {
		return err
	}
	if err := proto.Unmarshal(encoded, into); err != nil {
		return p.call.undecodable(into, err)
	}
	return nil
}

// portBody is the body of a call that came by a [Port].
type portBody struct {
	io.ReadCloser
	call  *call
	form  Form
	read  int64 // of the whole body
	holds bool  // the memory for the message that arrives
	done  bool
	err   error // of reading from the client
	stops bool  // nothing more may be read; the lock of the connection guards it
}

func (b *portBody) Read(into []byte) (int, error) {
	c := b.call
	room, err := b.room(int64(len(into)))
	if err != nil {
		return 0, err
	}
	if err := b.begin(); err != nil {
		return 0, err
	}
	prefix := b.form.Framed && c.left == 0
	n, err := b.ReadCloser.Read(into[:room])
	b.end(into[:n], err)
	if prefix && n > 0 && c.prefix[0]&^messageFlags != 0 {
		return 0, b.unframed()
	}
	if err == io.EOF {
		b.done = true
	} else if err != nil {
		b.err = err
	}
	most := int64(c.limits.config.MaxMessageBytes)
	if !b.form.Framed {
		if b.read += int64(n); b.read > most {
			return 0, c.cutTooLong()
		}
		if b.done && b.form.Compressed {
			if err := c.hold(c.memoryFor(messagePrefix{b.read, true})); err != nil {
				return 0, err
			}
		}
		return n, err
	}
	if last := len(c.messages) - 1; last >= 0 && c.left == 0 && c.have == 0 && n > 0 && c.messages[last].compressed && !b.holds {
		if err := c.hold(c.memoryFor(c.messages[last])); err != nil {
			return 0, err
		}
	}
	return n, err
}

// room returns how much may be read at once, once there is memory for it.
func (b *portBody) room(wanted int64) (int64, error) {
	c, most := b.call, int64(b.call.limits.config.MaxMessageBytes)
	message := messagePrefix{b.form.Length, b.form.Compressed}
	left := max(smallMessage-b.read, 0)
	if b.form.Framed {
		if c.left == 0 {
			b.holds = false
			return min(wanted, int64(messagePrefixLength-c.have)), nil
		}
		message = c.messages[len(c.messages)-1]
		left = 0
		if message.length <= smallMessage {
			left = c.left
		}
		wanted = min(wanted, c.left)
	}
	switch {
	case message.length > most:
		return 0, c.cutTooLong()
	case b.holds || left >= wanted:
	case left > 0:
		wanted = left
	default:
		if err := c.hold(c.memoryFor(message)); err != nil {
			return 0, err
		}
		b.holds = true
	}
	return wanted, nil
}

// messageFlags are those that messages may have: compressed, the end of a stream of
// Connect, and the trailer of gRPC-Web. No text begins with a byte of only these.
const messageFlags = compressedMessage | 0x02 | 0x80

// unframed ends the call because its body has something else where a message begins, such
// as JSON alone, and returns the error for the caller.
func (b *portBody) unframed() error {
	c := b.call
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.cut == nil {
		c.cut = status.Errorf(codes.InvalidArgument, "a message of a stream begins with five bytes: a flag, which is 0, or 1 if the message is compressed, and its length as four bytes, the highest first; this one begins with the byte %#02x", c.prefix[0])
		c.limits.notices.unhandled(Undecodable, c.method, c.of.from)
	}
	return c.cut
}

// begin begins to wait for the client.
func (b *portBody) begin() error {
	c := b.call
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	switch {
	case c.cut != nil:
		return c.cut
	case b.stops:
		return context.DeadlineExceeded
	}
	c.waits = time.Now()
	if c.progress.IsZero() {
		c.progress = c.waits
	}
	c.waiting, c.receiving = true, b.holds
	return nil
}

// end takes note of what has arrived.
func (b *portBody) end(bytes []byte, err error) {
	c := b.call
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.waiting, c.receiving = false, false
	c.follow(bytes, err == io.EOF)
	if err == io.EOF && !b.form.Framed {
		c.left, c.whole = 0, 1
	}
}

//runtime:with Reads Batch command.ClientStream command.Bidi

package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// progress knows how far a command with many requests has come, so that nobody has
// to guess after an error what was stored.
type progress struct {
	command  Command
	parsed   *parsed
	requests *reading

	id    string       // of the call under way, or of the stream; "" if it has none
	sent  atomic.Int64 // requests of a stream
	ended atomic.Bool  // whether the requests of a stream have ended

	calls        int // with one request and one reply, that were begun
	acknowledged int // events or requests of the calls that were answered
	failed       bool
}

// follow makes a call report how far it came: how much was sent, and what to do about the
// rest.
func follow(c Command, env Env, parsed *parsed, x *exchange) (note func(err error, replies int) string) {
	p := &progress{command: c, parsed: parsed, requests: newReading(c, env, parsed)}
	x.requests, x.sent = p.next, func() { p.sent.Add(1) }
	if parsed.calls {
		x.each, x.id = p.each, ""
		return func(error, int) string { return p.callsNote() }
	}
	if x.id == "" && c.Event {
		x.id = eventid.New() // so that it can be reported
	}
	p.id = x.id
	return p.streamNote
}

// next returns the next request.
func (p *progress) next() (proto.Message, error) {
	request, err := p.requests.read()
	if errors.Is(err, io.EOF) {
		p.ended.Store(true)
	}
	return request, err
}

// each begins a call of a command that makes one for each request: with its own
// timeout and event id. The id that was given is that of the first call, and with
// "/2" and so on of the later ones.
func (p *progress) each(ctx context.Context) (context.Context, func(error) error) {
	p.calls++
	p.id = p.parsed.eventID
	switch {
	case p.id == "" && p.command.Event:
		p.id = eventid.New()
	case p.id != "" && p.calls > 1:
		p.id = fmt.Sprintf("%s/%d", p.id, p.calls)
	}
	limited, cancel := context.WithTimeoutCause(withID(ctx, p.id), p.parsed.timeout, p.parsed.late())
	return limited, func(err error) error {
		defer cancel()
		if err != nil {
			p.failed = true
			return p.parsed.callError(limited, err)
		}
		p.acknowledged += p.requests.elements
		return nil
	}
}

func (p *progress) callsNote() string {
	answered := p.calls
	if p.failed {
		answered--
	}
	note := fmt.Sprintf("%s acknowledged in %s", counted(p.acknowledged, "event"), counted(answered, "call"))
	if p.failed {
		note += fmt.Sprintf("; go on with line %d of the standard input", p.requests.first)
		if p.command.Event {
			note += fmt.Sprintf(", and with --event-id %s: what is stored already is then not stored twice", p.id)
		}
	}
	return note
}

func (p *progress) streamNote(err error, replies int) string {
	sent := int(p.sent.Load())
	switch {
	case err == nil && !p.ended.Load():
		return fmt.Sprintf("the server ended the call after %s, before the end of the standard input", counted(sent, "request"))
	case err == nil || sent == 0:
		return ""
	}
	note := fmt.Sprintf("%s sent, %s received", counted(sent, "request"), counted(replies, "reply"))
	if p.command.Event {
		note += fmt.Sprintf("; send all of them again with --event-id %s: what is stored already is then not stored twice", p.id)
	}
	return note
}

// counted returns a number of things in words.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if thing == "reply" {
		thing = "replie"
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

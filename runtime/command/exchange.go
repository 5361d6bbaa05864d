package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// exchange has what a call needs: the server, its requests, and how to report
// that it has begun or failed.
type exchange struct {
	addr     string
	options  []client.Option
	requests func() (proto.Message, error) // returns the next request, or io.EOF after the last
	opened   func()                        // is called once a stream is open
	sent     func()                        // is called after each request that a stream has sent
	abort    context.CancelCauseFunc       // cancels the call for a reason on this side
	// each is called before each call of an RPC with one request and one reply. It
	// returns the context for it, and a function for its error to pass through.
	each func(context.Context) (context.Context, func(error) error)
	id   string // the event id of the call, or of all calls; "" if each has its own or none
}

// call makes the call, or as many as there are requests for, and prints the
// replies.
func (c Command) call(parent context.Context, env Env, p *parsed) error {
	ctx, abort := context.WithCancelCause(parent)
	defer abort(nil)
	ctx, opened, release := c.Call.limit(ctx, p, abort)
	defer release()
	begun, received := false, 0
	replies := new(codec)
	x := exchange{
		addr:     p.addr,
		options:  slices.Concat(env.Options, p.options(), []client.Option{client.With(grpc.WithDefaultCallOptions(grpc.ForceCodec(replies)))}),
		requests: single(p.request),
		opened:   func() { begun = true; opened() },
		sent:     func() {},
		abort:    abort,
		each: func(ctx context.Context) (context.Context, func(error) error) {
			return ctx, func(err error) error { return err }
		},
		id: p.eventID,
	}
	note := func(error, int) string { return "" }
	if p.reads {
		note = standardInput.follow(c, env, p, &x)
	}
	var err error
	for reply, failure := range c.Call.do(withID(ctx, x.id), x) {
		switch {
		case failure == nil:
			received++
			err = p.printReply(env.Stdout, replies, reply, p.json || p.calls || c.Call.manyReplies)
		case begun && c.Call.manyReplies && errors.Is(parent.Err(), context.Canceled):
			return nil
		default:
			err = p.callError(ctx, failure)
		}
		if err != nil {
			break
		}
	}
	if text := note(err, received); text != "" && env.Stderr != nil {
		fmt.Fprintf(env.Stderr, "%s: %s: %s\n", env.Program, c.Name, text)
	}
	return err
}

func withID(ctx context.Context, id string) context.Context {
	if id == "" {
		return ctx
	}
	return client.WithEventID(ctx, id)
}

// limit makes the timeout cancel a call. If the timeout is for opening a stream
// only, the call is aborted unless opened is called in time. A command with many
// calls has it for each, see progress. The caller must call release in the end.
func (c Call) limit(ctx context.Context, p *parsed, abort context.CancelCauseFunc) (limited context.Context, opened, release func()) {
	if p.calls {
		return ctx, func() {}, func() {}
	}
	if !p.bounded {
		timer := time.AfterFunc(p.timeout, func() { abort(p.late()) })
		stop := func() { timer.Stop() }
		return ctx, stop, stop
	}
	late := p.late()
	if c.manyRequests || c.manyReplies {
		late = fmt.Errorf("the call to %s did not end within %s (see --timeout)", p.addr, p.timeout)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, late)
	return ctx, func() {}, cancel
}

// late returns the error of a call that takes longer than its timeout.
func (p *parsed) late() error {
	return fmt.Errorf("no answer from %s within %s (see --timeout)", p.addr, p.timeout)
}

// callError returns the error of a call in the words of the person who made it:
// for a timeout or a cancellation its cause, with what the server answered to
// earlier tries, else the server's code and message. To somebody who gave nothing that
// shows who calls it says how to.
func (p *parsed) callError(ctx context.Context, err error) error {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		<-ctx.Done() // the server knows the deadline, too, and may have ended the call first
	}
	if ctx.Err() != nil {
		answer, ok := client.LastAnswer(err)
		err = context.Cause(ctx)
		if ok {
			err = fmt.Errorf("%w; its last answer was %s: %s", err, answer.Code(), answer.Message())
		}
	}
	s, ok := status.FromError(err)
	switch {
	case !ok:
		return err
	case p.access.hint != "" && !sendsMore(ctx) && (s.Code() == codes.Unauthenticated || s.Code() == codes.PermissionDenied):
		return fmt.Errorf("%s: %s (%s)", s.Code(), s.Message(), p.access.hint)
	}
	return fmt.Errorf("%s: %s", s.Code(), s.Message())
}

// sendsMore reports whether the program's own context has metadata for the call,
// besides the id of an event: a token, for example.
func sendsMore(ctx context.Context) bool {
	md, _ := metadata.FromOutgoingContext(ctx)
	delete(md, eventid.Key) // of a copy
	return len(md) > 0
}

package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
)

// exchange has what a call needs: the server, its requests, and how to report
// that it has begun or failed.
type exchange struct {
	addr     string
	options  []client.Option
	requests func() (proto.Message, error) // returns the next request, or io.EOF after the last
	opened   func()                        // is called once a stream is open
	abort    context.CancelCauseFunc       // cancels the call for a reason on this side
}

// call makes the call and prints its replies.
func (c Command) call(parent context.Context, env Env, p *parsed) error {
	ctx, abort := context.WithCancelCause(parent)
	defer abort(nil)
	ctx, opened, release := c.Call.limit(ctx, p, abort)
	defer release()
	begun := false
	x := exchange{
		addr:     p.addr,
		options:  p.options(),
		requests: c.Call.requests(env.Stdin, p.request),
		opened:   func() { begun = true; opened() },
		abort:    abort,
	}
	for reply, err := range c.Call.do(p.context(ctx), x) {
		switch {
		case err == nil:
			err = printReply(env.Stdout, reply, p.json, p.json || c.Call.manyReplies)
		case begun && c.Call.manyReplies && errors.Is(parent.Err(), context.Canceled):
			return nil
		default:
			err = callError(ctx, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// limit makes the timeout cancel a call. If the timeout is for opening a stream
// only, the call is aborted unless opened is called in time. The caller must call
// release in the end.
func (c Call) limit(ctx context.Context, p *parsed, abort context.CancelCauseFunc) (limited context.Context, opened, release func()) {
	late := fmt.Errorf("no answer from %s within %s (see --timeout)", p.addr, p.timeout)
	if !p.bounded {
		timer := time.AfterFunc(p.timeout, func() { abort(late) })
		stop := func() { timer.Stop() }
		return ctx, stop, stop
	}
	if c.manyRequests || c.manyReplies {
		late = fmt.Errorf("the call to %s did not end within %s (see --timeout)", p.addr, p.timeout)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, late)
	return ctx, func() {}, cancel
}

// requests returns a function that returns the given request, or those of the
// standard input if none is given.
func (c Call) requests(stdin io.Reader, one proto.Message) func() (proto.Message, error) {
	if one == nil {
		if stdin == nil {
			stdin = strings.NewReader("")
		}
		in := newInput(stdin)
		return func() (proto.Message, error) {
			request := c.request()
			return request, in.next(request)
		}
	}
	returned := false
	return func() (proto.Message, error) {
		if returned {
			return nil, io.EOF
		}
		returned = true
		return one, nil
	}
}

// callError returns the error of a call in the words of the person who made it:
// for a timeout or a cancellation its cause, else the server's code and message.
func callError(ctx context.Context, err error) error {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		<-ctx.Done() // the server knows the deadline, too, and may have ended the call first
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if s, ok := status.FromError(err); ok {
		return fmt.Errorf("%s: %s", s.Code(), s.Message())
	}
	return err
}

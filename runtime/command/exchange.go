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

// exchange is what a call is made with.
type exchange struct {
	addr     string
	options  []client.Option
	requests func() (proto.Message, error) // gives the next one, io.EOF after the last
	opened   func()                        // is told by a stream that it stands
	abort    context.CancelCauseFunc       // cancels the call for a reason on this side
}

// call makes the call and prints its replies.
func (c Command) call(asked context.Context, env Env, p *parsed) error {
	ctx, abort := context.WithCancelCause(asked)
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
			err = show(env.Stdout, reply, p.json, p.json || c.Call.manyReplies)
		case begun && c.Call.manyReplies && errors.Is(asked.Err(), context.Canceled):
			return nil
		default:
			err = explain(ctx, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// limit has the timeout cancel a call, or abort it if the timeout is only for
// what comes before opened. What it takes is freed by release.
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

// requests gives the one request there is, or those of the standard input.
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
	given := false
	return func() (proto.Message, error) {
		if given {
			return nil, io.EOF
		}
		given = true
		return one, nil
	}
}

// explain says what the error of a call means to the person who made it.
func explain(ctx context.Context, err error) error {
	if deadline, set := ctx.Deadline(); set && !time.Now().Before(deadline) {
		<-ctx.Done() // the server knows the deadline, too, and may have been first to say so
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if s, ok := status.FromError(err); ok {
		return fmt.Errorf("%s: %s", s.Code(), s.Message())
	}
	return err
}

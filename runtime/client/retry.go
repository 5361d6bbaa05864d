package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// How long to wait before a call is tried again: at first, at most, and the least
// that is still worth another try before the deadline. Each wait is twice as long
// as the one before, and up to a fifth longer or shorter, so that many clients
// don't come back at once. If the server says how long to wait, it is that long, and
// up to a fifth and a moment longer.
const (
	firstWait = 100 * time.Millisecond
	mostWait  = 2 * time.Second
	leastWait = firstWait / 2
	moment    = 10 * time.Millisecond
)

// pushback is the key of the trailer by which a server says after how many
// milliseconds to try again, or that nobody should if it is negative. See
// https://github.com/grpc/proposal/blob/master/A6-client-retries.md.
const pushback = "grpc-retry-pushback-ms"

// retrier tries the calls of some methods again while the server is unavailable, or
// when it names a time after which to. gRPC's own retries end after five attempts,
// which an outage of two seconds outlasts, and they are lost if the caller has a
// service config. Calls of other methods are final even if the server names a time:
// it does not say that nothing was done, and gRPC's own policies don't read it so.
type retrier map[string]bool // the methods that may be tried again, as "/shop.v1.Orders/Place"

func newRetrier(services []Service) retrier {
	methods := make(retrier)
	for _, service := range services {
		for _, method := range service.Methods {
			if method.Retry {
				methods["/"+service.Name+"/"+method.Name] = true
			}
		}
	}
	return methods
}

// call makes a call, and tries it again until its deadline.
func (r retrier) call(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, call grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if !r[method] || ctx.Value(dialingKey{}) != nil {
		return call(ctx, method, request, reply, conn, options...)
	}
	var last error // the server's last answer
	for tries := 1; ; tries++ {
		var trailer metadata.MD
		err := call(ctx, method, request, reply, conn, append(options[:len(options):len(options)], grpc.Trailer(&trailer))...)
		if err == nil {
			return nil
		}
		if !mayPass(err, trailer) {
			return withAnswer(err, last, tries)
		}
		last = err
		wait, ok := waitBefore(ctx, tries, trailer)
		if !ok {
			return err
		}
		pause(ctx, conn, wait)
		if ctx.Err() != nil {
			return withAnswer(status.FromContextError(ctx.Err()).Err(), last, tries)
		}
	}
}

// mayPass reports whether what a call failed for may be over soon: the server is
// unavailable, or it refuses a call as one too many and says when it will take it.
// Without that, ResourceExhausted may be for good, as a message that is too large is.
func mayPass(err error, trailer metadata.MD) bool {
	switch status.Code(err) {
	case codes.Unavailable:
		return true
	case codes.ResourceExhausted:
		return len(trailer.Get(pushback)) > 0
	}
	return false
}

// pause waits for a duration, or until a connection that is away is back.
func pause(ctx context.Context, conn *grpc.ClientConn, wait time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	state := conn.GetState()
	if state == connectivity.Ready {
		<-ctx.Done()
		return
	}
	for state != connectivity.Ready && conn.WaitForStateChange(ctx, state) {
		state = conn.GetState()
	}
}

// waitBefore returns how long to wait after a number of tries. It returns false if
// the call should not be tried again: the server says so, or too little is left
// until the deadline.
func waitBefore(ctx context.Context, tries int, trailer metadata.MD) (wait time.Duration, ok bool) {
	left := time.Duration(1<<63 - 1)
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	if asked := trailer.Get(pushback); len(asked) > 0 {
		ms, err := strconv.ParseUint(asked[0], 10, 31)
		wait = time.Duration(ms) * time.Millisecond
		if len(asked) > 1 || err != nil || left-wait < leastWait {
			return 0, false
		}
		return wait + rand.N(min(wait/5+moment, (left-wait)/2)), true
	}
	wait = mostWait
	if shift := tries - 1; shift < 5 {
		wait = min(mostWait, firstWait<<shift)
	}
	wait = min(wait*time.Duration(800+rand.IntN(401))/1000, left/2)
	return wait, wait >= leastWait
}

// unanswered is the error of a call that ended, by its deadline or a cancellation,
// while it was tried again.
type unanswered struct {
	status *status.Status
	answer error // the server's last one
}

// withAnswer adds to the error of a call that ended what the server had answered
// before. Any other error is an answer itself.
func withAnswer(err, answer error, tries int) error {
	code := status.Code(err)
	if answer == nil || code != codes.DeadlineExceeded && code != codes.Canceled {
		return err
	}
	last := status.Convert(answer)
	return &unanswered{answer: answer, status: status.New(code, fmt.Sprintf("%s (the last answer of %d tries: %s: %s)",
		status.Convert(err).Message(), tries, last.Code(), last.Message()))}
}

func (u *unanswered) Error() string              { return u.status.String() }
func (u *unanswered) GRPCStatus() *status.Status { return u.status }

// LastAnswer returns what the server last answered, if err is the error of a call
// that was tried again until its deadline.
func LastAnswer(err error) (answer *status.Status, ok bool) {
	var tried *unanswered
	if !errors.As(err, &tried) {
		return nil, false
	}
	return status.Convert(tried.answer), true
}

package servertest

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Plain is an RPC of any kind that takes no events.
type Plain[Request proto.Message] struct {
	Options Options
	// RPC is its name, as gRPC has it.
	RPC string
	// Request makes a request that the service accepts.
	Request func() Request
	// Serve runs the service, and returns how to make a call and wait for its end.
	Serve func(testing.TB) func(context.Context, Request) error

	answers *bool // whether all calls ended within answerTime
}

// answerTime is how long a call may take before it counts as one that waits for something.
const answerTime = time.Second

// Answers tests an RPC: each request gets an answer, or an error that has a code. One may
// also wait for something until its caller goes.
func Answers[Request proto.Message](t *testing.T, rpc Plain[Request]) {
	rpc.answers = new(bool)
	rpc.Options.run(t, rpc.parts())
}

func (rpc Plain[Request]) parts() []part {
	return []part{{"each request is answered", rpc.answersEach}, {"callers at once are answered", rpc.answersMany}}
}

func (rpc Plain[Request]) answersEach(t *testing.T) {
	call := rpc.Serve(t)
	for what, request := range requests(rpc.Request()) {
		for range 2 { // the second finds what the first left, such as a lock
			if rpc.answer(rpc.Options.context(t), t, call, what, request, answerTime) == codes.DeadlineExceeded {
				return
			}
		}
	}
	*rpc.answers = true
}

func (rpc Plain[Request]) answersMany(t *testing.T) {
	call, within := rpc.Serve(t), answerTime
	if !*rpc.answers {
		within /= 10 // it waits for something, as was seen
	}
	together := meeting(int64(rpc.Options.callers()))
	var group sync.WaitGroup
	for range rpc.Options.callers() {
		request := rpc.Request()
		group.Go(func() {
			rpc.answer(together(rpc.Options.context(t)), t, call, "a request among others", request, within)
		})
	}
	group.Wait()
}

// answer makes a call and checks how it ends.
func (rpc Plain[Request]) answer(ctx context.Context, t *testing.T, call func(context.Context, Request) error, what string, request Request, within time.Duration) codes.Code {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := call(ctx, request)
	checkCode(t, rpc.RPC, what, err)
	return status.Code(err)
}

// checkCode checks that the error of a call shows its caller what to do.
func checkCode(t *testing.T, rpc, what string, err error) {
	t.Helper()
	if wrongCode(err) {
		t.Errorf("%s: %s ended with %v, want an answer, or an error that shows its caller what to do, such as status.Error(codes.NotFound, …)", where(rpc), what, err)
	}
}

// wrongCode reports whether an error shows its caller nothing that the caller could do.
func wrongCode(err error) bool {
	code := status.Code(err)
	return code == codes.Unknown || code == codes.Internal
}

// requests yields an empty request, the full one, and that one without each of the
// messages in it.
func requests[Request proto.Message](full Request) iter.Seq2[string, Request] {
	return func(yield func(string, Request) bool) {
		if none := empty[Request](); proto.CheckInitialized(none) == nil && !yield("an empty request", none) || !yield("a full request", full) {
			return
		}
		fields := full.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			field := fields.Get(i)
			if field.Message() == nil || !full.ProtoReflect().Has(field) {
				continue
			}
			sparse := proto.CloneOf(full)
			sparse.ProtoReflect().Clear(field)
			if proto.CheckInitialized(sparse) == nil && !yield("a request without "+string(field.Name()), sparse) {
				return
			}
		}
	}
}

// First waits for the first message of a stream and returns the stream's error. A
// stream that ends without a message is not an error.
func First[Reply any](stream interface{ Recv() (*Reply, error) }) error {
	_, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func empty[M proto.Message]() M {
	var none M
	return none.ProtoReflect().New().Interface().(M)
}

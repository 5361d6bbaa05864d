//runtime:used

package servertest

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Streaming is an RPC that takes no events, and in which one side streams, or both.
type Streaming[Request, Reply proto.Message] struct {
	Options Options
	// RPC is its name, as gRPC has it.
	RPC string
	// Request makes a request that the service accepts.
	Request func() Request
	// Desc has which sides stream.
	Desc grpc.StreamDesc
	// Serve runs the service, and returns how to begin a call. A caller who streams sends
	// no request to begin it.
	Serve func(testing.TB) Begin[Request]

	answers bool // whether all calls ended that their callers did not leave open
}

// Begin begins a call.
type Begin[Request proto.Message] func(context.Context, Request) (grpc.ClientStream, error)

// Streams tests an RPC as [Answers] does, and how its streams end. A stream may stay open
// while there is nothing to send. It must end when its caller goes or the server stops, and
// must not hold up other calls.
func Streams[Request, Reply proto.Message](t *testing.T, rpc Streaming[Request, Reply]) {
	plain := Plain[Request]{rpc.Options, rpc.RPC, rpc.Request, rpc.whole, &rpc.answers}
	parts := plain.parts()
	if rpc.Desc.ClientStreams {
		parts = append(parts,
			part{"a stream without requests is answered", rpc.answersNone},
			part{"a request that can't be read is an error", rpc.refusesUnreadable})
	}
	rpc.Options.run(t, append(parts,
		part{"a stream ends when its caller goes", rpc.endsWithCaller},
		part{"a stream ends when the server stops", rpc.endsWithServer},
		part{"a slow caller holds up no other", rpc.holdsUpNone}))
}

func (rpc *Streaming[Request, Reply]) whole(t testing.TB) func(context.Context, Request) error {
	begin := rpc.Serve(t)
	return func(ctx context.Context, request Request) error { return rpc.call(ctx, begin, request) }
}

func (rpc *Streaming[Request, Reply]) answersNone(t *testing.T) {
	checkCode(t, rpc.RPC, "a stream without requests", rpc.call(rpc.Options.context(t), rpc.Serve(t)))
}

// refusesUnreadable leaves it to the server to find a handler that takes the end for a
// success.
func (rpc *Streaming[Request, Reply]) refusesUnreadable(t *testing.T) {
	err := rpc.call(rpc.Options.context(t), rpc.Serve(t), rpc.Request(), unreadable[Request]())
	checkCode(t, rpc.RPC, "a request that can't be read", err)
}

// endsWithCaller leaves it to the server to find that handlers don't end.
func (rpc *Streaming[Request, Reply]) endsWithCaller(t *testing.T) {
	begin := rpc.Serve(t)
	for range 4 {
		_, leave := rpc.pause(t, begin)
		leave()
	}
}

func (rpc *Streaming[Request, Reply]) endsWithServer(t *testing.T) {
	of := &stoppable{TB: t}
	ended, _ := rpc.pause(t, rpc.Serve(of))
	of.stop()
	checkCode(t, rpc.RPC, "a stream that was open when the server stopped", <-ended)
}

func (rpc *Streaming[Request, Reply]) holdsUpNone(t *testing.T) {
	if rpc.Options.callers() < 2 || !rpc.answers {
		t.Skip("no other caller would be answered")
	}
	begin := rpc.Serve(t)
	rpc.pause(t, begin)
	if err := rpc.call(rpc.Options.context(t), begin, rpc.Request()); status.Code(err) == codes.DeadlineExceeded {
		t.Errorf("%s: no other caller was answered while one neither read nor sent: is a lock held meanwhile?", where(rpc.RPC))
	}
}

// call makes a call with some requests, and returns how it ended.
func (rpc *Streaming[Request, Reply]) call(ctx context.Context, begin Begin[Request], requests ...Request) error {
	stream, err := rpc.send(ctx, begin, requests)
	if err != nil {
		return err
	}
	_ = stream.CloseSend() // what went wrong, the end says
	return rpc.end(stream)
}

// send begins a call with some requests.
func (rpc *Streaming[Request, Reply]) send(ctx context.Context, begin Begin[Request], requests []Request) (grpc.ClientStream, error) {
	if !rpc.Desc.ClientStreams {
		return begin(ctx, requests[0])
	}
	stream, err := begin(ctx, empty[Request]())
	if err != nil {
		return nil, err
	}
	for _, request := range requests {
		_ = stream.SendMsg(request)
	}
	return stream, nil
}

// end receives what is sent, and returns how the call ended.
func (rpc *Streaming[Request, Reply]) end(stream grpc.ClientStream) error {
	for {
		err := stream.RecvMsg(empty[Reply]())
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil || !rpc.Desc.ServerStreams {
			return err
		}
	}
}

// pause begins a call whose caller neither reads nor goes on sending, and waits until its
// handler waits for that. One that waits for something else can't be seen to do so: for
// those it waits a moment.
func (rpc *Streaming[Request, Reply]) pause(t *testing.T, begin Begin[Request]) (ended <-chan error, leave context.CancelFunc) {
	t.Helper()
	ctx, reached, leave := paused(rpc.Options.context(t))
	t.Cleanup(leave)
	stream, err := rpc.send(ctx, begin, []Request{rpc.Request()})
	if err != nil {
		t.Fatal(err)
	}
	end := make(chan error, 1)
	go func() { end <- rpc.end(stream) }()
	select {
	case <-reached:
	case err := <-end:
		end <- err
	case <-time.After(patience):
	}
	return end, leave
}

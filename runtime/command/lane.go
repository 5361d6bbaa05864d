//runtime:with command.From command.Bench

package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/bulk"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
)

// lane makes calls of one RPC, many at a time.
type lane interface {
	// send makes a call with requests, of which a unary RPC has one. It may wait until
	// other calls have ended. done is called once, unless there is an error.
	send(ctx context.Context, id string, requests [][]byte, done func(laneAnswer)) error
	close() error
}

// laneAnswer is what came of a call.
type laneAnswer struct {
	replies    [][]byte
	trailer    metadata.MD
	err        error         // a status
	retryAfter time.Duration // 0: the server named no time
	size       int           // of the requests, in bytes
}

// dialLane connects to the server for a command. If singly is set, each call is made by
// itself, as others make them; else those of a unary RPC go by the server's bulk lane, if
// it has one.
func (c Command) dialLane(ctx context.Context, env Env, p *parsed, concurrency int, singly bool) (lane, error) {
	if c.RPC == "" || c.Service == "" {
		return nil, errors.New("the program has a bug: the command does not name its RPC: generate again")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, p.late())
	defer cancel()
	conn, err := client.Dial(ctx, p.addr, nil, slices.Concat(env.Options, p.options())...)
	if err != nil {
		return nil, p.callError(ctx, err)
	}
	method := "/" + c.Service + "/" + c.RPC
	if !c.Call.manyRequests && !singly {
		return bulkCalls{conn, bulk.Open(conn, method, bulk.Window(concurrency, bulkBytes))}, nil
	}
	calls := &singleCalls{conn: conn, method: method, slots: make(chan struct{}, concurrency)}
	if c.Call.manyRequests {
		calls.stream = &grpc.StreamDesc{StreamName: c.RPC, ClientStreams: true, ServerStreams: true}
	}
	return calls, nil
}

// bulkBytes is how much of requests is under way at most.
const bulkBytes = 8 << 20

// bulkCalls is a lane of package bulk.
type bulkCalls struct {
	conn *grpc.ClientConn
	lane *bulk.Lane
}

func (b bulkCalls) send(ctx context.Context, id string, requests [][]byte, done func(laneAnswer)) error {
	return b.lane.Send(ctx, bulk.Call{ID: id, Request: requests[0], Done: func(a bulk.Answer) {
		done(laneAnswer{replies: [][]byte{a.Reply}, trailer: a.Trailer, err: a.Err, retryAfter: a.RetryAfter, size: len(requests[0])})
	}})
}

func (b bulkCalls) close() error {
	return errors.Join(b.conn.Close(), b.lane.Close()) // calls without an answer end at once
}

// singleCalls is a lane that makes each call by itself.
type singleCalls struct {
	conn   *grpc.ClientConn
	method string
	stream *grpc.StreamDesc // nil: the RPC is unary
	slots  chan struct{}
}

func (s *singleCalls) close() error { return s.conn.Close() }

func (s *singleCalls) send(ctx context.Context, id string, requests [][]byte, done func(laneAnswer)) error {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	go func() {
		defer func() { <-s.slots }()
		ctx, cancel := context.WithTimeout(client.WithEventID(ctx, id), client.DefaultTimeout)
		defer cancel()
		size := 0
		for _, request := range requests {
			size += len(request)
		}
		if s.stream != nil {
			a := s.streamed(ctx, requests)
			a.size = size
			done(a)
			return
		}
		a := laneAnswer{size: size}
		var reply []byte
		a.err = s.conn.Invoke(ctx, s.method, requests[0], &reply, grpc.ForceCodec(bytesCodec{}), grpc.Trailer(&a.trailer))
		a.replies = [][]byte{reply}
		a.retryAfter = pushBack(a.trailer)
		done(a)
	}()
	return nil
}

// streamed sends all requests in one stream, and returns the replies.
func (s *singleCalls) streamed(ctx context.Context, requests [][]byte) (a laneAnswer) {
	stream, err := s.conn.NewStream(ctx, s.stream, s.method, grpc.ForceCodec(bytesCodec{}))
	if err != nil {
		return laneAnswer{err: err}
	}
	sent := make(chan int, 1)
	go func() {
		for i, request := range requests {
			if stream.SendMsg(request) != nil { // RecvMsg has the reason
				sent <- i
				return
			}
		}
		_ = stream.CloseSend()
		sent <- len(requests)
	}()
	for {
		var reply []byte
		if a.err = stream.RecvMsg(&reply); a.err != nil {
			break
		}
		a.replies = append(a.replies, reply)
	}
	if errors.Is(a.err, io.EOF) {
		a.err = nil
		if n := <-sent; n < len(requests) { // nobody knows what it took
			a.err = status.Errorf(codes.Unimplemented, "the server ended a call without an error after %d of its %d requests at most", n, len(requests))
		}
	}
	a.trailer = stream.Trailer()
	a.retryAfter = pushBack(a.trailer)
	return a
}

// pushBack returns after what time the server wants a call to be tried again.
func pushBack(trailer metadata.MD) time.Duration {
	for _, text := range trailer.Get("grpc-retry-pushback-ms") {
		if ms, err := strconv.ParseUint(text, 10, 31); err == nil {
			return time.Duration(ms) * time.Millisecond
		}
	}
	return 0
}

// bytesCodec sends and receives messages that are encoded already.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "proto" }

func (bytesCodec) Marshal(v any) ([]byte, error) {
	data, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("%T is not an encoded message", v)
	}
	return data, nil
}

func (bytesCodec) Unmarshal(data []byte, v any) error {
	to, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("%T does not hold an encoded message", v)
	}
	*to = append([]byte{}, data...) // data is gRPC's
	return nil
}

// outcome is what becomes of a call that was answered.
type outcome int

const (
	stored  outcome = iota
	refused         // the server will not take it
	again           // it may take it later
	fatal           // it will not take any
)

const (
	// A server takes a call of less than smallCall bytes once it has room, unless its limit
	// is lower than any in use.
	smallCall = 16 << 10
	// mostTries is how often a small call is tried that a server refuses without a time.
	mostTries = 100
)

// outcomeOf returns what becomes of a call after a number of tries.
func outcomeOf(a laneAnswer, tries int) outcome {
	switch status.Code(a.err) {
	case codes.OK:
		return stored
	case codes.Unavailable, codes.DeadlineExceeded, codes.Aborted, codes.Canceled:
		return again
	case codes.ResourceExhausted: // for good, if the message is too large
		if a.retryAfter > 0 || a.size < smallCall && tries < mostTries {
			return again
		}
	case codes.Internal, codes.Unknown, codes.DataLoss: // by a fault of the server, which may pass
		if tries < 3 {
			return again
		}
	case codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented:
		return fatal
	}
	return refused
}

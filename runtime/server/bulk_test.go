package server

import (
	"context"
	"fmt"
	"sync"
	"testing"

	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/bulk"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// lanes makes a server have lanes.
func lanes() Option { return (&Bulk{On: true}).Option() }

const unaryCall = "/grpc.testing.TestService/UnaryCall"

func encoded(t *testing.T, m proto.Message) []byte {
	t.Helper()
	bytes, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

func TestALaneAnswersEachCall(t *testing.T) {
	for _, on := range []bool{true, false} {
		t.Run(fmt.Sprint(on), func(t *testing.T) {
			var mu sync.Mutex
			ids := map[string]string{}
			running := serve(t, free(), tested(&service{unary: func(ctx context.Context, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
				mu.Lock()
				defer mu.Unlock()
				ids[string(request.Payload.Body)] = fmt.Sprint(metadata.ValueFromIncomingContext(ctx, eventid.Key), metadata.ValueFromIncomingContext(ctx, "more"))
				return &testpb.SimpleResponse{Payload: request.Payload}, nil
			}}), (&Bulk{On: on}).Option())
			lane := bulk.Open(dial(t, running.Addr()), unaryCall)
			const calls = 3000
			answers := make([]bulk.Answer, calls)
			for i := range calls {
				call := bulk.Call{ID: fmt.Sprint(i), Request: encoded(t, &testpb.SimpleRequest{Payload: &testpb.Payload{Body: fmt.Append(nil, "body ", i)}}),
					Done: func(a bulk.Answer) { answers[i] = a }}
				if i%3 == 0 {
					call.Metadata = metadata.Pairs("more", fmt.Sprint("m", i))
				}
				if err := lane.Send(soon(t), call); err != nil {
					t.Fatal(err)
				}
			}
			if err := lane.Close(); err != nil {
				t.Fatal(err)
			}
			if lane.Bulk() != on {
				t.Errorf("the client takes the server for one with lanes: %v", lane.Bulk())
			}
			for i, answer := range answers {
				body := fmt.Sprint("body ", i)
				var reply testpb.SimpleResponse
				if answer.Err != nil || proto.Unmarshal(answer.Reply, &reply) != nil || string(reply.Payload.Body) != body {
					t.Fatalf("call %d: %v, %q", i, answer.Err, answer.Reply)
				}
				more := "[]"
				if i%3 == 0 {
					more = fmt.Sprintf("[m%d]", i)
				}
				if want := fmt.Sprintf("[%d]%s", i, more); ids[body] != want && ids[body] != fmt.Sprintf("[%d] %s", i, more) {
					t.Fatalf("call %d came with %s, want %s", i, ids[body], want)
				}
			}
		})
	}
}

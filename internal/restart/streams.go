//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindsclient"
)

// end is how a stream ended.
type end struct {
	stream string
	err    error
}

// ofEachKind is how many streams of each kind are open.
const ofEachKind = 10

// stopWithStreams stops a server on which each kind of stream is open, with a drain
// timeout that no stream should use up. It returns how long the server took to exit, and
// how the streams ended.
func stopWithStreams(ctx context.Context, program, dir string) (time.Duration, []end, error) {
	p, err := newProcess(program, dir, "streams", "--drain-timeout", "1m")
	if err != nil {
		return 0, nil, err
	}
	defer p.kill()
	if err := p.start(ctx); err != nil {
		return 0, nil, err
	}
	client, err := kindsclient.Dial(ctx, p.addr)
	if err != nil {
		return 0, nil, err
	}
	defer client.Close()
	conn, err := grpc.NewClient(p.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return 0, nil, err
	}
	defer conn.Close()
	ended := make(chan end)
	streams := map[string]func() (receive func() error, err error){
		"a tail":                func() (func() error, error) { return tail(ctx, client) },
		"an upload":             func() (func() error, error) { return upload(ctx, client, 1) },
		"an upload of nothing":  func() (func() error, error) { return upload(ctx, client, 0) },
		"an exchange":           func() (func() error, error) { return exchange(ctx, client) },
		"reflection":            func() (func() error, error) { return reflection(ctx, conn) },
		"a watch of the health": func() (func() error, error) { return watch(ctx, conn) },
	}
	for name, open := range streams {
		for range ofEachKind {
			receive, err := open()
			if err != nil {
				return 0, nil, fmt.Errorf("%s: %w", name, err)
			}
			go func() {
				for {
					if err := receive(); err != nil {
						ended <- end{name, err}
						return
					}
				}
			}()
		}
	}
	took, err := p.stop()
	if err != nil {
		return took, nil, fmt.Errorf("with open streams, the server's exit: %w", err)
	}
	var all []end
	for range ofEachKind * len(streams) {
		all = append(all, <-ended)
	}
	return took, all, nil
}

// tail opens a tail, and receives an event on it.
func tail(ctx context.Context, client *kindsclient.Client) (func() error, error) {
	stream, err := client.Intake().FollowAll(ctx, &emptypb.Empty{})
	if err != nil {
		return nil, err
	}
	_, sent := client.Intake().One(ctx, click)
	_, received := stream.Recv()
	return func() error { _, err := stream.Recv(); return err }, errors.Join(sent, received)
}

var click = &kindspb.ClickEvent{Type: "click", UserId: "ann"}

// upload opens an upload, and sends some events on it.
func upload(ctx context.Context, client *kindsclient.Client, events int) (func() error, error) {
	stream, err := client.Intake().Upload(ctx)
	for range events {
		if err == nil {
			err = stream.Send(click)
		}
	}
	if err != nil {
		return nil, err
	}
	return func() error { return stream.RecvMsg(new(kindspb.Reply)) }, nil
}

// exchange opens an exchange, of which the first event is answered.
func exchange(ctx context.Context, client *kindsclient.Client) (func() error, error) {
	stream, err := client.Intake().Exchange(ctx)
	if err != nil {
		return nil, err
	}
	sent := stream.Send(click)
	_, received := stream.Recv()
	return func() error { _, err := stream.Recv(); return err }, errors.Join(sent, received)
}

// reflection opens a stream of reflection, and asks for the services.
func reflection(ctx context.Context, conn *grpc.ClientConn) (func() error, error) {
	stream, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		return nil, err
	}
	sent := stream.Send(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}})
	_, received := stream.Recv()
	return func() error { _, err := stream.Recv(); return err }, errors.Join(sent, received)
}

// watch watches the health. Its end is a good one, after NOT_SERVING.
func watch(ctx context.Context, conn *grpc.ClientConn) (func() error, error) {
	stream, err := grpc_health_v1.NewHealthClient(conn).Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		return nil, err
	}
	last := grpc_health_v1.HealthCheckResponse_UNKNOWN
	return func() error {
		reply, err := stream.Recv()
		if err == nil {
			last = reply.Status
		}
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w after %s", err, last)
		}
		return err
	}, nil
}

package byhand

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// NewAPI returns the service.
func NewAPI(journal Journal) kindspb.IntakeServer { return &api{journal: journal} }

type api struct {
	kindspb.UnsafeIntakeServer
	journal Journal
}

func (a *api) One(ctx context.Context, click *kindspb.ClickEvent) (*kindspb.Reply, error) {
	return answer(1, a.journal.Write(ctx, []*kindspb.ClickEvent{click}))
}

func (a *api) Held(ctx context.Context, request *kindspb.HeldRequest) (*kindspb.Reply, error) {
	return a.One(ctx, request.GetEvent())
}

func (a *api) Batch(ctx context.Context, request *kindspb.BatchRequest) (*kindspb.Reply, error) {
	return answer(len(request.GetEvents()), a.journal.Write(a.journal.Begin(ctx), request.GetEvents()))
}

func answer(count int, err error) (*kindspb.Reply, error) {
	if err != nil {
		return nil, err
	}
	return &kindspb.Reply{Count: uint32(count), Message: "thanks"}, nil
}

// Upload keeps clicks back until the stream ends, and then writes all at once.
func (a *api) Upload(stream kindspb.Intake_UploadServer) error {
	var clicks []*kindspb.ClickEvent
	if err := receive(stream, func(click *kindspb.ClickEvent) error {
		clicks = append(clicks, click)
		return nil
	}); err != nil {
		return err
	}
	reply, err := answer(len(clicks), a.journal.Write(a.journal.Begin(stream.Context()), clicks))
	if err != nil {
		return err
	}
	return stream.SendAndClose(reply)
}

func (a *api) UploadHeld(stream kindspb.Intake_UploadHeldServer) error {
	ctx := a.journal.Begin(stream.Context())
	if err := receive(stream, func(request *kindspb.HeldRequest) error {
		return a.journal.Write(ctx, []*kindspb.ClickEvent{request.GetEvent()})
	}); err != nil {
		return err
	}
	return stream.SendAndClose(&emptypb.Empty{})
}

func (a *api) UploadBatches(stream kindspb.Intake_UploadBatchesServer) error {
	ctx, count := a.journal.Begin(stream.Context()), 0
	if err := receive(stream, func(request *kindspb.BatchRequest) error {
		count += len(request.GetEvents())
		return a.journal.Write(ctx, request.GetEvents())
	}); err != nil {
		return err
	}
	return stream.SendAndClose(&kindspb.Reply{Count: uint32(count), Message: "thanks"})
}

func (a *api) Exchange(stream kindspb.Intake_ExchangeServer) error {
	ctx := a.journal.Begin(stream.Context())
	return converse(stream, func(click *kindspb.ClickEvent) (*kindspb.Reply, error) {
		return answer(1, a.journal.Write(ctx, []*kindspb.ClickEvent{click}))
	})
}

func (a *api) ExchangeBatches(stream kindspb.Intake_ExchangeBatchesServer) error {
	ctx := a.journal.Begin(stream.Context())
	return converse(stream, func(request *kindspb.BatchRequest) (*emptypb.Empty, error) {
		return &emptypb.Empty{}, a.journal.Write(ctx, request.GetEvents())
	})
}

func (a *api) Follow(request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
	var since time.Time
	if request.GetSince() != nil {
		since = request.GetSince().AsTime()
	}
	return a.send(stream, request.GetAfter(), since)
}

func (a *api) FollowAll(_ *emptypb.Empty, stream kindspb.Intake_FollowAllServer) error {
	return a.send(stream, 0, time.Time{})
}

func (a *api) send(stream grpc.ServerStreamingServer[kindspb.ClickEvent], after uint64, since time.Time) error {
	ctx, stop := server.UntilDrain(stream.Context())
	defer stop()
	for click, err := range a.journal.Read(ctx, after, since) {
		if err == nil {
			err = stream.Send(click)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// receive calls a function for each request of a stream until its end.
func receive[Request any](stream interface{ Recv() (*Request, error) }, each func(*Request) error) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(request); err != nil {
			return err
		}
	}
}

// converse answers each request of a stream. One goroutine receives, and ends with the
// call; another one, which is the handler's, answers.
func converse[Request, Reply any](stream grpc.BidiStreamingServer[Request, Reply], reply func(*Request) (*Reply, error)) error {
	type received struct {
		request *Request
		err     error
	}
	requests := make(chan received)
	go func() {
		defer close(requests)
		for {
			request, err := stream.Recv()
			select {
			case requests <- received{request, err}:
			case <-stream.Context().Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for next := range requests {
		if errors.Is(next.err, io.EOF) {
			return nil
		}
		if next.err != nil {
			return next.err
		}
		answer, err := reply(next.request)
		if err == nil {
			err = stream.Send(answer)
		}
		if err != nil {
			return err
		}
	}
	return stream.Context().Err()
}

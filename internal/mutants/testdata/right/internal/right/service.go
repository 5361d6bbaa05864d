// Package right has services that do more than the generated one, and are right: they
// validate, authorize, enrich, filter, and limit.
package right

import (
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/internal/kinds/v1/intake"
)

// service is the generated service, with more around it.
type service struct {
	*intake.Service
	// admit lets a call in or refuses it. The call is over when leave is called.
	admit func(ctx context.Context) (leave func(), err error)
	// take changes an event, refuses it, or reports that it is not to be kept.
	take func(*kindspb.ClickEvent) (keep bool, err error)
}

func everyCall(context.Context) (func(), error) { return func() {}, nil }

func everyEvent(*kindspb.ClickEvent) (bool, error) { return true, nil }

func (s service) One(ctx context.Context, event *kindspb.ClickEvent) (*kindspb.Reply, error) {
	leave, err := s.admit(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if keep, err := s.take(event); err != nil || !keep {
		return &kindspb.Reply{Count: 1, Message: "stored"}, err
	}
	return s.Service.One(ctx, event)
}

func (s service) Held(ctx context.Context, request *kindspb.HeldRequest) (*kindspb.Reply, error) {
	leave, err := s.admit(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if keep, err := s.take(request.GetEvent()); err != nil || !keep {
		return &kindspb.Reply{Count: 1, Message: "stored"}, err
	}
	return s.Service.Held(ctx, request)
}

func (s service) Batch(ctx context.Context, request *kindspb.BatchRequest) (*kindspb.Reply, error) {
	leave, err := s.admit(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if _, err := s.takeBatch(request); err != nil {
		return nil, err
	}
	return s.Service.Batch(ctx, request)
}

func (s service) Upload(stream kindspb.Intake_UploadServer) error {
	return collect(s, stream, s.take, s.Service.Upload)
}

func (s service) UploadHeld(stream kindspb.Intake_UploadHeldServer) error {
	return collect(s, stream, s.takeHeld, s.Service.UploadHeld)
}

func (s service) UploadBatches(stream kindspb.Intake_UploadBatchesServer) error {
	return collect(s, stream, s.takeBatch, s.Service.UploadBatches)
}

func (s service) Exchange(stream kindspb.Intake_ExchangeServer) error {
	return talk(s, stream, s.take, s.Service.Exchange)
}

func (s service) ExchangeBatches(stream kindspb.Intake_ExchangeBatchesServer) error {
	return talk(s, stream, s.takeBatch, s.Service.ExchangeBatches)
}

func (s service) Follow(request *kindspb.FollowRequest, stream kindspb.Intake_FollowServer) error {
	leave, err := s.admit(stream.Context())
	if err != nil {
		return err
	}
	defer leave()
	return s.Service.Follow(request, stream)
}

func (s service) FollowAll(request *emptypb.Empty, stream kindspb.Intake_FollowAllServer) error {
	leave, err := s.admit(stream.Context())
	if err != nil {
		return err
	}
	defer leave()
	return s.Service.FollowAll(request, stream)
}

func (s service) takeHeld(request *kindspb.HeldRequest) (bool, error) {
	return s.take(request.GetEvent())
}

// takeBatch takes the events of a batch that are to be kept out of it.
func (s service) takeBatch(request *kindspb.BatchRequest) (bool, error) {
	var failed error
	request.Events = slices.DeleteFunc(request.GetEvents(), func(event *kindspb.ClickEvent) bool {
		keep, err := s.take(event)
		if failed == nil {
			failed = err
		}
		return !keep
	})
	return true, failed
}

// collect handles a stream, with each request as take leaves it.
func collect[Request, Reply any](s service, stream grpc.ClientStreamingServer[Request, Reply],
	take func(*Request) (bool, error), handle func(grpc.ClientStreamingServer[Request, Reply]) error) error {
	leave, err := s.admit(stream.Context())
	if err != nil {
		return err
	}
	defer leave()
	return handle(taking[Request, Reply]{stream, take})
}

// taking is a stream of the requests that are kept.
type taking[Request, Reply any] struct {
	grpc.ClientStreamingServer[Request, Reply]
	take func(*Request) (bool, error)
}

func (t taking[Request, Reply]) Recv() (*Request, error) {
	for {
		request, err := t.ClientStreamingServer.Recv()
		if err != nil {
			return nil, err
		}
		if keep, err := t.take(request); keep || err != nil {
			return request, err
		}
	}
}

// talk handles a stream, with each request as take leaves it. A request that is not kept
// is answered as any other.
func talk[Request, Reply any](s service, stream grpc.BidiStreamingServer[Request, Reply],
	take func(*Request) (bool, error), handle func(grpc.BidiStreamingServer[Request, Reply]) error) error {
	leave, err := s.admit(stream.Context())
	if err != nil {
		return err
	}
	defer leave()
	return handle(talking[Request, Reply]{stream, take})
}

type talking[Request, Reply any] struct {
	grpc.BidiStreamingServer[Request, Reply]
	take func(*Request) (bool, error)
}

func (t talking[Request, Reply]) Recv() (*Request, error) {
	for {
		request, err := t.BidiStreamingServer.Recv()
		if err != nil {
			return nil, err
		}
		if keep, err := t.take(request); keep || err != nil {
			return request, err
		}
		if err := t.Send(new(Reply)); err != nil {
			return nil, err
		}
	}
}

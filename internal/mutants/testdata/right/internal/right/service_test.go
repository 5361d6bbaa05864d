package right

import (
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindsevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindstest"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/internal/kinds/v1/intake"
)

// contract returns the contract of a service.
func contract(make func(*intake.Service) service) kindstest.IntakeContract {
	return kindstest.IntakeContract{
		NewService: func(_ testing.TB, events *kindsevents.Log) kindspb.IntakeServer {
			return make(intake.New(events))
		},
	}
}

// TestValidation has a service that knows two types of events, and tells its contract
// what a valid request is.
func TestValidation(t *testing.T) {
	c := contract(func(s *intake.Service) service {
		return service{s, everyCall, func(event *kindspb.ClickEvent) (bool, error) {
			if !slices.Contains([]string{"click", "view"}, event.GetType()) {
				return false, status.Errorf(codes.InvalidArgument, "type is %q, want click or view", event.GetType())
			}
			return true, nil
		}}
	})
	valid := func() *kindspb.ClickEvent {
		return &kindspb.ClickEvent{Type: "click", UserId: "ada", EventTime: &timestamppb.Timestamp{Seconds: 1}}
	}
	held := func() *kindspb.HeldRequest { return &kindspb.HeldRequest{Event: valid()} }
	batch := func() *kindspb.BatchRequest { return &kindspb.BatchRequest{Events: []*kindspb.ClickEvent{valid()}} }
	c.OneRequest, c.UploadRequest, c.ExchangeRequest = valid, valid, valid
	c.HeldRequest, c.UploadHeldRequest = held, held
	c.BatchRequest, c.UploadBatchesRequest, c.ExchangeBatchesRequest = batch, batch, batch
	c.Test(t)
}

// TestAuthorization has a service that wants a token with each call.
func TestAuthorization(t *testing.T) {
	c := contract(func(s *intake.Service) service {
		return service{s, func(ctx context.Context) (func(), error) {
			if !slices.Equal(metadata.ValueFromIncomingContext(ctx, "authorization"), []string{"Bearer secret"}) {
				return nil, status.Error(codes.Unauthenticated, "no token, or another one")
			}
			return func() {}, nil
		}, everyEvent}
	})
	c.Context = func(ctx context.Context) context.Context {
		return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer secret")
	}
	c.Test(t)
}

// TestEnrichment has a service that stores more than it was sent.
func TestEnrichment(t *testing.T) {
	enrich := func(event *kindspb.ClickEvent) {
		if event != nil && !strings.HasPrefix(event.UserId, "shop/") {
			event.UserId = "shop/" + event.UserId
		}
	}
	c := contract(func(s *intake.Service) service {
		return service{s, everyCall, func(event *kindspb.ClickEvent) (bool, error) {
			enrich(event)
			return true, nil
		}}
	})
	c.StoredClickEvent = func(event *kindspb.ClickEvent) *kindspb.ClickEvent {
		enrich(event)
		return event
	}
	c.Test(t)
}

// TestFilter has a service that does not store what has no user.
func TestFilter(t *testing.T) {
	c := contract(func(s *intake.Service) service {
		return service{s, everyCall, func(event *kindspb.ClickEvent) (bool, error) {
			return event == nil || event.GetUserId() != "", nil
		}}
	})
	c.StoredClickEvent = func(event *kindspb.ClickEvent) *kindspb.ClickEvent {
		if event.GetUserId() == "" {
			return nil
		}
		return event
	}
	c.Test(t)
}

// TestLimit has a service that refuses the ninth call at once.
func TestLimit(t *testing.T) {
	c := contract(func(s *intake.Service) service {
		room := make(chan struct{}, 8)
		return service{s, func(context.Context) (func(), error) {
			select {
			case room <- struct{}{}:
				return func() { <-room }, nil
			default:
				return nil, status.Error(codes.ResourceExhausted, "eight calls are under way")
			}
		}, everyEvent}
	})
	c.Callers = 8
	c.Test(t)
}

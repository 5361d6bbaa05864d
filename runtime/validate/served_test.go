package validate_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1/rulesv1events"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1/rulesv1server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1/rulesv1test"
)

// store stores what it gets, and counts the requests that reach it.
type store struct {
	rulesv1.UnimplementedOrdersServer
	events *rulesv1events.Log
	calls  atomic.Int32
}

func (s *store) append(ctx context.Context, events ...*rulesv1.OrderEvent) (*rulesv1.Placed, error) {
	s.calls.Add(1)
	_, err := s.events.AppendOrderEvent(ctx, events...)
	return &rulesv1.Placed{}, err
}

func (s *store) Place(ctx context.Context, event *rulesv1.OrderEvent) (*rulesv1.Placed, error) {
	return s.append(ctx, event)
}

func (s *store) PlaceAll(ctx context.Context, batch *rulesv1.Batch) (*rulesv1.Placed, error) {
	return s.append(ctx, batch.GetEvents()...)
}

func (s *store) Upload(stream rulesv1.Orders_UploadServer) error {
	for {
		event, err := stream.Recv()
		if err != nil {
			return err
		}
		if _, err := s.append(stream.Context(), event); err != nil {
			return err
		}
	}
}

func (s *store) Exchange(stream rulesv1.Orders_ExchangeServer) error {
	for {
		event, err := stream.Recv()
		if err != nil {
			return err
		}
		placed, err := s.append(stream.Context(), event)
		if err != nil {
			return err
		}
		if err := stream.Send(placed); err != nil {
			return err
		}
	}
}

func (s *store) Watch(*rulesv1.WatchRequest, rulesv1.Orders_WatchServer) error {
	s.calls.Add(1)
	return nil
}

// What breaks a rule is refused before the method sees it: of a batch nothing is stored,
// of a stream what came before.
func TestRulesAreEnforcedForEveryKindOfRPC(t *testing.T) {
	valid := func() *rulesv1.OrderEvent {
		return servertest.Sample[*rulesv1.OrderEvent]("rules.v1.OrderEvent.event_id")
	}
	wrong := valid()
	wrong.Part.Serial = "abc"
	for name, test := range map[string]struct {
		call   func(context.Context, rulesv1.OrdersClient) error
		field  string
		stored int
	}{
		"unary": {func(ctx context.Context, client rulesv1.OrdersClient) error {
			_, err := client.Place(ctx, wrong)
			return err
		}, "part.serial", 0},
		"batch": {func(ctx context.Context, client rulesv1.OrdersClient) error {
			_, err := client.PlaceAll(ctx, &rulesv1.Batch{Events: []*rulesv1.OrderEvent{valid(), wrong}})
			return err
		}, "events[1].part.serial", 0},
		"client stream": {func(ctx context.Context, client rulesv1.OrdersClient) error {
			stream, err := client.Upload(ctx)
			if err != nil {
				return err
			}
			for _, event := range []*rulesv1.OrderEvent{valid(), valid(), wrong} {
				_ = stream.Send(event)
			}
			_, err = stream.CloseAndRecv()
			return err
		}, "part.serial", 2},
		"bidi": {func(ctx context.Context, client rulesv1.OrdersClient) error {
			stream, err := client.Exchange(ctx)
			if err != nil {
				return err
			}
			_ = stream.Send(valid())
			if _, err := stream.Recv(); err != nil {
				t.Errorf("a valid event is refused: %v", err)
			}
			_ = stream.Send(wrong)
			_, err = stream.Recv()
			return err
		}, "part.serial", 1},
		"tail": {func(ctx context.Context, client rulesv1.OrdersClient) error {
			stream, err := client.Watch(ctx, &rulesv1.WatchRequest{Reader: "me"})
			if err != nil {
				return err
			}
			_, err = stream.Recv()
			return err
		}, "reader", 0},
	} {
		for own, serve := range map[string]func(*testing.T, *store) rulesv1.OrdersClient{"": serve, ", own grpc.Server": serveOwn} {
			t.Run(name+own, func(t *testing.T) {
				log := servertest.Log(t)
				impl := &store{events: rulesv1events.New(log)}
				client := serve(t, impl)
				err := test.call(t.Context(), client)
				if status.Code(err) != codes.InvalidArgument || !strings.HasPrefix(status.Convert(err).Message(), test.field+": ") {
					t.Errorf("error is %v, want InvalidArgument for %s", err, test.field)
				}
				stored := 0
				for _, err := range log.Read(t.Context(), eventlog.From{}) {
					if err != nil {
						t.Fatal(err)
					}
					stored++
				}
				if stored != test.stored || int(impl.calls.Load()) != test.stored {
					t.Errorf("%d events are stored and %d requests reached the method, want %d", stored, impl.calls.Load(), test.stored)
				}
			})
		}
	}
}

func serve(t *testing.T, impl *store) rulesv1.OrdersClient {
	return rulesv1test.Serve(t, rulesv1server.Orders(impl)).Orders()
}

// serveOwn serves by a grpc.Server that is not the runtime's.
func serveOwn(t *testing.T, impl *store) rulesv1.OrdersClient {
	t.Helper()
	guards, err := server.GuardOptions(t.Context(), rulesv1server.Orders(impl))
	if err != nil {
		t.Fatal(err)
	}
	own := grpc.NewServer(guards...)
	rulesv1.RegisterOrdersServer(own, impl)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = own.Serve(listener) }()
	t.Cleanup(own.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return rulesv1.NewOrdersClient(conn)
}

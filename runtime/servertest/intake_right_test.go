package servertest

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/replies/golden/gen/repliespb"
)

// onlyViews refuses events of other types.
func onlyViews(s *clicks) {
	right := s.one
	s.one = func(ctx context.Context, event *click) (*kindspb.Reply, error) {
		if event.GetType() != "view" {
			return nil, status.Errorf(codes.InvalidArgument, "type is %q, want view", event.GetType())
		}
		return right(ctx, event)
	}
}

// onlyWithToken refuses callers without a token.
func onlyWithToken(s *clicks) {
	right := s.one
	s.one = func(ctx context.Context, event *click) (*kindspb.Reply, error) {
		if got := metadata.ValueFromIncomingContext(ctx, "token"); !slices.Equal(got, []string{"secret"}) {
			return nil, status.Error(codes.Unauthenticated, "no token")
		}
		return right(ctx, event)
	}
}

// atMost refuses a call if so many are under way.
func atMost(calls int) func(*clicks) {
	return func(s *clicks) {
		right, under := s.one, make(chan struct{}, calls)
		s.one = func(ctx context.Context, event *click) (*kindspb.Reply, error) {
			select {
			case under <- struct{}{}:
			default:
				return nil, status.Error(codes.ResourceExhausted, "too many calls at once")
			}
			defer func() { <-under }()
			return right(ctx, event)
		}
	}
}

// rightToo has services that are right though they are not as the generated one is.
var rightToo = map[string]func(t *testing.T){
	"only some types are accepted": func(t *testing.T) {
		rpc := intakeOf[*click](Options{}, "One", "", serviceOf(onlyViews), func(c kindspb.IntakeClient) Caller { return Unary(c.One) })
		rpc.Request = func() *click { return &click{Type: "view", UserId: "jerry"} }
		TakesEvents(t, rpc)
	},
	"callers need a token": func(t *testing.T) {
		rpcs["One"](t, Options{Context: func(ctx context.Context) context.Context {
			return metadata.AppendToOutgoingContext(ctx, "token", "secret")
		}}, serviceOf(onlyWithToken))
	},
	"at most 8 calls are served at once": func(t *testing.T) {
		rpcs["One"](t, Options{Callers: 8}, serviceOf(atMost(8)))
	},
	"one call is served at once": func(t *testing.T) {
		rpcs["One"](t, Options{Callers: 1}, serviceOf(atMost(1)))
	},
	"users are written in lower case": func(t *testing.T) {
		lower := func(event *click) *click {
			event.UserId = strings.ToLower(event.UserId)
			return event
		}
		rpc := intakeOf[*click](Options{}, "One", "", serviceOf(func(s *clicks) {
			right := s.one
			s.one = func(ctx context.Context, event *click) (*kindspb.Reply, error) { return right(ctx, lower(event)) }
		}), func(c kindspb.IntakeClient) Caller { return Unary(c.One) })
		rpc.Stored = lower
		TakesEvents(t, rpc)
	},
	"events without a user are left out": func(t *testing.T) {
		nobody := func(event *click) bool { return event.GetUserId() == "" }
		rpc := intakeOf[*kindspb.BatchRequest](Options{}, "Batch", "events", serviceOf(func(s *clicks) {
			right := s.batch
			s.batch = func(ctx context.Context, events []*click) (*kindspb.Reply, error) {
				return right(ctx, slices.DeleteFunc(events, nobody))
			}
		}), func(c kindspb.IntakeClient) Caller { return Unary(c.Batch) })
		rpc.Stored = func(event *click) *click {
			if nobody(event) {
				return nil
			}
			return event
		}
		rpc.Request = func() *kindspb.BatchRequest {
			return &kindspb.BatchRequest{Events: []*click{{Type: "view"}, {Type: "view", UserId: "jerry"}}}
		}
		rpc.Answer = Answer{} // it counts what is stored
		TakesEvents(t, rpc)
	},
	"fields that are not known are dropped for a reason": func(t *testing.T) {
		rpcs["One"](t, Options{Skip: map[string]string{"RPC/unknown fields are kept": "the next program can't read them"}},
			serviceOf(func(s *clicks) {
				right := s.one
				s.one = func(ctx context.Context, event *click) (*kindspb.Reply, error) {
					event.ProtoReflect().SetUnknown(nil)
					return right(ctx, event)
				}
			}))
	},
	"an append that fails is tried again by the service": func(t *testing.T) {
		rpcs["One"](t, Options{}, serviceOf(func(s *clicks) {
			right := s.one
			s.one = func(ctx context.Context, event *click) (reply *kindspb.Reply, err error) {
				for range 3 {
					if reply, err = right(ctx, event); !errors.Is(err, eventlog.ErrUnavailable) {
						break
					}
				}
				return reply, err
			}
		}))
	},
	"a stream is stored at once in the end": func(t *testing.T) {
		rpcs["Upload"](t, Options{}, serviceOf(wrongUpload(func(s *clicks, ctx context.Context, events []*click) (*kindspb.Reply, error) {
			return storeAll(s, ctx, events...)
		})))
	},
	"a batch of many is refused": func(t *testing.T) {
		rpcs["Batch"](t, Options{}, serviceOf(wrongBatch(func(s *clicks, ctx context.Context, events []*click) (*kindspb.Reply, error) {
			if len(events) > 100 {
				return nil, status.Error(codes.InvalidArgument, "at most 100")
			}
			return storeAll(s, ctx, events...)
		})))
	},
	"answers come from another goroutine": func(t *testing.T) {
		rpcs["Exchange"](t, Options{}, serviceOf(func(s *clicks) { s.exchange = s.answersApart }))
	},
}

// serviceOf returns how to make the service that change makes of a right one.
func serviceOf(change func(*clicks)) func(eventlog.Log) *clicks {
	return func(log eventlog.Log) *clicks {
		s := rightClicks(log)
		change(s)
		return s
	}
}

// answersApart receives in the handler, and stores and answers in a goroutine.
func (s *clicks) answersApart(stream exchange) error {
	ctx, cancel := context.WithCancelCause(eventid.Sequence(stream.Context()))
	events := make(chan *click)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() {
			if cause := recover(); cause != nil {
				cancel(status.Error(codes.Internal, "panic"))
			}
		}()
		for event := range events {
			reply, err := s.reply(s.append(ctx, event))
			if err == nil {
				err = stream.Send(reply)
			}
			if err != nil {
				cancel(err)
				return
			}
		}
	})
	received := make(chan error, 1)
	go func() {
		for {
			event, err := stream.Recv()
			if err != nil {
				received <- err
				return
			}
			select {
			case events <- event:
			case <-ctx.Done():
				return
			}
		}
	}()
	select {
	case err := <-received:
		close(events)
		wg.Wait()
		if !errors.Is(err, io.EOF) {
			return err
		}
	case <-ctx.Done():
	}
	return context.Cause(ctx)
}

func TestOtherRightServicesPass(t *testing.T) {
	for name, test := range rightToo {
		t.Run(name, func(t *testing.T) { t.Run("RPC", test) })
	}
}

// refusals are right services of which the contract does not know enough. One part fails,
// and says what to do.
var refusals = []mistaken{
	{"One", "only some types are accepted, though it is not known which", partStored,
		`If the service is right, edit testdata/one.json beside the test, or set OneRequest in service_test.go, to send what it accepts`, onlyViews},
	{"One", "callers need a token that is not known", partStored, "set Context in service_test.go, to send what it asks for", onlyWithToken},
	{"One", "only 8 calls are served at once, which is not known", partCallers, "set Callers in service_test.go to how many it takes at once", atMost(8)},
}

// sales is the service of which replies say what was stored.
type sales struct {
	repliespb.UnimplementedIntakeServer
	log eventlog.Log
}

func (s *sales) append(ctx context.Context, events ...*repliespb.SaleEvent) ([]eventlog.Receipt, error) {
	return eventlog.AppendMessages(ctx, s.log, events, func(event *repliespb.SaleEvent) eventlog.Event {
		return eventlog.Event{Type: cmp.Or(event.GetEventType(), "replies.v1.SaleEvent"), Subject: event.GetUserId()}
	})
}

func (s *sales) One(ctx context.Context, event *repliespb.SaleEvent) (*repliespb.OneReply, error) {
	receipts, err := s.append(ctx, event)
	if err != nil {
		return nil, err
	}
	return &repliespb.OneReply{Position: uint64(receipts[0].Position), EventId: receipts[0].ID, Duplicate: receipts[0].Duplicate}, nil
}

func (s *sales) Batch(ctx context.Context, request *repliespb.BatchRequest) (*repliespb.BatchReply, error) {
	receipts, err := s.append(ctx, request.GetEvents()...)
	if err != nil {
		return nil, err
	}
	var sum eventlog.Sum
	sum.Add(receipts...)
	return &repliespb.BatchReply{Position: int64(sum.Last.Position), EventId: sum.Last.ID, Duplicates: int32(sum.Duplicates), Count: int64(sum.Events)}, nil
}

func (s *sales) BatchLists(ctx context.Context, request *repliespb.BatchRequest) (*repliespb.ListsReply, error) {
	receipts, err := s.append(ctx, request.GetEvents()...)
	return &repliespb.ListsReply{Positions: eventlog.Positions[uint64](receipts), EventIds: eventlog.IDs(receipts), Duplicates: eventlog.Duplicates(receipts)}, err
}

func (s *sales) ExchangeBatches(stream repliespb.Intake_ExchangeBatchesServer) error {
	ctx := eventid.Sequence(stream.Context())
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		receipts, err := s.append(ctx, request.GetEvents()...)
		if err != nil {
			return err
		}
		var sum eventlog.Sum
		sum.Add(receipts...)
		if err := stream.Send(&repliespb.MarkedReply{Offset: int64(sum.Last.Position), Key: sum.Last.ID, Known: sum.Duplicate()}); err != nil {
			return err
		}
	}
}

// saleOf describes an RPC of the service.
func saleOf[Request, Reply proto.Message](name, holder string, answer Answer, caller func(repliespb.IntakeClient) Caller) Intake[Request, *repliespb.SaleEvent, Reply] {
	return Intake[Request, *repliespb.SaleEvent, Reply]{
		Method: "/replies.v1.Intake/" + name,
		Fields: server.Fields{Holder: holder, Type: "event_type", Subject: "user_id"},
		Answer: answer,
		Serve: func(t testing.TB, log eventlog.Log, options ...client.Option) Caller {
			address := Serve(t, server.Service{Desc: &repliespb.Intake_ServiceDesc, Impl: &sales{log: log}})
			if options == nil {
				options = Dialing()
			}
			methods := []client.Method{{Name: name, Retry: true}}
			options = append(options, client.PerCall(func(ctx context.Context, _ string) (context.Context, error) { return eventid.Ensure(ctx), nil }))
			conn, err := client.Dial(t.Context(), address, []client.Service{{Name: "replies.v1.Intake", Methods: methods}}, options...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			return caller(repliespb.NewIntakeClient(conn))
		},
	}
}

// TestRightAnswersPass, whatever kind of field says it.
func TestRightAnswersPass(t *testing.T) {
	t.Run("One", func(t *testing.T) {
		TakesEvents(t, saleOf[*repliespb.SaleEvent, *repliespb.OneReply]("One", "", Answer{Position: "position", EventID: "event_id", Duplicate: "duplicate"},
			func(c repliespb.IntakeClient) Caller { return Unary(c.One) }))
	})
	t.Run("Batch", func(t *testing.T) {
		TakesEvents(t, saleOf[*repliespb.BatchRequest, *repliespb.BatchReply]("Batch", "events", Answer{"count", "position", "event_id", "duplicates"},
			func(c repliespb.IntakeClient) Caller { return Unary(c.Batch) }))
	})
	t.Run("BatchLists", func(t *testing.T) {
		TakesEvents(t, saleOf[*repliespb.BatchRequest, *repliespb.ListsReply]("BatchLists", "events", Answer{"", "positions", "event_ids", "duplicates"},
			func(c repliespb.IntakeClient) Caller { return Unary(c.BatchLists) }))
	})
	t.Run("ExchangeBatches", func(t *testing.T) {
		TakesEvents(t, saleOf[*repliespb.BatchRequest, *repliespb.MarkedReply]("ExchangeBatches", "events", Answer{"", "offset", "key", "known"},
			func(c repliespb.IntakeClient) Caller { return Sending(c.ExchangeBatches) }))
	})
}

// TestWrongAnswersAreFound in whatever kind of field they are.
func TestWrongAnswersAreFound(t *testing.T) {
	events := []acknowledged{{"call/1", 7, true}, {"call/2", 8, false}}
	one := Answer{Count: "count"}
	if got := one.check(&repliespb.BatchReply{}, events[:1]); got != "" {
		t.Errorf("of one event that is not counted it says %q", got)
	}
	if got, want := one.check(&repliespb.BatchReply{Count: 2}, events[:1]), "the answer says that count is 2, want 1"; got != want {
		t.Errorf("of one event that is counted twice it says %q, want %q", got, want)
	}
	for _, test := range []struct {
		answer Answer
		reply  proto.Message
		want   string
	}{
		{Answer{Position: "position"}, &repliespb.BatchReply{Position: 8}, ""},
		{Answer{Position: "position"}, &repliespb.BatchReply{Position: 7}, "the answer says that position is 7, want 8"},
		{Answer{Position: "positions"}, &repliespb.ListsReply{Positions: []uint64{7, 8}}, ""},
		{Answer{Position: "positions"}, &repliespb.ListsReply{Positions: []uint64{8, 7}}, "the answer says that positions is [8 7], want [7 8]"},
		{Answer{EventID: "event_id"}, &repliespb.BatchReply{EventId: "call/2"}, ""},
		{Answer{EventID: "event_id"}, &repliespb.BatchReply{EventId: "call"}, "the answer says that event_id is call, want call/2"},
		{Answer{EventID: "event_ids"}, &repliespb.ListsReply{}, "the answer says that event_ids is [], want [call/1 call/2]"},
		{Answer{Count: "count"}, &repliespb.BatchReply{Count: 2}, ""},
		{Answer{Count: "count"}, &repliespb.BatchReply{Count: 1}, "the answer says that count is 1, want 2"},
		{Answer{Count: "count"}, &repliespb.BatchReply{}, "the answer says that count is 0, want 2"},
		{Answer{Duplicate: "duplicates"}, &repliespb.BatchReply{Duplicates: 1}, ""},
		{Answer{Duplicate: "duplicates"}, &repliespb.BatchReply{Duplicates: 2}, "the answer says that duplicates is 2, want 1"},
		{Answer{Duplicate: "duplicates"}, &repliespb.ListsReply{Duplicates: []bool{true, false}}, ""},
		{Answer{Duplicate: "duplicates"}, &repliespb.ListsReply{Duplicates: []bool{false, false}}, "the answer says that duplicates is [false false], want [true false]"},
		{Answer{Duplicate: "known"}, &repliespb.MarkedReply{}, ""},
		{Answer{Duplicate: "known"}, &repliespb.MarkedReply{Known: true}, "the answer says that known is true, want false"},
	} {
		if got := test.answer.check(test.reply, events); got != test.want {
			t.Errorf("of %v it says %q, want %q", test.reply, got, test.want)
		}
	}
}

// TestClientsThatDoNotTryAgainFail, and those that make a call again as another one.
func TestClientsThatDoNotTryAgainFail(t *testing.T) {
	fails(t, "and did not make it again", func(t *testing.T) {
		rpc := saleOf[*repliespb.SaleEvent, *repliespb.OneReply]("One", "", Answer{}, func(c repliespb.IntakeClient) Caller { return Unary(c.One) })
		serve := rpc.Serve
		rpc.Serve = func(t testing.TB, log eventlog.Log, _ ...client.Option) Caller { return serve(t, log) }
		TakesEvents(t, rpc)
	})
}

func TestClientsThatSendNoIDsFail(t *testing.T) {
	fails(t, "acknowledged 1 event, stored 2", func(t *testing.T) {
		rpc := saleOf[*repliespb.SaleEvent, *repliespb.OneReply]("One", "", Answer{}, func(c repliespb.IntakeClient) Caller {
			return Unary(func(ctx context.Context, event *repliespb.SaleEvent, options ...grpc.CallOption) (*repliespb.OneReply, error) {
				return c.One(eventid.WithID(ctx, ""), event, options...)
			})
		})
		TakesEvents(t, rpc)
	})
}

// TestSkippingWhatIsNotThereFails, so that a part that was renamed is not left out.
func TestSkippingWhatIsNotThereFails(t *testing.T) {
	fails(t, `Skip leaves out "TestSkippingWhatIsNotThereFails/unknown fields are lost", but there is no such part`, func(t *testing.T) {
		rpcs["One"](t, Options{Skip: map[string]string{"TestSkippingWhatIsNotThereFails/unknown fields are lost": "they are"}}, rightClicks)
	})
}

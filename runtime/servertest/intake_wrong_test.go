package servertest

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// The parts of the contract that the services below break.
const (
	partStored     = "an acknowledged event is stored"
	partOrder      = "the events of a call are stored in order"
	partMany       = "300 events of a call are all stored"
	partAttributes = "attributes are those of the event"
	partAnswer     = "the answer says what was stored"
	partEqual      = "equal events without an id are stored each"
	partOnce       = "an event sent again is stored once"
	partConflict   = "another event under the same id is refused"
	partWaits      = "nothing is acknowledged before it is stored"
	partFails      = "an append that fails is not acknowledged"
	partRefused    = "an event that the log refuses is not acknowledged"
	partPanics     = "a panic ends only its call"
	partCanceled   = "an append ends when its caller has gone"
	partUnread     = "a request that can't be read is not acknowledged"
	partBreaks     = "a stream that breaks off does no harm"
	partCallers    = "many callers at once are served"
	partSlow       = "a slow caller holds up no other"
	partPartial    = "empty and partial events are stored or refused"
	partLong       = "long texts are stored or refused"
	partUnusual    = "unusual values are stored or refused"
)

// wrongOne has a service whose RPC of one event does something wrong with it.
func wrongOne(rpc func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error)) func(*clicks) {
	return func(s *clicks) {
		s.one = func(ctx context.Context, event *click) (*kindspb.Reply, error) { return rpc(s, ctx, event) }
	}
}

func wrongBatch(rpc func(s *clicks, ctx context.Context, events []*click) (*kindspb.Reply, error)) func(*clicks) {
	return func(s *clicks) {
		s.batch = func(ctx context.Context, events []*click) (*kindspb.Reply, error) { return rpc(s, ctx, events) }
	}
}

// wrongUpload has a service whose RPC of a stream stores all of its events in the end.
func wrongUpload(store func(s *clicks, ctx context.Context, events []*click) (*kindspb.Reply, error)) func(*clicks) {
	return func(s *clicks) {
		s.upload = func(stream uploads) error {
			var events []*click
			for {
				event, err := stream.Recv()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					return err
				}
				events = append(events, event)
			}
			reply, err := store(s, stream.Context(), events)
			if err != nil {
				return err
			}
			return stream.SendAndClose(reply)
		}
	}
}

// wrongExchange has a service that does something wrong with each event of a stream.
func wrongExchange(each func(s *clicks, ctx context.Context, stream exchange, event *click) error) func(*clicks) {
	return func(s *clicks) {
		s.exchange = func(stream exchange) error {
			ctx := eventid.Sequence(stream.Context())
			for {
				event, err := stream.Recv()
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err == nil {
					err = each(s, ctx, stream, event)
				}
				if err != nil {
					return err
				}
			}
		}
	}
}

// storeAll stores events as they should be.
func storeAll(s *clicks, ctx context.Context, events ...*click) (*kindspb.Reply, error) {
	return s.reply(s.append(eventid.Sequence(ctx), events...))
}

var wrongs = []mistaken{
	{"One", "the error of append is ignored", partFails, "was acknowledged although its append ended with an error", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		_, _ = s.append(ctx, event)
		return &kindspb.Reply{Count: 1}, nil
	})},
	{"One", "a conflict is taken for a duplicate", partConflict, "the log has another one with its source and id", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		receipts, err := s.append(ctx, event)
		if errors.Is(err, eventlog.ErrConflict) {
			return &kindspb.Reply{Count: 1}, nil
		}
		return s.reply(receipts, err)
	})},
	{"One", "append is not waited for", "", "acknowledged", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		go func() {
			defer func() { _ = recover() }()
			_, _ = s.append(context.WithoutCancel(ctx), event)
		}()
		return &kindspb.Reply{Count: 1}, nil
	})},
	{"One", "the event is appended twice", partStored, "acknowledged 1 event, stored 2", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		if _, err := s.append(metadata.NewIncomingContext(ctx, metadata.MD{}), event); err != nil {
			return nil, err
		}
		return s.reply(s.append(ctx, event))
	})},
	{"One", "the user is replaced", partStored, `event 1 of the call is stored with user_id "somebody", which was "user_id"`, wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		event.UserId = "somebody"
		return s.reply(s.append(ctx, event))
	})},
	{"One", "it is copied field by field", unknownFields, "without its unknown fields", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		return s.reply(s.append(ctx, &click{Type: event.Type, UserId: event.UserId, EventTime: event.EventTime}))
	})},
	{"One", "each try has an id of its own", partOnce, "acknowledged 1 event, stored 2", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		return s.reply(s.append(metadata.NewIncomingContext(ctx, metadata.MD{}), event))
	})},
	{"One", "the id of the call is not used", partAttributes, `want "the-id-of-the-call"`, wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		return s.reply(s.append(metadata.NewIncomingContext(ctx, metadata.MD{}), event))
	})},
	{"One", "the id is made of the content", partEqual, "Is the id of an event made from its content?", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		return s.reply(s.append(metadata.NewIncomingContext(ctx, metadata.Pairs(eventid.Key, event.String())), event))
	})},
	{"Batch", "equal events of a batch are stored once", partEqual, "Is the id of an event made from its content?", wrongBatch(func(s *clicks, ctx context.Context, events []*click) (*kindspb.Reply, error) {
		all := len(events)
		events = slices.CompactFunc(events, func(a, b *click) bool { return proto.Equal(a, b) })
		reply, err := storeAll(s, ctx, events...)
		return proportion(reply, all), err
	})},
	{"Upload", "the error of Recv is taken for the end", partUnread, "is an error of Recv other than io.EOF taken for the end?", func(s *clicks) {
		s.upload = func(stream uploads) error {
			ctx := eventid.Sequence(stream.Context())
			for all := uint32(0); ; all++ {
				event, err := stream.Recv()
				if err != nil {
					return stream.SendAndClose(&kindspb.Reply{Count: all})
				}
				if _, err := s.append(ctx, event); err != nil {
					return err
				}
			}
		}
	}},
	{"One", "a panic is taken for success", partPanics, "was acknowledged although its append panicked", wrongOne(func(s *clicks, ctx context.Context, event *click) (reply *kindspb.Reply, err error) {
		defer func() {
			if recover() != nil {
				reply, err = &kindspb.Reply{Count: 1}, nil
			}
		}()
		return s.reply(s.append(ctx, event))
	})},
	{"One", "a goroutine is left behind by each call", partOnce, "leaves goroutines behind", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		go func() { select {} }()
		return s.reply(s.append(ctx, event))
	})},
	{"One", "type and subject are swapped", partAttributes, `with the type "user_id", want "type"`, wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		return s.reply(eventlog.AppendMessages(ctx, s.log, []*click{event}, func(event *click) eventlog.Event {
			return eventlog.Event{Type: event.GetUserId() + "x"[:0], Subject: event.GetType(), Time: eventlog.TimestampTime(event.GetEventTime())}
		}))
	})},
	{"One", "every failure is Internal", partFails, "want code Unavailable", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		reply, err := s.reply(s.append(ctx, event))
		if err != nil {
			err = status.Error(codes.Internal, "sorry")
		}
		return reply, err
	})},
	{"One", "what the log refuses is Unknown", partRefused, "want a code that shows the caller what to do", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		reply, err := s.reply(s.append(ctx, event))
		if errors.Is(err, eventlog.ErrInvalid) {
			err = errors.New("no")
		}
		return reply, err
	})},
	{"One", "append is tried for ever", partFails, "more than 25 times", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		for {
			receipts, err := s.append(ctx, event)
			if err == nil || ctx.Err() != nil {
				return s.reply(receipts, err)
			}
		}
	})},
	{"One", "a lock is left locked after an error", partOnce, "a call that is made again, since it was not acknowledged did not end within", locked(func(mu *sync.Mutex, err error) {
		if err == nil {
			mu.Unlock()
		}
	})},
	{"One", "a lock is left locked after a panic", partPanics, "the call after one that panicked did not end within", locked(func(mu *sync.Mutex, _ error) { mu.Unlock() })},
	{"One", "a lock is held while an append is made", partSlow, "a call while another one's append takes long did not end within", func(s *clicks) {
		var mu sync.Mutex
		right := s.one
		s.one = func(ctx context.Context, event *click) (*kindspb.Reply, error) {
			mu.Lock()
			defer mu.Unlock()
			return right(ctx, event)
		}
	}},
	{"One", "the end of the call is ignored", partCanceled, "an append goes on after its caller has gone", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		return s.reply(s.append(context.WithoutCancel(ctx), event))
	})},
	{"One", "the deadline of the call is ignored", partCanceled, "has none: is it made with the context of the call?", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		without, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer context.AfterFunc(ctx, cancel)()
		return s.reply(s.append(without, event))
	})},
	{"One", "one of many events is left out", partCallers, "of 32 calls at once, stored", func(s *clicks) {
		var under atomic.Int32
		s.one = func(ctx context.Context, event *click) (*kindspb.Reply, error) {
			if under.Add(1) > 4 {
				return &kindspb.Reply{Count: 1}, nil
			}
			return s.reply(s.append(ctx, event))
		}
	}},
	{"One", "a user is needed", partPartial, "an event without user_id ended with", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		if event.UserId == "" {
			return nil, errors.New("no user")
		}
		return s.reply(s.append(ctx, event))
	})},
	{"One", "a missing time ends in a panic", partPartial, "an event without event_time ended with", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		if event.EventTime.Seconds < 0 {
			return nil, status.Error(codes.InvalidArgument, "long ago")
		}
		return s.reply(s.append(ctx, event))
	})},
	{"One", "an event is stored and then refused", partPartial, "an event without user_id is stored, though the call ended with", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		reply, err := s.reply(s.append(ctx, event))
		if event.UserId == "" {
			return nil, status.Error(codes.InvalidArgument, "no user")
		}
		return reply, err
	})},
	{"One", "an event without a user is left out", partPartial, "an event without user_id: acknowledged 1 event, stored 0", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		if event.UserId == "" {
			return &kindspb.Reply{Count: 1}, nil
		}
		return s.reply(s.append(ctx, event))
	})},
	{"One", "text is cut", partLong, "an event with 64 KiB of text in user_id: event 1 of the call is stored with user_id", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		event.UserId = event.UserId[:min(len(event.UserId), 256)]
		return s.reply(s.append(ctx, event))
	})},
	{"One", "text is made lower case", partUnusual, "non-ASCII text in user_id: event 1 of the call is stored with user_id", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		event.UserId = strings.ToLower(event.UserId)
		return s.reply(s.append(ctx, event))
	})},
	{"One", "spaces are cut", partUnusual, "non-ASCII text in type: event 1 of the call is stored with type", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		event.Type = strings.TrimSpace(event.Type)
		return s.reply(s.append(ctx, event))
	})},
	{"Held", "a request without an event ends in a panic", partPartial, "a request without an event ended with", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		event.Type += ""
		return s.reply(s.append(ctx, event))
	})},

	{"Batch", "only the first event is stored", partOrder, "acknowledged 3 events, stored 1, and number 2 is missing", wrongBatch(func(s *clicks, ctx context.Context, events []*click) (*kindspb.Reply, error) {
		reply, err := storeAll(s, ctx, events[:min(1, len(events))]...)
		return proportion(reply, len(events)), err
	})},
	{"Batch", "events are stored in reverse", partOrder, "stored in the order [3 2 1]", wrongBatch(func(s *clicks, ctx context.Context, events []*click) (*kindspb.Reply, error) {
		slices.Reverse(events)
		return storeAll(s, ctx, events...)
	})},
	{"Batch", "events share an id", partOrder, "Do events of one call share an id?", wrongBatch(func(s *clicks, ctx context.Context, events []*click) (*kindspb.Reply, error) {
		for _, event := range events {
			if _, err := s.append(ctx, event); err != nil {
				return nil, err
			}
		}
		return &kindspb.Reply{Count: uint32(len(events))}, nil
	})},
	{"Batch", "a batch is cut at 100", partMany, "acknowledged 300 events, stored 100, and number 101 is missing", wrongBatch(func(s *clicks, ctx context.Context, events []*click) (*kindspb.Reply, error) {
		reply, err := storeAll(s, ctx, events[:min(100, len(events))]...)
		return proportion(reply, len(events)), err
	})},
	{"Batch", "the count is always 1", partAnswer, "the answer says that count is 1, want 3", wrongBatch(func(s *clicks, ctx context.Context, events []*click) (*kindspb.Reply, error) {
		reply, err := storeAll(s, ctx, events...)
		return proportion(reply, 1), err
	})},
	{"Batch", "events are stored one by one", partFails, "are they appended one by one", wrongBatch(oneByOne)},
	{"Batch", "events before one that is refused are stored", partRefused, "of its 3 events 2 are stored", wrongBatch(oneByOne)},
	{"Batch", "events before a conflict are stored", partConflict, "of its 3 events 2 are stored", wrongBatch(oneByOne)},
	{"Batch", "an empty batch is Internal", partPartial, "a request without an event ended with", wrongBatch(func(s *clicks, ctx context.Context, events []*click) (*kindspb.Reply, error) {
		if len(events) == 0 {
			return nil, errors.New("empty")
		}
		return storeAll(s, ctx, events...)
	})},

	{"Batch", "a batch is stored in parts", partFails, "of its 300 events 100 are stored", wrongBatch(func(s *clicks, ctx context.Context, events []*click) (*kindspb.Reply, error) {
		ctx, all := eventid.Sequence(ctx), len(events)
		for chunk := range slices.Chunk(events, 100) {
			if _, err := s.append(ctx, chunk...); err != nil {
				return nil, err
			}
		}
		return &kindspb.Reply{Count: uint32(all)}, nil
	})},
	{"Held", "a request without an event is acknowledged", partPartial, "was acknowledged, and nothing stored", wrongOne(func(s *clicks, ctx context.Context, event *click) (*kindspb.Reply, error) {
		if event == nil {
			return &kindspb.Reply{}, nil
		}
		return s.reply(s.append(ctx, event))
	})},

	{"Upload", "the last event is left out", partStored, "acknowledged 1 event, stored 0", wrongUpload(func(s *clicks, ctx context.Context, events []*click) (*kindspb.Reply, error) {
		return storeAll(s, ctx, events[:max(0, len(events)-1)]...)
	})},
	{"Upload", "the order is lost", partOrder, "stored in the order [3 2 1]", wrongUpload(func(s *clicks, ctx context.Context, events []*click) (*kindspb.Reply, error) {
		slices.Reverse(events)
		return storeAll(s, ctx, events...)
	})},
	{"Upload", "a long stream is cut", partMany, "acknowledged 300 events, stored 256", wrongUpload(func(s *clicks, ctx context.Context, events []*click) (*kindspb.Reply, error) {
		reply, err := storeAll(s, ctx, events[:min(256, len(events))]...)
		return proportion(reply, len(events)), err
	})},
	{"Upload", "what fails is left out", partFails, "was acknowledged although", wrongUpload(func(s *clicks, ctx context.Context, events []*click) (*kindspb.Reply, error) {
		ctx = eventid.Sequence(ctx)
		for _, event := range events {
			_, _ = s.append(ctx, event)
		}
		return &kindspb.Reply{Count: uint32(len(events))}, nil
	})},
	{"Upload", "a lock is held while it waits for events", "", "did not end within", func(s *clicks) {
		var mu sync.Mutex
		s.upload = func(stream uploads) error {
			ctx := eventid.Sequence(stream.Context())
			for all := uint32(0); ; all++ {
				mu.Lock()
				event, err := stream.Recv()
				mu.Unlock()
				if errors.Is(err, io.EOF) {
					return stream.SendAndClose(&kindspb.Reply{Count: all})
				}
				if err == nil {
					_, err = s.append(ctx, event)
				}
				if err != nil {
					return err
				}
			}
		}
	}},

	{"Exchange", "the error of Recv ends the answers", partUnread, "is an error of Recv other than io.EOF taken for the end?", func(s *clicks) {
		s.exchange = func(stream exchange) error {
			ctx := eventid.Sequence(stream.Context())
			for {
				event, err := stream.Recv()
				if err != nil {
					return nil
				}
				reply, err := s.reply(s.append(ctx, event))
				if err != nil {
					return err
				}
				if err := stream.Send(reply); err != nil {
					return err
				}
			}
		}
	}},
	{"Exchange", "the answer comes first", partWaits, "while append number", wrongExchange(func(s *clicks, ctx context.Context, stream exchange, event *click) error {
		if err := stream.Send(&kindspb.Reply{Count: 1}); err != nil {
			return err
		}
		_, err := s.append(ctx, event)
		return err
	})},
	{"Exchange", "answers come in the end", partStored, "did not end within", func(s *clicks) {
		s.exchange = func(stream exchange) error {
			ctx := eventid.Sequence(stream.Context())
			for all := 0; ; all++ {
				event, err := stream.Recv()
				if errors.Is(err, io.EOF) {
					for range all {
						if err := stream.Send(&kindspb.Reply{Count: 1}); err != nil {
							return err
						}
					}
					return nil
				}
				if err != nil {
					return err
				}
				if _, err := s.append(ctx, event); err != nil {
					return err
				}
			}
		}
	}},
	{"Exchange", "each event has two answers", partStored, "got more answers than one each", wrongExchange(func(s *clicks, ctx context.Context, stream exchange, event *click) error {
		reply, err := s.reply(s.append(ctx, event))
		if err != nil {
			return err
		}
		return errors.Join(stream.Send(reply), stream.Send(proto.CloneOf(reply)))
	})},
	{"Exchange", "an event that fails is answered", partFails, "was acknowledged although", wrongExchange(func(s *clicks, ctx context.Context, stream exchange, event *click) error {
		_, err := s.append(ctx, event)
		if ctx.Err() != nil {
			return err
		}
		return stream.Send(&kindspb.Reply{Count: 1})
	})},
	{"Exchange", "every event has the id of the call", partOrder, "share an id", func(s *clicks) {
		wrongExchange(func(s *clicks, _ context.Context, stream exchange, event *click) error {
			reply, err := s.reply(s.append(stream.Context(), event))
			if err != nil {
				return err
			}
			return stream.Send(reply)
		})(s)
	}},
	{"Exchange", "a lock is left locked when a stream breaks off", partBreaks, "the call after a stream that broke off did not end within", func(s *clicks) {
		var mu sync.Mutex
		right := s.exchange
		s.exchange = func(stream exchange) error {
			mu.Lock()
			unlock := true
			defer func() {
				if unlock {
					mu.Unlock()
				}
			}()
			err := right(stream)
			unlock = status.Code(err) != codes.Canceled
			return err
		}
	}},
}

// locked has a service that locks a lock for each call, and unlock may unlock it.
func locked(unlock func(mu *sync.Mutex, err error)) func(*clicks) {
	return func(s *clicks) {
		var mu sync.Mutex
		s.one = func(ctx context.Context, event *click) (*kindspb.Reply, error) {
			mu.Lock()
			reply, err := s.reply(s.append(ctx, event))
			unlock(&mu, err)
			return reply, err
		}
	}
}

// proportion returns a reply that says another number of events.
func proportion(reply *kindspb.Reply, events int) *kindspb.Reply {
	if reply != nil {
		reply.Count = uint32(events)
	}
	return reply
}

// oneByOne stores each event of a batch alone.
func oneByOne(s *clicks, ctx context.Context, events []*click) (*kindspb.Reply, error) {
	ctx = eventid.Sequence(ctx)
	for _, event := range events {
		if _, err := s.append(ctx, event); err != nil {
			return nil, err
		}
	}
	return &kindspb.Reply{Count: uint32(len(events))}, nil
}

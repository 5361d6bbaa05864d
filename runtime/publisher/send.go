package publisher

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/bulk"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// How much may be under way by one RPC: events that go by calls of their own, and calls
// with many events, and how much these have.
const (
	windowEvents = 1024
	windowBytes  = 4 << 20
	windowCalls  = 4
	callEvents   = 500
	callBytes    = 1 << 20
)

// After growAfter calls of the size that a sender was reduced to, calls may be twice as large
// again: the server that refused those may only have been overloaded.
const growAfter = 32

// callTimeout is how long a call may take.
const callTimeout = 30 * time.Second

// sender sends events by one RPC.
type sender struct {
	RPC
	publisher *Publisher
	lane      *bulk.Lane // of single calls
	ready     queue
	most      int // events in one call
	full      int // calls with so many that the server took, since most changed
	calls     int // under way
	events    int
	bytes     int64
	running   sync.WaitGroup
}

func newSender(p *Publisher, rpc RPC) *sender {
	s := &sender{RPC: rpc, publisher: p, most: callEvents}
	if rpc.isSingle() {
		// The sender keeps to its own window. That of the lane is larger, so that Send never waits.
		s.lane = bulk.Open(p.conn, rpc.Name, bulk.Window(2*windowEvents, 2*(windowBytes+maxTogether)), bulk.Timeout(callTimeout))
		s.most = 1
	}
	return s
}

// name returns that of the RPC; "" for none.
func (s *sender) name() string {
	if s == nil {
		return ""
	}
	return s.Name
}

// send sends what is ready, as far as it may be under way. The scheduler calls it.
func (s *sender) send(now time.Time) {
	if s.lane != nil {
		s.sendSingly(now)
		return
	}
	for s.calls < windowCalls {
		events := s.together(now)
		if len(events) == 0 {
			return
		}
		s.calls++
		s.running.Go(func() { s.publisher.answered(s.call(events)) })
	}
}

// sendSingly sends each event by a call of its own.
func (s *sender) sendSingly(now time.Time) {
	var calls []bulk.Call
	for s.events < windowEvents && (s.bytes < windowBytes || s.events == 0) {
		e := s.publisher.nextOf(s, now)
		if e == nil {
			break
		}
		s.begin(e)
		one := &single{s, e, now}
		call := bulk.Call{ID: e.callID(), Request: s.request(e), Done: one.done}
		if e.parent != "" {
			call.Metadata = metadata.MD{"traceparent": {e.parent}}
		}
		calls = append(calls, call)
	}
	if len(calls) == 0 {
		return
	}
	if err := s.lane.Send(s.publisher.ctx, calls...); err != nil {
		taken := len(calls)
		var not *bulk.NotTaken
		if errors.As(err, &not) {
			taken -= not.Calls
		}
		for _, call := range calls[taken:] {
			call.Done(bulk.Answer{Err: status.FromContextError(err).Err()})
		}
	}
}

// single is an event that goes by a call of its own.
type single struct {
	sender *sender
	event  *event
	began  time.Time
}

func (o *single) done(a bulk.Answer) {
	answer := answer{events: []*event{o.event}, began: o.began, err: a.Err, retryAfter: a.RetryAfter}
	if a.Err != nil && a.RetryAfter == 0 {
		answer.retryAfter = retryAfter(a.Err, a.Trailer)
	}
	if a.Err == nil && o.sender.wasDuplicate(a.Reply) {
		answer.duplicates = 1
	}
	o.sender.publisher.answered(answer)
}

// mostRetryAfter is the longest time for which a server can ask. Otherwise one wrong number
// would stop a source, or the whole publisher, until its process ends.
const mostRetryAfter = time.Hour

// answered hands the scheduler an answer.
func (p *Publisher) answered(a answer) {
	a.retryAfter = min(a.retryAfter, mostRetryAfter)
	p.mu.Lock()
	p.inbox.answers = append(p.inbox.answers, a)
	p.mu.Unlock()
	signal(p.wake)
}

// begin counts an event as under way.
func (s *sender) begin(e *event) {
	s.events++
	s.bytes += e.size()
	s.publisher.underWay++
}

// done counts events as no longer under way.
func (s *sender) done(events []*event) {
	if s.lane == nil {
		s.calls--
	}
	for _, e := range events {
		s.events -= 1 + len(e.followers)
		s.bytes -= e.size()
		for _, follower := range e.followers {
			s.bytes -= follower.size()
		}
	}
}

// took notes that the server took a call with a number of events.
func (s *sender) took(events int) {
	if s.lane != nil || s.most == callEvents || events < s.most {
		return
	}
	if s.full++; s.full == growAfter {
		s.most, s.full = min(2*s.most, callEvents), 0
	}
}

// shrink has calls carry no more than a number of events.
func (s *sender) shrink(most int) {
	if most = max(1, most); most < s.most {
		s.most, s.full = most, 0
	}
}

// callID is the id that goes with a call of the event; "" for none.
func (e *event) callID() string {
	if !e.outside || eventid.Check(e.id) != nil {
		return ""
	}
	return e.id
}

// together returns the next events for one call. Of one subject there may be several, one
// after the other.
func (s *sender) together(now time.Time) (events []*event) {
	p := s.publisher
	bytes, count, most := int64(0), 0, s.most
	join := func(e *event) {
		s.begin(e)
		bytes += e.size()
		count++
		if e.most > 0 {
			most = min(most, e.most)
		}
	}
	for count < most && bytes < callBytes {
		e := p.nextOf(s, now)
		if e == nil {
			break
		}
		if count > 0 && !s.fits(e, count) { // in the next call
			s.ready.unpop(e)
			break
		}
		join(e)
		events = append(events, e)
		if e.outside {
			break
		}
		if e.subject == "" {
			continue
		}
		key := e.key()
		waiting := p.subjects[key]
		for len(waiting) > 0 && count < most && bytes < callBytes && waiting[0].route == s && s.fits(waiting[0], count) {
			join(waiting[0])
			e.followers = append(e.followers, waiting[0])
			waiting[0] = nil
			waiting = waiting[1:]
		}
		p.subjects[key] = waiting
	}
	return events
}

// fits reports whether an event may be in one call with a number of others. Without an id
// of its own it has that of the call.
func (s *sender) fits(e *event, others int) bool {
	return !e.outside && s.ID != 0 && (e.most == 0 || others < e.most)
}

// call makes a call with many events.
func (s *sender) call(events []*event) answer {
	a := answer{events: events, began: time.Now()}
	var all []*event
	for _, e := range events {
		all = append(append(all, e), e.followers...)
	}
	ctx, cancel := context.WithTimeout(s.publisher.ctx, callTimeout)
	defer cancel()
	if id := all[0].callID(); id != "" {
		ctx = eventid.WithID(ctx, id)
	}
	if len(all) == 1 && all[0].parent != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", all[0].parent)
	}
	var trailer metadata.MD
	if s.Streams == "" {
		a.err = s.batch(ctx, all, &trailer)
	} else {
		a.err = s.stream(ctx, all, &trailer)
	}
	if a.err != nil {
		a.retryAfter = retryAfter(a.err, trailer)
	}
	return a
}

// batch sends events in one request.
func (s *sender) batch(ctx context.Context, events []*event, trailer *metadata.MD) error {
	size := 0
	for _, e := range events {
		size += len(e.data) + 16
	}
	request := make([]byte, 0, size)
	for _, e := range events {
		request = s.add(request, e)
	}
	var reply []byte
	return s.publisher.conn.Invoke(ctx, s.Name, &request, &reply, grpc.ForceCodecV2(raw{}), grpc.Trailer(trailer))
}

// stream sends events in a stream, and waits for its end, or if there is an answer to each
// request, for all of them.
func (s *sender) stream(ctx context.Context, events []*event, trailer *metadata.MD) error {
	desc := &grpc.StreamDesc{ClientStreams: true, ServerStreams: s.Streams == "both"}
	stream, err := s.publisher.conn.NewStream(ctx, desc, s.Name, grpc.ForceCodecV2(raw{}), grpc.Trailer(trailer))
	if err != nil {
		return err
	}
	answered := make(chan error, 1)
	if desc.ServerStreams { // a server may answer before it reads on
		go func() { answered <- receiveAll(stream, len(events)) }()
	}
	cut := false
	for _, e := range events {
		var request []byte
		if s.Many {
			request = s.add(nil, e)
		} else {
			request = s.request(e)
		}
		if cut = stream.SendMsg(&request) != nil; cut {
			break // receiving says why
		}
	}
	_ = stream.CloseSend()
	if desc.ServerStreams {
		return <-answered
	}
	var reply []byte
	if err := stream.RecvMsg(&reply); err != nil || !cut {
		return err
	}
	return status.Errorf(codes.Unavailable, "the stream was answered before it had all of %d events", len(events))
}

// receiveAll returns nil if a stream has at least a number of answers, and then ends.
func receiveAll(stream grpc.ClientStream, want int) error {
	for got := 0; ; got++ {
		var reply []byte
		switch err := stream.RecvMsg(&reply); {
		case err == io.EOF && got >= want:
			return nil
		case err == io.EOF:
			return status.Errorf(codes.Unavailable, "the stream ended after %d answers to %d events", got, want)
		case err != nil:
			return err
		}
	}
}

// retryAfter returns after what time a server asks to try again, 0 if it does not say that.
func retryAfter(err error, trailer metadata.MD) time.Duration {
	if asked := trailer.Get("grpc-retry-pushback-ms"); len(asked) == 1 {
		if ms, err := strconv.ParseUint(asked[0], 10, 31); err == nil {
			return max(time.Duration(ms)*time.Millisecond, time.Millisecond)
		}
	}
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return max(info.GetRetryDelay().AsDuration(), time.Millisecond)
		}
	}
	return 0
}

// raw is a codec for messages that are encoded already.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*message.(*[]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, message any) error {
	*message.(*[]byte) = data.Materialize()
	return nil
}

// closeSenders ends what is under way.
func (p *Publisher) closeSenders() {
	for _, s := range p.senders {
		if s.lane != nil {
			s.lane.Abandon()
		}
		s.running.Wait()
	}
}

// settle takes the last answers, when the scheduler has stopped.
func (p *Publisher) settle() {
	now := time.Now()
	for i := range p.inbox.answers {
		if a := &p.inbox.answers[i]; a.err == nil {
			p.take(now, a)
		}
	}
	p.decide()
}

package bulk

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// maxReply bounds a message of answers. No reply should be larger.
const maxReply = 65 << 20

var pool = mem.DefaultBufferPool()

// raw is a message that is encoded already. gRPC owns the bytes it sends and returns them to
// the pool. The request of a single call stays its caller's: it is copied.
type raw struct {
	bytes  *[]byte
	pooled bool
}

// codec leaves messages as they are. Its name is that of protobuf's codec, because the
// messages are protobuf.
type codec struct{}

// Name implements encoding.CodecV2.
func (codec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (codec) Marshal(message any) (mem.BufferSlice, error) {
	m := message.(raw)
	if m.pooled {
		return mem.BufferSlice{mem.NewBuffer(m.bytes, pool)}, nil
	}
	// gRPC may still read what it sends after a call has ended by its deadline.
	return mem.BufferSlice{mem.Copy(*m.bytes, pool)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (codec) Unmarshal(data mem.BufferSlice, into any) error {
	bytes := data.Materialize()
	into.(*raw).bytes = &bytes
	return nil
}

// stream is a stream of a lane.
type stream struct {
	lane    *Lane
	grpc    grpc.ClientStream
	cancel  context.CancelFunc
	begun   time.Time
	retired time.Time // the lock of the lane guards it; zero while the stream gets calls

	mu      sync.Mutex
	brought bool              // an answer
	heard   time.Time         // when a message came last, or the stream was opened
	late    bool              // the time of a call was over since then
	over    bool              // it takes no further calls
	number  uint64            // of the last call
	pending map[uint64]*taken // calls without an answer, by their numbers
}

// expect notes calls that are about to be sent, unless the stream takes no further ones.
func (s *stream) expect(calls []*taken) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	for _, t := range calls {
		s.number++
		s.pending[s.number] = t
	}
	return true
}

// expire takes the calls whose time is over. It returns whether any call was answered,
// whether the server has been silent for as long as a call may take, and how many calls are
// left.
func (s *stream) expire(now time.Time) (over []*taken, brought, silent bool, left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for number, t := range s.pending {
		if now.After(t.deadline) {
			over = append(over, t)
			delete(s.pending, number)
		}
	}
	s.late = s.late || len(over) > 0
	return over, s.brought, s.late && now.Sub(s.heard) > s.lane.timeout, len(s.pending)
}

// end returns the calls that have no answer, in the order in which they were sent, and
// whether any was answered, and any sent. The stream takes no further ones.
func (s *stream) end() (lost []*taken, brought, sent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.after(0), s.brought, s.number > 0
}

// after takes the calls that have no answer, from a number on. The stream takes no further
// ones. The lock is held.
func (s *stream) after(last uint64) (calls []*taken) {
	s.over = true
	for _, number := range slices.Sorted(maps.Keys(s.pending)) {
		if number > last {
			calls = append(calls, s.pending[number])
			delete(s.pending, number)
		}
	}
	return calls
}

// receive receives answers until the stream ends.
func (s *stream) receive() {
	for {
		var message raw
		if err := s.grpc.RecvMsg(&message); err != nil {
			s.lane.ended(s, err)
			return
		}
		if err := s.answer(*message.bytes); err != nil {
			s.cancel()
			s.lane.ended(s, status.Error(codes.Internal, err.Error()))
			return
		}
	}
}

// answer hands out the answers of a message: if it can't be decoded, those before that.
func (s *stream) answer(message []byte) error {
	var calls []*taken
	var answers []Answer
	some := false
	// A message may have any number of answers that no call waits for: these are not kept.
	count, last, err := ReadAnswers(message, func(a AnswerFrame) {
		some = true
		s.mu.Lock()
		t := s.pending[a.Number]
		delete(s.pending, a.Number)
		s.mu.Unlock()
		if t != nil {
			calls, answers = append(calls, t), append(answers, a.answer())
		}
	})
	last = last && err == nil
	s.mu.Lock()
	s.brought = s.brought || some && err == nil
	s.heard, s.late = time.Now(), false
	brought := s.brought
	var again []*taken
	if last {
		again = s.after(count)
	}
	s.mu.Unlock()
	s.lane.heed(s, answers, some)
	for i, t := range calls {
		if t.Done != nil {
			t.Done(answers[i])
		}
	}
	l := s.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leave(calls)
	if last {
		if !brought { // a server may take no calls of any stream
			l.backOff()
		}
		l.queue = append(again, l.queue...)
		if l.stream == s {
			l.retire(s)
		}
		l.wake.Signal()
	}
	return err
}

// heed draws from answers what holds for the next calls, before whoever gets the answers makes
// them.
func (l *Lane) heed(s *stream, answers []Answer, some bool) {
	refused, wait, unknown := 0, time.Duration(0), false
	for i := range answers {
		if after := answers[i].RetryAfter; after > 0 {
			refused, wait = refused+1, max(wait, after)
		}
		unknown = unknown || status.Code(answers[i].Err) == codes.Unauthenticated
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.has = true; some {
		l.failed = 0
	}
	if refused > len(answers)/2 { // not just some source that sends too much
		l.pauseFor(min(wait, mostWait))
	}
	if unknown && l.stream == s { // the next one has another token
		l.retire(s)
		l.pauseFor(firstWait)
	}
}

// answer returns what is in a frame.
func (a *AnswerFrame) answer() Answer {
	answer := Answer{Reply: a.Reply, Header: a.Header, Trailer: a.Trailer, Sent: true}
	if a.Status != nil {
		var s spb.Status
		if err := proto.Unmarshal(a.Status, &s); err != nil {
			answer.Err = status.Error(codes.Internal, "the status of an answer can't be decoded: "+err.Error())
		} else if answer.Err = status.ErrorProto(&s); answer.Err == nil {
			answer.Err = status.Error(codes.Internal, "an answer has the status OK in place of a reply") // as gRPC does
		}
	}
	if answer.Trailer != nil {
		answer.RetryAfter = retryAfter(answer.Trailer)
	}
	return answer
}

// retryAfter returns how long a trailer asks to wait before the next try; 0 if it asks for
// none.
func retryAfter(trailer metadata.MD) time.Duration {
	asked := trailer.Get("grpc-retry-pushback-ms")
	if len(asked) != 1 {
		return 0
	}
	ms, err := strconv.ParseUint(asked[0], 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// Carries reports whether a call of a lane can carry metadata. All but ids and the context of
// a trace goes with the stream, or with a single call: a server trusts what a proxy in front
// of it has set or removed, which does not see the calls of a lane.
func Carries(md metadata.MD) bool {
	for key := range md {
		switch key {
		case eventid.Key, "traceparent", "tracestate", "baggage", "x-request-id":
		default:
			return false
		}
	}
	return true
}

// CheckMetadata returns an error, with a code, for metadata that a call can't carry: a name
// that gRPC or HTTP/2 have for themselves, or one or a value of characters that they don't
// have.
func CheckMetadata(md metadata.MD) error {
	for key, values := range md {
		if key == "" || strings.HasPrefix(key, "grpc-") || key == "content-type" || key == "te" ||
			strings.ContainsFunc(key, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_.", r) }) {
			return status.Errorf(codes.InvalidArgument, "metadata can't have the name %.100q", key)
		}
		if strings.HasSuffix(key, "-bin") {
			continue
		}
		for _, value := range values {
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
				return status.Errorf(codes.InvalidArgument, "the value of the metadata %.100q has a character that is not printable ASCII", key)
			}
		}
	}
	return nil
}

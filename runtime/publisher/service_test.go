package publisher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// The event of these tests is an ErrorInfo: its reason is its id, its domain its subject,
// and its metadata has the rest.
func newMessage(id, subject string, n int) *errdetails.ErrorInfo {
	return &errdetails.ErrorInfo{Reason: id, Domain: subject, Metadata: map[string]string{"n": fmt.Sprint(n)}}
}

func route(rpc RPC) Route {
	return Takes(rpc, func(event *errdetails.ErrorInfo) Attributes {
		return Attributes{ID: event.GetReason(), Subject: event.GetDomain(), Source: event.GetMetadata()["source"], Type: "tested"}
	})
}

// RPCs of each kind, with an event that has an id and with one that has none.
var rpcs = map[string]RPC{
	"single":                     {Name: "/test.v1.Events/Put", ID: 1},
	"single, held":               {Name: "/test.v1.Events/PutHeld", Holder: 3, ID: 1},
	"single without id":          {Name: "/test.v1.Events/Put"},
	"batch":                      {Name: "/test.v1.Events/PutMany", Holder: 2, Many: true, ID: 1},
	"batch without ids":          {Name: "/test.v1.Events/PutMany", Holder: 2, Many: true},
	"client stream":              {Name: "/test.v1.Events/PutStream", Streams: "client", ID: 1},
	"client stream without ids":  {Name: "/test.v1.Events/PutStream", Streams: "client"},
	"both stream":                {Name: "/test.v1.Events/PutBoth", Streams: "both", Holder: 3, ID: 1},
	"client stream of batches":   {Name: "/test.v1.Events/PutManyStream", Streams: "client", Holder: 2, Many: true, ID: 1},
	"both stream without any id": {Name: "/test.v1.Events/PutBoth", Streams: "both", Holder: 3},
}

// service stores events, each id once.
type service struct {
	t       testing.TB
	server  *grpc.Server
	address string

	mu     sync.Mutex
	ids    map[string]string        // what is stored under each
	events []*errdetails.ErrorInfo  // in their order
	calls  int                      // that came
	fail   func(ids []string) error // of a call with events
	lose   func() bool              // whether the answer is lost
	early  func() bool              // whether a stream is answered before it has ended
}

func newService(t testing.TB) *service {
	s := &service{t: t, ids: map[string]string{}, address: "unix:" + filepath.Join(t.TempDir(), "s")}
	s.start()
	t.Cleanup(func() { s.server.Stop() })
	return s
}

func (s *service) start() {
	listener, err := net.Listen("unix", strings.TrimPrefix(s.address, "unix:"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.server = grpc.NewServer(grpc.ForceServerCodecV2(raw{}), grpc.UnknownServiceHandler(s.handle))
	server := s.server
	go func() { _ = server.Serve(listener) }()
}

// handle handles any RPC.
func (s *service) handle(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	name := method[strings.LastIndexByte(method, '/')+1:]
	if strings.HasSuffix(name, ".bulk") {
		return status.Error(codes.Unimplemented, "there are no lanes")
	}
	sent := metadata.ValueFromIncomingContext(stream.Context(), eventid.Key)
	count := 0
	for {
		var request []byte
		if err := stream.RecvMsg(&request); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		events := s.parse(name, request)
		for _, event := range events {
			count++
			if event.Reason != "" {
				continue
			}
			if len(sent) != 1 {
				return status.Error(codes.InvalidArgument, "there is no id")
			}
			event.Reason = sent[0]
			if strings.Contains(name, "Stream") || name == "PutBoth" || name == "PutMany" {
				event.Reason += fmt.Sprintf("/%d", count)
			}
		}
		if err := s.store(events); err != nil {
			return err
		}
		if s.early != nil && s.early() {
			break
		}
		if name == "PutBoth" {
			if err := stream.SendMsg(&[]byte{}); err != nil {
				return err
			}
		}
	}
	if name == "PutBoth" {
		return nil
	}
	return stream.SendMsg(&[]byte{})
}

// parse returns the events of a request.
func (s *service) parse(name string, request []byte) (events []*errdetails.ErrorInfo) {
	parse := func(data []byte) {
		event := &errdetails.ErrorInfo{}
		if err := proto.Unmarshal(data, event); err != nil {
			s.t.Error(err)
		}
		events = append(events, event)
	}
	var want protowire.Number
	switch name {
	case "PutHeld", "PutBoth":
		want = 3
	case "PutMany", "PutManyStream":
		want = 2
	default:
		parse(request)
		return events
	}
	for len(request) > 0 {
		number, _, n := protowire.ConsumeTag(request)
		data, m := protowire.ConsumeBytes(request[n:])
		if number != want || m < 0 {
			s.t.Errorf("%s: the request has field %d", name, number)
			return events
		}
		parse(data)
		request = request[n+m:]
	}
	return events
}

// store stores events, all or none.
func (s *service) store(events []*errdetails.ErrorInfo) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	var ids []string
	for _, event := range events {
		ids = append(ids, event.Reason)
	}
	if s.fail != nil {
		if err := s.fail(ids); err != nil {
			return err
		}
	}
	for _, event := range events {
		if content, ok := s.ids[event.Reason]; ok && content != event.String() {
			return status.Errorf(codes.AlreadyExists, "another event has the id %s", event.Reason)
		}
	}
	for _, event := range events {
		if _, ok := s.ids[event.Reason]; !ok {
			s.ids[event.Reason] = event.String()
			s.events = append(s.events, event)
		}
	}
	if s.lose != nil && s.lose() {
		return status.Error(codes.Unavailable, "the answer is lost")
	}
	return nil
}

// stored returns how many events there are.
func (s *service) stored() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events)
}

// set changes what the service does.
func (s *service) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// checkOrder fails unless the events of each subject are stored once, in their order, from
// 0 to one before want.
func (s *service) checkOrder(want map[string]int) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[string]int{}
	for _, event := range s.events {
		if n := event.Metadata["n"]; n != fmt.Sprint(next[event.Domain]) {
			s.t.Fatalf("event %s of %q is stored when %d was due", n, event.Domain, next[event.Domain])
		}
		next[event.Domain]++
	}
	for subject, count := range want {
		if next[subject] != count {
			s.t.Errorf("%d events of %q are stored, want %d", next[subject], subject, count)
		}
	}
}

// quiet logs to the test.
func quiet(t testing.TB) Option {
	return Logger(slog.New(slog.NewTextHandler(t.Output(), nil)))
}

// open opens a publisher.
func open(t testing.TB, dir string, s *service, rpc RPC, options ...Option) *Publisher {
	t.Helper()
	p, err := Open(t.Context(), dir, s.address, []Route{route(rpc)}, append([]Option{quiet(t)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = p.Close(ctx)
	})
	return p
}

// flush waits until everything is decided.
func flush(t testing.TB, p *Publisher) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.Flush(ctx); err != nil {
		t.Fatalf("%v: %+v", err, p.Stats())
	}
}

// crash ends a publisher as the death of its process does: nothing more is written.
func (p *Publisher) crash() {
	p.closing.Do(func() {
		p.mu.Lock()
		p.closed = true
		p.makeRoom()
		p.mu.Unlock()
		p.cancel()
		_ = p.spool.log.Close()
		signal(p.work)
		p.done.Wait()
		p.closeSenders()
		_ = errors.Join(p.conn.Close(), p.refused.close())
	})
}

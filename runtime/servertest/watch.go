package servertest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path"
	"regexp"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// endTime is how long a handler, and what it began, may go on after its caller has gone.
var endTime = 5 * time.Second

// watch watches the handlers of a server, and notes what is wrong with them.
type watch struct {
	id     string
	mu     sync.Mutex
	rpcs   map[string]*watched
	faults []string
}

// watched is what a watch knows of an RPC.
type watched struct {
	calls int
	most  int // at a time
	open  map[int]context.Context
}

// numbers are those of watches and of paused calls.
var numbers atomic.Int64

// newWatch returns a watch, and the option by which a server has it.
func newWatch() (*watch, server.Option) {
	w := &watch{id: fmt.Sprint(numbers.Add(1)), rpcs: map[string]*watched{}}
	return w, server.Options(server.UnaryInterceptors(w.unary), server.StreamInterceptors(w.stream))
}

func (w *watch) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (reply any, err error) {
	w.handle(ctx, info.Server, info.FullMethod, func() {
		meet(ctx) // here, since the lock that handle takes would put calls in an order
		reply, err = next(ctx, request)
	})
	if err == nil && isNil(reply) {
		w.fault(info.FullMethod, "returned neither a reply nor an error, which callers take for an empty reply")
	}
	return reply, err
}

func (w *watch) stream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	s := &watchedStream{ServerStream: stream, fault: func(what string) { w.fault(info.FullMethod, what) }}
	for _, id := range metadata.ValueFromIncomingContext(stream.Context(), pauseKey) {
		reached, _ := pauses.Load(id)
		s.reached, _ = reached.(func())
	}
	w.handle(stream.Context(), service, info.FullMethod, func() { err = next(service, s) })
	if broken := s.ended.Load(); err == nil && broken != nil && *broken != io.EOF {
		// What a caller who has gone is answered does no harm, unless it took the end for that of the requests.
		code := status.Code(*broken)
		if gone := code == codes.Canceled || code == codes.DeadlineExceeded; !gone || !info.IsServerStream {
			s.fault("returned no error though Recv had failed with " + code.String() + ", so that its caller takes everything for received: return the error of Recv, unless it is io.EOF")
		}
	}
	return err
}

// handle runs a handler. Goroutines that this begins have a label by which they are found
// once it has ended.
func (w *watch) handle(ctx context.Context, service any, rpc string, handler func()) {
	w.mu.Lock()
	seen := w.rpcs[rpc]
	if seen == nil {
		located.Store(rpc, position(service, rpc))
		seen = &watched{open: map[int]context.Context{}}
		w.rpcs[rpc] = seen
	}
	seen.calls++
	call := seen.calls
	seen.open[call] = ctx
	seen.most = max(seen.most, len(seen.open))
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(seen.open, call)
		w.mu.Unlock()
	}()
	pprof.Do(ctx, pprof.Labels("servertest", fmt.Sprint(w.id, " ", call, " ", rpc)), func(context.Context) { handler() })
}

// fault notes what is wrong with the method of an RPC.
func (w *watch) fault(rpc, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if what = where(rpc) + ": " + path.Base(rpc) + " " + what; !slices.Contains(w.faults, what) {
		w.faults = append(w.faults, what)
	}
}

// end waits for the end of a server that stops, and returns what is wrong with its handlers.
func (w *watch) end(ended <-chan error) (faults []string) {
	select {
	case err := <-ended:
		if faults = w.leaks(); err != nil {
			faults = append(faults, err.Error())
		}
	case <-time.After(endTime):
		faults = w.running()
		if err := <-ended; err != nil && len(faults) == 0 { // with others, it would say the same of all together
			faults = append(faults, err.Error())
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return append(faults, w.faults...)
}

// running returns which handlers still run.
func (w *watch) running() (faults []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for rpc, seen := range w.rpcs {
		for _, ctx := range seen.open {
			fault := where(rpc) + ": " + path.Base(rpc) + " still runs " + endTime.String() + " after its caller has gone: end it with the context of the call"
			if ctx.Err() == nil {
				fault = where(rpc) + ": " + path.Base(rpc) + " still runs " + endTime.String() + " after the server began to stop: end a stream with the context of server.UntilDrain"
			}
			if !slices.Contains(faults, fault) {
				faults = append(faults, fault)
			}
		}
	}
	return faults
}

// leaks waits for the end of goroutines that handlers began, and returns those that don't
// end: at least half of the calls left one behind. Others are there once, such as those of
// a pool of connections.
func (w *watch) leaks() (faults []string) {
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		faults = nil
		for of, calls := range w.left() {
			rpc := w.rpcs[of.rpc]
			if n := len(calls); n >= 3 && n > rpc.most && 2*n >= rpc.calls {
				faults = append(faults, fmt.Sprintf("%s: %s leaves goroutines behind: %d of %d calls left %s, which still runs %s later: end it with the context of the call", where(of.rpc), path.Base(of.rpc), n, rpc.calls, of.function, endTime))
			}
		}
		if faults == nil || time.Since(begin) > endTime {
			return faults
		}
	}
}

// leftover finds the label of a goroutine, and where it began.
var leftover = regexp.MustCompile(`(?s)"servertest":"(\S+) (\S+) ([^"]+)".*\n#\t\S+\t+(\S+)\+\S+\t+([^\n]+)$`)

// begun is what goroutines have in common that the handlers of an RPC began.
type begun struct{ rpc, function string }

// left returns the calls that left goroutines behind.
func (w *watch) left() map[begun]map[string]bool {
	var all bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&all, 1)
	left := map[begun]map[string]bool{}
	for group := range strings.SplitSeq(all.String(), "\n\n") {
		found := leftover.FindStringSubmatch(group)
		if found == nil || found[1] != w.id {
			continue
		}
		of := begun{found[3], found[4] + " (" + path.Base(found[5]) + ")"}
		if left[of] == nil {
			left[of] = map[string]bool{}
		}
		left[of][found[2]] = true
	}
	return left
}

// isNil reports whether there is no message.
func isNil(message any) bool {
	m, ok := message.(proto.Message)
	return message == nil || ok && !m.ProtoReflect().IsValid()
}

// watchedStream is the stream of a handler.
type watchedStream struct {
	grpc.ServerStream
	fault   func(what string)
	reached func() // of a paused call
	asked   atomic.Int32
	after   atomic.Int32          // how often Recv was called after it failed
	ended   atomic.Pointer[error] // the first error of Recv
}

func (s *watchedStream) RecvMsg(into any) error {
	if s.asked.Add(1) == 2 && s.reached != nil {
		s.reached()
	}
	err := s.ServerStream.RecvMsg(into)
	if err == nil && s.asked.Load() == 1 {
		meet(s.Context())
	}
	if err != nil && !s.ended.CompareAndSwap(nil, &err) && s.after.Add(1) == 10 {
		s.fault("goes on receiving after Recv has failed with " + err.Error() + ": return, or break the loop")
	}
	return err
}

func (s *watchedStream) SendMsg(message any) error {
	if isNil(message) {
		s.fault("sends nil, which its caller takes for an empty message")
	}
	if s.reached != nil {
		s.reached()
		ctx, stop := server.UntilDrain(s.Context())
		defer stop()
		<-ctx.Done()
	}
	return s.ServerStream.SendMsg(message)
}

// pauses has the functions that paused calls and calls of a meeting run, by the value of
// pauseKey or meetKey in their metadata.
var pauses sync.Map

const pauseKey = "servertest-pause"

// paused returns the context of a call whose messages are not sent: its handler waits when
// it sends one, as for a caller who does not read, until the server drains. reached is
// closed then, or when the handler asks for a second request. The call outlasts others.
func paused(ctx context.Context) (_ context.Context, reached <-chan struct{}, leave context.CancelFunc) {
	id, at := fmt.Sprint(numbers.Add(1)), make(chan struct{})
	pauses.Store(id, sync.OnceFunc(func() { close(at) }))
	ctx, leave = context.WithTimeout(context.WithoutCancel(ctx), 2*callTimeout)
	return metadata.AppendToOutgoingContext(ctx, pauseKey, id), at, leave
}

// patience is how long a test waits for what need not come.
var patience = 100 * time.Millisecond

const meetKey = "servertest-meet"

// meeting returns a function that makes the contexts of calls whose handlers begin at the
// same time: when so many calls have arrived, or else after a moment.
func meeting(calls int64) func(context.Context) context.Context {
	id, all := fmt.Sprint(numbers.Add(1)), make(chan struct{})
	var came atomic.Int64
	pauses.Store(id, func() {
		if came.Add(1) == calls {
			close(all)
		}
		select {
		case <-all:
		case <-time.After(patience):
		}
	})
	return func(ctx context.Context) context.Context { return metadata.AppendToOutgoingContext(ctx, meetKey, id) }
}

// meet waits for the other calls of a meeting.
func meet(ctx context.Context) {
	for _, id := range metadata.ValueFromIncomingContext(ctx, meetKey) {
		if wait, ok := pauses.Load(id); ok {
			wait.(func())()
		}
	}
}

// unreadable returns a request that a server can't decode.
func unreadable[M proto.Message]() M {
	message := empty[M]()
	message.ProtoReflect().SetUnknown([]byte{0xff})
	return message
}

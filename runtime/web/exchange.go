package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// rpc is an RPC at its path.
type rpc struct {
	server.PortRPC
	connect http.Handler
}

// serve returns handlers for the RPCs of a server, by path.
func serve(all []server.PortRPC, mostBytes int) map[string]*rpc {
	rpcs, bridged := map[string]*rpc{}, connect.NewServer()
	for _, called := range all {
		rpc := &rpc{PortRPC: called}
		rpcs[called.Method] = rpc
		bridged.Register(connect.Method{Spec: spec(called), Handler: rpc.handle})
	}
	connecthttp.Mount(mounted(rpcs), bridged,
		connecthttp.WithCodecs(codec{name: connect.CodecNameProto}, codec{name: connect.CodecNameJSON, json: true}),
		connecthttp.WithCompressMinBytes(compressFrom),
		connecthttp.WithReadMaxBytes(mostBytes),
	)
	return rpcs
}

// compressFrom is the least length of a message that is worth compressing.
const compressFrom = 1 << 10

// mounted takes the handlers that connect mounts for RPCs.
type mounted map[string]*rpc

func (m mounted) Handle(pattern string, handler http.Handler) {
	if rpc, ok := m[pattern]; ok {
		rpc.connect = handler
	}
}

func spec(rpc server.PortRPC) connect.Spec {
	spec := connect.Spec{Procedure: rpc.Method}
	if rpc.ClientStreams {
		spec.StreamType |= connect.StreamTypeClient
	}
	if rpc.ServerStreams {
		spec.StreamType |= connect.StreamTypeServer
	}
	if rpc.Descriptor != nil {
		spec.Schema = rpc.Descriptor
		if options, ok := rpc.Descriptor.Options().(*descriptorpb.MethodOptions); ok {
			spec.IdempotencyLevel = connect.IdempotencyLevel(options.GetIdempotencyLevel())
		}
	}
	return spec
}

// exchange is a call by HTTP: a request and its answer.
type exchange struct {
	server  *server.Server
	rpc     *rpc
	call    *server.PortCall
	request *http.Request
	answer  *answer
	control *http.ResponseController
	from    net.Conn
	handled bool // a handler was called

	mu      sync.Mutex
	left    bool        // net/http may use control for another request
	expired *time.Timer // nil before the deadline
}

type exchangeKey struct{}

// route answers a request.
func (p *port) route(to http.ResponseWriter, r *http.Request) {
	from := r.Context().Value(connectionKey{}).(net.Conn)
	if p.server.Retires(from) {
		to.Header().Set("Connection", "close") // in HTTP/2 it lets the client go, too
	}
	if most := p.server.Config().MaxMetadataBytes; headersLength(r) > most {
		p.server.Unhandled(server.HeadersTooLarge, "", from)
		p.refuse(to, r, http.StatusRequestHeaderFieldsTooLarge, connect.Errorf(connect.CodeResourceExhausted,
			"the headers are larger than %d bytes, the most that the server takes: names and values, and 32 bytes for each (--max-metadata-bytes)", most))
		return
	}
	rpc, ok := p.rpcs[r.URL.Path]
	if !ok {
		p.aside(to, r, func(r *http.Request) { p.elsewhere(to, r) })
		return
	}
	x, err := p.enter(to, r, rpc)
	if err != nil {
		p.refuse(to, r, 0, connectError(err))
		return
	}
	defer x.leave()
	x.receives(strings.Contains(r.Header.Get("Content-Type"), "+") || strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"))
	rpc.connect.ServeHTTP(x.answer, x.request)
	if !x.handled {
		p.server.Unhandled(x.unhandled(), rpc.Method, from)
	}
}

// aside answers a request that doesn't count as a call. Its client may let the answer
// wait for a moment only. A connection with many such answers is closed where
// there are as many as there may be calls.
func (p *port) aside(to http.ResponseWriter, r *http.Request, answer func(*http.Request)) {
	from := r.Context().Value(connectionKey{}).(net.Conn)
	end, ok := p.server.Aside(from)
	if !ok {
		_ = from.Close()
		panic(http.ErrAbortHandler)
	}
	ends := &ends{end}
	defer func() {
		answered(to, r, func() {
			for _, end := range *ends {
				end()
			}
		})
	}()
	answer(r.WithContext(context.WithValue(r.Context(), endsKey{}, ends)))
	if r.ProtoMajor == 2 {
		_ = http.NewResponseController(to).SetWriteDeadline(time.Now().Add(patience))
	}
}

// ends are called once the answer to a request that is answered aside is written. Such a
// request may be a call, too, if it brings a CloudEvent: both ends are here, because net/http
// reports only once that an answer is written.
type ends []func()

type endsKey struct{}

// answered calls then once the answer to a request is written, as far as it can be, whose
// handler returns. In HTTP/2 that is later: the client may leave no room for the end. When
// it is, only a deprecated interface reports: the context of the request ends with the
// handler.
func answered(to http.ResponseWriter, r *http.Request, then func()) {
	if ends, ok := r.Context().Value(endsKey{}).(*ends); ok {
		*ends = append(*ends, then)
		return
	}
	//lint:ignore SA1019 nothing else reports it
	notifier, ok := to.(http.CloseNotifier) //nolint:staticcheck // the same for golangci-lint
	if !ok || r.ProtoMajor != 2 {
		then()
		return
	}
	closed := notifier.CloseNotify()
	go func() {
		<-closed
		then()
	}()
}

// unhandled returns why connect has answered a request itself.
func (x *exchange) unhandled() string {
	for _, name := range []string{"Content-Encoding", "Connect-Content-Encoding", "Grpc-Encoding"} {
		switch x.request.Header.Get(name) {
		case "", connect.CompressionNameIdentity, connect.CompressionNameGzip:
		default:
			return server.UnknownCompression
		}
	}
	return server.NotGRPC
}

// recovered logs a panic, which ends the request alone. Those in handlers of RPCs don't
// come here.
func (p *port) recovered(to http.ResponseWriter, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler {
		panic(cause)
	}
	p.server.Log().Error("panic while a request by HTTP was answered", "path", r.URL.Path, "cause", cause, "stack", string(debug.Stack()))
	http.Error(to, "internal error", http.StatusInternalServerError)
}

// headersLength returns the length of the headers as gRPC counts them.
func headersLength(r *http.Request) (length int) {
	for name, values := range r.Header {
		for _, value := range values {
			length += len(name) + len(value) + 32
		}
	}
	return length
}

// elsewhere answers a request at a path that is not one of an RPC.
func (p *port) elsewhere(to http.ResponseWriter, r *http.Request) {
	if p.events != nil && (r.URL.Path == "/events" || strings.HasPrefix(r.URL.Path, "/events/")) {
		p.events.ServeHTTP(to, r)
		return
	}
	p.unknown(to, r)
}

// unknown answers a request for what there is not.
func (p *port) unknown(to http.ResponseWriter, r *http.Request) {
	p.server.Unhandled(server.UnknownRPC, r.URL.Path, r.Context().Value(connectionKey{}).(net.Conn))
	writeError(to, r, http.StatusNotFound, connect.Errorf(connect.CodeUnimplemented,
		"there is no RPC at %s: the path of one is /package.Service/Method", shorten(r.URL.Path)))
}

func shorten(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

var protocols = connecthttp.NewErrorWriter()

// refuse answers a request with an error in its protocol, where that has statuses of HTTP
// with the given one; 0 for that of the code.
func (p *port) refuse(to http.ResponseWriter, r *http.Request, code int, err *connect.Error) {
	p.aside(to, r, func(r *http.Request) { writeError(to, r, code, err) })
}

func writeError(to http.ResponseWriter, r *http.Request, code int, err *connect.Error) {
	if r.ProtoMajor == 1 && r.Body != http.NoBody {
		_ = http.NewResponseController(to).SetReadDeadline(time.Now().Add(lingering))
	}
	_ = protocols.Write(&refusal{to, code}, r, err)
}

// refusal writes the answer to a request that is refused.
type refusal struct {
	http.ResponseWriter
	code int // instead of one that is not OK
}

func (r *refusal) WriteHeader(code int) {
	if code != http.StatusOK && r.code != 0 {
		code = r.code
	}
	r.ResponseWriter.WriteHeader(code)
}

// enter lets a request in as a call of an RPC, or returns why not. Its leave ends that.
func (p *port) enter(to http.ResponseWriter, r *http.Request, rpc *rpc) (*exchange, error) {
	x := &exchange{server: p.server, rpc: rpc, control: http.NewResponseController(to), from: r.Context().Value(connectionKey{}).(net.Conn)}
	call, err := p.server.Enter(r.Context(), x.from, rpc.Method, func() { _ = x.control.SetReadDeadline(time.Unix(1, 0)) })
	if err != nil {
		return nil, err
	}
	x.call, x.answer = call, &answer{ResponseWriter: to, call: call, request: r}
	x.request = r.WithContext(context.WithValue(call.Context(), exchangeKey{}, x))
	return x, nil
}

// receives makes the limits bound how the body is read.
func (x *exchange) receives(framed bool) {
	encoding := x.request.Header.Get("Content-Encoding")
	x.request.Body = x.call.Receives(x.request.Body, server.Form{
		Framed: framed, Length: x.request.ContentLength, Compressed: !framed && encoding != "" && encoding != connect.CompressionNameIdentity,
	})
}

// lingering is how long a client of HTTP/1 that still sends its request when it has an
// answer may go on to do so, so that it comes to read the answer.
const lingering = time.Second

// patience is how long an answer may wait for its client that is not one of a call.
const patience = 5 * time.Second

func (x *exchange) leave() {
	if x.request.ProtoMajor == 1 && !x.call.Done() {
		_ = x.control.SetReadDeadline(time.Now().Add(lingering))
	}
	x.mu.Lock()
	x.left = true
	if x.expired != nil {
		x.expired.Stop()
	}
	x.mu.Unlock()
	x.call.Leave()
	answered(x.answer.ResponseWriter, x.request, x.call.End)
}

// expire ends the call's waiting for its client, once its deadline has passed. What is
// being written then may be the answer that says so: it gets a moment.
func (x *exchange) expire() {
	x.call.Interrupt()
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.left {
		x.expired = time.AfterFunc(lingering, x.cutOff)
	}
}

// cutOff ends a write that waits for the client.
func (x *exchange) cutOff() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.left && x.answer.writing.Load() {
		_ = x.control.SetWriteDeadline(time.Unix(1, 0))
	}
}

// handle handles a call that connect has read the headers of.
func (r *rpc) handle(ctx context.Context, _ connect.Spec, of connect.ServerStream) error {
	x := ctx.Value(exchangeKey{}).(*exchange)
	x.handled = true
	if ctx.Err() == context.DeadlineExceeded {
		x.server.Unhandled(server.TooLate, r.Method, x.from)
		return connectError(status.FromContextError(ctx.Err()).Err())
	}
	info, _ := connect.CallInfoForServerContext(ctx)
	s, err := x.stream(ctx, &connected{ctx, of, x}, info.ResponseHeader(), info.ResponseTrailer())
	if err != nil {
		return connectError(err)
	}
	defer s.stop()
	err = r.Handle(s)
	if err == nil {
		return nil
	}
	if after := retryAfter(err); after != "" && !s.sent {
		info.ResponseHeader().Set("Retry-After", after)
	}
	return connectError(err)
}

// messages is how a call gets its requests and sends its replies.
type messages interface {
	// receive receives the next request; its error is io.EOF after the last.
	receive(into proto.Message) error
	send(reply proto.Message) error
	// sendHeaders sends the headers before the first reply.
	sendHeaders() error
}

// connected are messages in one of connect's protocols.
type connected struct {
	ctx context.Context
	of  connect.ServerStream
	x   *exchange
}

func (c *connected) receive(into proto.Message) error {
	if r := c.x.request; r.Method == http.MethodGet {
		if encoding := r.URL.Query().Get("compression"); encoding != "" && encoding != connect.CompressionNameIdentity {
			if err := c.x.call.Holds(int64(len(r.URL.RawQuery)), true); err != nil {
				return err
			}
		}
	}
	in := incoming{call: c.x.call, into: into}
	err := c.of.Receive(&in)
	var known *connect.Error
	switch cut := c.x.call.Cut(); {
	case in.err != nil:
		return in.err
	case err == nil:
		if !in.decoded {
			proto.Reset(into) // nothing came for it, which is a message without fields
		}
		return nil
	case cut != nil:
		return cut
	case c.ctx.Err() != nil:
		return status.FromContextError(c.ctx.Err()).Err()
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.As(err, &known) && known.Code() == connect.CodeResourceExhausted: // once it was decompressed
		return c.x.call.TooLong()
	case known != nil:
		broken := c.x.call.Broken()
		if broken == nil && errors.Is(known, io.ErrUnexpectedEOF) { // it ends within a message
			broken = errors.New(strings.TrimPrefix(known.Message(), "protocol error: "))
		}
		if broken != nil && (known.Code() == connect.CodeInternal || known.Code() == connect.CodeUnknown) {
			known = connect.Errorf(connect.CodeInvalidArgument, "the body of the request can't be read: %s", broken)
		}
		c.unreceived(known.Code())
		return status.Error(grpcCode(known.Code()), known.Message())
	}
	return err
}

// unreceived notes that a request could not be received, if that is what a code says.
func (c *connected) unreceived(code connect.Code) {
	switch {
	case !slices.Contains([]connect.Code{connect.CodeInvalidArgument, connect.CodeUnimplemented, connect.CodeInternal}, code):
	case c.x.request.Method == http.MethodGet:
		c.x.server.Unhandled(server.Undecodable, c.x.rpc.Method, c.x.from)
	default:
		c.x.call.Unreceived()
	}
}

func (c *connected) send(reply proto.Message) error {
	if !c.x.rpc.ServerStreams && proto.Size(reply) > mayBlock {
		c.x.call.Answers()
	}
	return c.of.Send(reply)
}

func (c *connected) sendHeaders() error { return c.of.SendHeaders() }

// answer writes the answer of a call.
type answer struct {
	http.ResponseWriter
	call    *server.PortCall
	request *http.Request
	writing atomic.Bool
}

const (
	// mayBlock is how much net/http takes without waiting for the client.
	mayBlock = 2 << 10
	// By pieces of writePiece it is seen whether the client takes a long answer.
	writePiece = 16 << 10
)

func (a *answer) Write(bytes []byte) (n int, err error) {
	a.writing.Store(true)
	defer a.writing.Store(false)
	for n < len(bytes) && err == nil {
		var wrote int
		wrote, err = a.ResponseWriter.Write(bytes[n:min(len(bytes), n+writePiece)])
		n += wrote
		a.call.Wrote()
	}
	return n, err
}

func (a *answer) Flush() {
	a.writing.Store(true)
	defer a.writing.Store(false)
	_ = http.NewResponseController(a.ResponseWriter).Flush()
	a.call.Wrote()
}

// WriteHeader explains statuses of which connect leaves the body empty.
func (a *answer) WriteHeader(code int) {
	header, path := a.Header(), a.request.URL.Path
	explanation := ""
	switch code {
	case http.StatusMethodNotAllowed:
		explanation = fmt.Sprintf("%s takes %s, not %s: by GET there are only RPCs that have idempotency_level NO_SIDE_EFFECTS", path, header.Get("Allow"), a.request.Method)
	case http.StatusUnsupportedMediaType:
		sent := a.request.Header.Get("Content-Type")
		takes := contentTypes(header.Get("Accept-Post"))
		explanation = fmt.Sprintf("%s takes no content type %q: set Content-Type to one of %s", path, shorten(sent), strings.Join(takes, ", "))
		switch {
		case a.request.Method == http.MethodGet:
			explanation = path + " takes its request by GET in the query, as encoding=json&message={} encoded for URLs, and no body"
		case strings.HasPrefix(sent, "application/json") && slices.Contains(takes, "application/connect+json"):
			explanation = fmt.Sprintf("%s streams: a stream takes application/connect+json, in which five bytes come before each message (see the documents on HTTP), not %s", path, shorten(sent))
		}
	case http.StatusHTTPVersionNotSupported:
		explanation = path + " streams both ways, which HTTP/1.1 can't: call it by HTTP/2"
	}
	if explanation == "" {
		a.ResponseWriter.WriteHeader(code)
		return
	}
	// Not in JSON, which clients of Connect would take for the answer of the RPC.
	http.Error(a.ResponseWriter, explanation, code)
}

// contentTypes returns those of a header Accept-Post without parameters, that of plain JSON
// first.
func contentTypes(header string) (all []string) {
	for kind := range strings.SplitSeq(header, ",") {
		kind = strings.TrimSpace(kind)
		switch {
		case strings.Contains(kind, ";"):
		case kind == "application/json":
			all = slices.Insert(all, 0, kind)
		default:
			all = append(all, kind)
		}
	}
	return all
}

// Unwrap is for [http.ResponseController].
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

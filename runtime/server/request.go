package server

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// requestIDKey is the metadata that has the id of a call: of a caller that sends one, and
// in the trailer of a call that failed by the server's fault.
const requestIDKey = "x-request-id"

// maxRequestID is the most bytes that the id of a call has.
const maxRequestID = 128

// requestID is the id of a call. It is made when it is first asked for.
type requestID struct {
	once sync.Once
	id   string
}

type requestKey struct{}

// RequestID returns the id of the call whose context ctx is, or comes from: the one that
// the caller sent as x-request-id, if that is 1 to 128 printable characters of ASCII
// without spaces, or else one of its own. It returns "" if ctx is not that of a call.
//
// What the server logs about a call has it as request_id, and so has what is logged with
// ctx by the logger of [Config].Logger. A call that fails by the server's fault returns it
// to the caller, in the trailer x-request-id.
func RequestID(ctx context.Context) string {
	of, _ := ctx.Value(requestKey{}).(*requestID)
	if of == nil {
		return ""
	}
	of.once.Do(func() {
		if sent := metadata.ValueFromIncomingContext(ctx, requestIDKey); len(sent) == 1 && isRequestID(sent[0]) {
			of.id = sent[0]
		} else {
			of.id = rand.Text()
		}
	})
	return of.id
}

func isRequestID(text string) bool {
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return text != "" && len(text) <= maxRequestID
}

// returnRequestID returns the id of a call to its caller, with how the call ended. It is
// not a header: a client does not try a call again of which it has got headers.
func returnRequestID(ctx context.Context) {
	if id := RequestID(ctx); id != "" {
		_ = grpc.SetTrailer(ctx, metadata.Pairs(requestIDKey, id))
	}
}

type logAttrsKey struct{}

// callHandler adds to lines of which call they are.
type callHandler struct{ slog.Handler }

// withCall returns a logger whose lines say of which call they are.
func withCall(log *slog.Logger) *slog.Logger {
	if _, ok := log.Handler().(callHandler); ok {
		return log
	}
	return slog.New(callHandler{log.Handler()})
}

func (h callHandler) Handle(ctx context.Context, line slog.Record) error {
	id := RequestID(ctx)
	attrs, _ := ctx.Value(logAttrsKey{}).([]slog.Attr)
	if id != "" || len(attrs) > 0 {
		line = line.Clone()
		if id != "" {
			line.AddAttrs(slog.String("request_id", id))
		}
		line.AddAttrs(attrs...)
	}
	return h.Handler.Handle(ctx, line)
}

func (h callHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return callHandler{h.Handler.WithAttrs(attrs)}
}

func (h callHandler) WithGroup(name string) slog.Handler {
	return callHandler{h.Handler.WithGroup(name)}
}

package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/status"
)

// Why calls end before a handler has their requests, as the log and observers have it.
const (
	TooLarge           = "too large"           // the request is, or has too many elements
	HeadersTooLarge    = "headers too large"   // more than --max-metadata-bytes
	Undecodable        = "undecodable"         // the request is not a message of its type, not what it was compressed to, or has no prefix
	NoRequest          = "no request"          // the client has sent none
	UnknownCompression = "unknown compression" // the server has no decompressor of that name
	UnknownRPC         = "unknown RPC"         // or unknown service
	NotGRPC            = "not gRPC"            // another content type, HTTP method or version, or malformed headers
	OtherOrigin        = "other origin"        // a page in a browser, of an origin that may not call
	TooLate            = "deadline had passed" // when the call came
)

// observer is called for what happens in a server (see [Observers]).
type observer interface {
	listening(*Server)
	limit(limit string)
	refused(why string)
	rpc(Call) callObserver
}

// callObserver is called when a call begins, and when it has ended.
type callObserver interface {
	begin(context.Context) context.Context // the call goes on with what it returns
	ended(ctx context.Context, begin time.Time, err error)
}

// unobserved is the observer of a server without.
type unobserved struct{}

func (unobserved) listening(*Server)                         {}
func (unobserved) limit(string)                              {}
func (unobserved) refused(string)                            {}
func (unobserved) rpc(Call) callObserver                     { return unobserved{} }
func (unobserved) begin(ctx context.Context) context.Context { return ctx }
func (unobserved) ended(context.Context, time.Time, error)   {}

// noticeInterval is how often a limit that is reached again and again is logged.
const noticeInterval = 10 * time.Second

// notices logs which limits are reached, for what guards refuse calls, and why calls end
// before a handler: each at once, and then at most every noticeInterval, with how often it
// was so since the last line.
type notices struct {
	log      *slog.Logger
	observer observer

	mu   sync.Mutex
	seen map[string]*notice // by limit, code or reason
}

type notice struct {
	logged time.Time
	times  int // since it was logged
}

func newNotices(log *slog.Logger, observer observer) *notices {
	return &notices{log: log, observer: observer, seen: map[string]*notice{}}
}

// reached notes that a client at an address reached a limit, which is named as
// its flag.
func (n *notices) reached(limit, address string) {
	n.observer.limit(limit)
	n.note(limit, address, "a limit was reached", "limit", limit)
}

// unhandled notes that a call of a client at an address ended before a handler, and why.
func (n *notices) unhandled(why, method, address string) {
	n.observer.refused(why)
	const most = 100
	if len(method) > most { // it may be any text
		method = method[:most] + "…"
	}
	n.note("unhandled: "+why, address, "calls ended before a handler", "reason", why, "last_method", method)
}

// tooLarge notes that a call ended because its request is too large, which reached a limit.
func (n *notices) tooLarge(limit, address string) {
	n.observer.refused(TooLarge)
	n.reached(limit, address)
}

// refused notes that guards refused a call of a client at an address.
func (n *notices) refused(answer error, method, address string) {
	answered := status.Convert(answer)
	code := answered.Code().String()
	n.note(code, address, "calls were refused", "code", code, "last_method", method, "last_error", answered.Message())
}

func (n *notices) note(what, address, text string, attrs ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	last, ok := n.seen[what]
	if !ok {
		last = &notice{}
		n.seen[what] = last
	}
	last.times++
	if time.Since(last.logged) < noticeInterval {
		return
	}
	n.log.Warn(text, append(attrs, "times", last.times, "last_address", address)...)
	last.logged, last.times = time.Now(), 0
}

package server

import (
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/status"
)

// noticeInterval is how often a limit that is reached again and again is logged.
const noticeInterval = 10 * time.Second

// notices logs which limits are reached, for what guards refuse calls, and why calls end
// before a handler: each at once, and then at most every noticeInterval, with how often it
// was so since the last line.
type notices struct {
	log       *slog.Logger
	observers []Observer

	mu   sync.Mutex
	seen map[string]*notice // by limit, code or reason
}

type notice struct {
	logged time.Time
	times  int // since it was logged
}

func newNotices(log *slog.Logger, observers []Observer) *notices {
	return &notices{log: log, observers: observers, seen: map[string]*notice{}}
}

// reached notes that a client at an address reached a limit, which is named as
// its flag.
func (n *notices) reached(limit, address string) {
	for _, observer := range n.observers {
		if observer.Limit != nil {
			observer.Limit(limit)
		}
	}
	n.note(limit, address, "a limit was reached", "limit", limit)
}

// unhandled notes that a call of a client at an address ended before a handler, and why.
func (n *notices) unhandled(why, method, address string) {
	n.count(why)
	const most = 100
	if len(method) > most { // it may be any text
		method = method[:most] + "…"
	}
	n.note("unhandled: "+why, address, "calls ended before a handler", "reason", why, "last_method", method)
}

// tooLarge notes that a call ended because its request is too large, which reached a limit.
func (n *notices) tooLarge(limit, address string) {
	n.count(TooLarge)
	n.reached(limit, address)
}

func (n *notices) count(why string) {
	for _, observer := range n.observers {
		if observer.Refused != nil {
			observer.Refused(why)
		}
	}
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

package server

import (
	"log/slog"
	"sync"
	"time"
)

// noticeInterval is how often a limit that is reached again and again is logged.
const noticeInterval = 10 * time.Second

// notices logs which limits are reached: each at once, and then at most every
// noticeInterval, with how often it was reached since the last line.
type notices struct {
	log *slog.Logger

	mu   sync.Mutex
	seen map[string]*notice // by limit
}

type notice struct {
	logged  time.Time
	reached int // since it was logged
}

func newNotices(log *slog.Logger) *notices { return &notices{log: log, seen: map[string]*notice{}} }

// reached notes that a client at an address reached a limit, which is named as
// its flag.
func (n *notices) reached(limit, address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	last, ok := n.seen[limit]
	if !ok {
		last = &notice{}
		n.seen[limit] = last
	}
	last.reached++
	if time.Since(last.logged) < noticeInterval {
		return
	}
	n.log.Warn("a limit was reached", "limit", limit, "times", last.reached, "last_address", address)
	last.logged, last.reached = time.Now(), 0
}

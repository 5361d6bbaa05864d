package nats

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Appends of one event that come while others are on their way share a batch, as they share
// the transactions of a file: the servers then agree on many events at a time, and
// acknowledge them together. An append does not wait for others to come.
const (
	maxGroups     = 4       // on their way at once
	maxGroup      = 256     // events; a server takes up to 1000 in a batch
	maxGroupBytes = 1 << 20 // of their messages
	maxGrouped    = 64 << 10
)

// groups are the events that wait to be sent.
type groups struct {
	mu      sync.Mutex
	waiting []*grouped
	left    int // callers that have left since theirs were removed
	sending int // groups
}

// grouped is an event that waits for the acknowledgement of its group.
type grouped struct {
	entry
	err  error
	left bool // its caller, before it was sent
	done chan struct{}
}

// storeGrouped stores an event together with those of other appends, and reports whether
// it is stored. If not, and there is no error, it must be tried alone: the servers refuse
// a group for one event, such as a duplicate, or they did not answer.
func (l *streamLog) storeGrouped(ctx context.Context, own *entry) (stored bool, err error) {
	deadline, ok := ctx.Deadline()
	if own.size > maxGrouped || ok && time.Until(deadline) < l.timeout/2 {
		return false, nil
	}
	// What the group sends must not be the caller's, who may leave.
	event := *own.event
	event.Data = bytes.Clone(event.Data)
	own.message.Data = event.Data
	member := &grouped{entry: entry{event: &event, message: own.message, size: own.size}, done: make(chan struct{})}
	l.groups.add(member, l.storeGroups)
	select {
	case <-member.done:
		own.position, own.isDuplicate = member.position, member.isDuplicate
		return member.err == nil, nil
	case <-ctx.Done():
		l.groups.leave(member)
		return false, eventlog.Ended(ctx)
	}
}

func (g *groups) add(member *grouped, send func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, member)
	if g.sending < maxGroups {
		g.sending++
		go send()
	}
}

// leave has an event not sent, unless it is being sent already.
func (g *groups) leave(member *grouped) {
	g.mu.Lock()
	defer g.mu.Unlock()
	member.left = true
	if g.left++; g.left > len(g.waiting)/2 {
		g.waiting = slices.DeleteFunc(g.waiting, func(one *grouped) bool { return one.left })
		g.left = 0
	}
}

// next returns the next group. If nothing waits, it is empty, and its sender is done.
func (g *groups) next() (members []*grouped) {
	g.mu.Lock()
	defer g.mu.Unlock()
	size, taken := 0, 0
	for _, member := range g.waiting {
		if size += member.size; len(members) == maxGroup || len(members) > 0 && size > maxGroupBytes {
			break
		}
		if taken++; !member.left {
			members = append(members, member)
		}
	}
	g.waiting = slices.Delete(g.waiting, 0, taken)
	if len(members) == 0 {
		g.sending--
	}
	return members
}

// storeGroups stores what waits, until nothing does.
func (l *streamLog) storeGroups() {
	for members := l.groups.next(); len(members) > 0; members = l.groups.next() {
		err := l.storeGroup(members)
		if err == nil {
			l.failing.Store(nil)
		}
		for _, member := range members {
			member.err = err
			close(member.done)
		}
	}
}

func (l *streamLog) storeGroup(members []*grouped) error {
	if !l.conn.IsConnected() {
		return nats.ErrDisconnected
	}
	ctx, cancel := context.WithTimeout(l.open, l.timeout/4)
	defer cancel()
	if len(members) == 1 {
		return l.storeOne(ctx, &members[0].entry)
	}
	entries := make([]*entry, len(members))
	for i, member := range members {
		entries[i] = &member.entry
	}
	return l.storeBatch(ctx, entries)
}

// Package publisher sends events that are first stored on this machine.
//
// [Publisher.Publish] returns once an event is on the disk here, and does not wait for
// the network. The publisher then sends it under an id that was fixed before, until the
// service has acknowledged it, however often this process, the service or the network
// fails in between. The service's log stores an id once, so an event takes effect once.
//
// An event is decided once the service has acknowledged it or refused it for good.
//
// The spool is an event log in a SQLite file. Each record of it has the events that
// callers published while the record before it was being synced.
package publisher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Errors of a publisher, for [errors.Is].
var (
	// ErrFull is the error of an event for which the spool has no room, by [MaxBytes] or
	// [MaxAge], of a publisher that has [Refuse].
	ErrFull = errors.New("the spool is full")
	// ErrClosed is the error of every call of a closed publisher.
	ErrClosed = errors.New("the publisher is closed")
)

// Publisher takes events and sends them. It may be used from many goroutines at once.
type Publisher struct {
	settings settings
	routes   map[string]*Route // by the full names of messages
	all      []Route
	senders  map[string]*sender // by the names of RPCs
	conn     *grpc.ClientConn
	spool    *spool
	refused  *refusedFile
	report   report

	ctx    context.Context // ends when the publisher stops to send
	cancel context.CancelFunc
	done   sync.WaitGroup // its goroutines
	wake   chan struct{}  // has an element if the scheduler has something to do
	*schedule

	mu      sync.Mutex
	closed  bool
	next    *commit // what is published next
	work    chan struct{}
	bytes   int64 // of events that are not decided
	pending int64 // how many these are
	room    chan struct{}
	inbox   inbox
	stats   Stats
	changed chan struct{} // closed when more is decided; nil if nobody waits

	closing    sync.Once
	closingErr error
}

// commit is what the next transaction of the spool stores.
type commit struct {
	events []*event
	bytes  int64
	done   chan struct{} // closed when it is stored, or not
	err    error
}

// inbox is what the scheduler has not seen yet.
type inbox struct {
	arrived []*event
	answers []answer
	back    bool // whether there is a connection again
}

// event is an event on its way.
type event struct {
	id, source, kind, subject string
	message                   string // full name of the type of data
	data                      []byte
	parent                    string // its trace parent; "" if there is none
	outside                   bool   // its id is not in data, and goes with the call
	rpc                       string // by which, if it was loaded

	route     *sender
	record    *record // in which the spool has it
	index     int     // of it in the record
	tries     int
	stuck     bool     // it failed; its subject counts as stuck until it is decided
	most      int      // how many events a call with it has; 0: any number
	split     *split   // those with which it was refused; nil if there were none
	followers []*event // those of its subject that are sent with it
}

// size is what an event counts for.
func (e *event) size() int64 {
	return int64(len(e.data) + len(e.id) + len(e.source) + len(e.kind) + len(e.subject) + len(e.parent) + 64)
}

// subjectKey identifies what events are about that are sent one after the other.
type subjectKey struct{ source, subject string }

func (e *event) key() subjectKey { return subjectKey{e.source, e.subject} }

// Open opens a publisher with a spool in a folder, which it makes if there is none. What
// is in the spool already is sent now. The server need not be there.
//
// One publisher at a time has a folder: for a second one the error is
// [eventlog.ErrHeld], and names the process that has it.
func Open(ctx context.Context, dir, target string, routes []Route, options ...Option) (*Publisher, error) {
	p, err := newPublisher(target, routes, options)
	if err != nil {
		return nil, err
	}
	if p.spool, p.refused, err = openSpool(ctx, dir); err != nil {
		return nil, errors.Join(err, p.conn.Close())
	}
	if n := p.refused.unreadable; n > 0 {
		p.report.logger.Error("lines of "+refusedName+" can't be read; "+unreadableName+" has them", "lines", n)
	}
	p.bytes, p.pending = p.spool.found.bytes, p.spool.found.events
	p.stats.Oldest = p.spool.found.oldest
	p.start()
	return p, nil
}

// OpenInMemory opens a publisher without a folder. Its events are lost if this process
// ends before they are sent.
func OpenInMemory(target string, routes []Route, options ...Option) (*Publisher, error) {
	p, err := newPublisher(target, routes, options)
	if err != nil {
		return nil, err
	}
	p.spool, p.refused = newMemorySpool(), &refusedFile{}
	p.start()
	return p, nil
}

func newPublisher(target string, routes []Route, options []Option) (*Publisher, error) {
	if len(routes) == 0 {
		return nil, errors.New("no RPC takes events, so a publisher can't send any")
	}
	p := &Publisher{settings: defaults(), wake: make(chan struct{}, 1), work: make(chan struct{}, 1), next: newCommit()}
	for _, option := range options {
		option(&p.settings)
	}
	var err error
	if p.routes, err = choose(routes, p.settings.by); err != nil {
		return nil, err
	}
	conn, err := client.New(target, p.settings.client...)
	if err != nil {
		return nil, err
	}
	p.conn, p.report.logger = conn, p.settings.logger
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.senders = map[string]*sender{}
	p.all = routes
	for i := range routes {
		// Events without ids may be in the spool that were published for another RPC.
		if route := &routes[i]; p.senders[route.Name] == nil && (route.ID == 0 || p.routes[route.message] == route) {
			p.senders[route.Name] = newSender(p, route.RPC)
		}
	}
	p.schedule = newSchedule()
	return p, nil
}

func newCommit() *commit { return &commit{done: make(chan struct{})} }

func (p *Publisher) start() {
	p.done.Go(p.write)
	p.done.Go(p.load)
	p.done.Go(p.send)
	p.done.Go(p.watch)
}

// Publish stores an event on this machine, and returns its id once it is on the disk. The
// event is a message that an RPC of the service takes as one. If it has no id, it gets the
// one of ctx (see [client.WithEventID]), or a new one.
//
// Events of one subject are sent in the order in which Publish was called for them. With
// an error the event is not published, and can be published again. If ctx ended, or the disk
// failed during the commit, that is not known: then publish it again under the same id.
func (p *Publisher) Publish(ctx context.Context, message proto.Message) (id string, err error) {
	e, err := p.newEvent(ctx, message, 0)
	if err != nil {
		return "", err
	}
	id = e.id
	if e.outside && e.route.numbered() {
		id += "/1"
	}
	return id, p.enqueue(ctx, e)
}

// maxTogether is the most bytes that events of one commit have.
const maxTogether = 32 << 20

// PublishAll stores events as [Publisher.Publish] does, all of them or none. If ctx has an
// id, the nth of them that has none of its own gets that id and "/n".
func (p *Publisher) PublishAll(ctx context.Context, messages ...proto.Message) error {
	events := make([]*event, len(messages))
	for i, message := range messages {
		var err error
		if events[i], err = p.newEvent(ctx, message, i+1); err != nil {
			return fmt.Errorf("event %d of %d: %w", i+1, len(messages), err)
		}
	}
	if len(events) == 0 {
		return nil
	}
	return p.enqueue(ctx, events...)
}

// enqueue has events stored.
func (p *Publisher) enqueue(ctx context.Context, events ...*event) error {
	size := int64(0)
	for _, e := range events {
		size += e.size()
	}
	if size > maxTogether || size > p.settings.maxBytes {
		return fmt.Errorf("%d events have %d bytes together, and a publisher takes at most %d at a time", len(events), size, min(maxTogether, p.settings.maxBytes))
	}
	p.mu.Lock()
	for {
		if ctx.Err() != nil {
			p.mu.Unlock()
			return ctx.Err()
		}
		if p.closed {
			p.mu.Unlock()
			return ErrClosed
		}
		full := p.full(size)
		if full == nil && p.next.bytes+size <= maxTogether {
			break
		}
		if full != nil && p.settings.whenFull == Refuse {
			p.mu.Unlock()
			return full
		}
		room := p.room
		if room == nil {
			room = make(chan struct{})
			p.room = room
		}
		p.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), full)
		}
		p.mu.Lock()
	}
	commit := p.next
	commit.events = append(commit.events, events...)
	commit.bytes += size
	p.bytes += size
	p.pending += int64(len(events))
	p.mu.Unlock()
	signal(p.work)
	select {
	case <-commit.done:
		return commit.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// full returns the error for which there is no room for events of a size, or nil.
func (p *Publisher) full(size int64) error {
	if p.bytes+size > p.settings.maxBytes {
		return fmt.Errorf("%w: %d bytes of events wait to be sent, and the limit is %d (MaxBytes)", ErrFull, p.bytes, p.settings.maxBytes)
	}
	if oldest := p.stats.Oldest; p.settings.maxAge > 0 && p.pending > 0 && !oldest.IsZero() && time.Since(oldest) > p.settings.maxAge {
		return fmt.Errorf("%w: an event has been waiting since %s, longer than %s (MaxAge)", ErrFull, oldest.UTC().Format(time.RFC3339), p.settings.maxAge)
	}
	return nil
}

// makeRoom wakes those who wait for room. The mutex is locked.
func (p *Publisher) makeRoom() {
	if p.room != nil {
		close(p.room)
		p.room = nil
	}
}

// signal wakes the goroutine that reads the channel, which has room for one element.
func signal(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// Flush waits until all events that were published before are decided: the service has
// acknowledged them, or has refused them for good (see [Stats]).
func (p *Publisher) Flush(ctx context.Context) error {
	p.mu.Lock()
	last := p.next
	for waiting := len(last.events) > 0 || p.spool.committing != nil; waiting; waiting = false {
		if len(last.events) == 0 {
			last = p.spool.committing
		}
		p.mu.Unlock()
		select {
		case <-last.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		p.mu.Lock()
	}
	target := p.spool.last
	for p.spool.progress() < target {
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ctx.Done():
			return ErrClosed
		}
		p.mu.Lock()
	}
	p.mu.Unlock()
	return nil
}

// Left is the error of [Publisher.Close] if events are left that were not sent. Those of a
// spool in a folder are sent after the next Open of it.
type Left struct {
	Events int64
	Bytes  int64
	Oldest time.Time // when the first of them was published
	InDir  bool      // whether a folder has them; otherwise they are lost
}

func (l *Left) Error() string {
	kept := "they are lost"
	if l.InDir {
		kept = "the spool keeps them for the next Open"
	}
	return fmt.Sprintf("%d events with %d bytes were not sent, the first of them published at %s: %s", l.Events, l.Bytes, l.Oldest.UTC().Format(time.RFC3339), kept)
}

// Close takes no further events, sends those that there are until ctx ends, and then stops.
// If some are left, the error is a [*Left].
func (p *Publisher) Close(ctx context.Context) error {
	p.closing.Do(func() { p.closingErr = p.close(ctx) })
	return p.closingErr
}

func (p *Publisher) close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.makeRoom()
	p.mu.Unlock()
	_ = p.Flush(ctx) // what is left says why
	p.cancel()
	signal(p.work)
	signal(p.wake)
	p.done.Wait()
	p.closeSenders()
	p.settle()
	p.spool.remove()
	stats := p.Stats()
	p.refused.redriving.Lock() // one that is under way has ended
	err := errors.Join(p.conn.Close(), p.refused.close(), p.spool.close())
	p.refused.redriving.Unlock()
	if stats.Pending > 0 {
		left := &Left{Events: stats.Pending, Bytes: stats.Bytes, Oldest: stats.Oldest, InDir: p.spool.log != nil}
		if err == nil {
			return left
		}
		err = errors.Join(left, err)
	}
	return err
}

// Stats are figures about a publisher, since it was opened.
type Stats struct {
	Pending    int64         // events that are not sent yet
	Bytes      int64         // of these
	Oldest     time.Time     // when the first of them was published; zero if there is none
	Published  int64         // events that were stored here
	Sent       int64         // events that the service has acknowledged
	Duplicates int64         // how many of them it had already, if its answers say that
	Retries    int64         // how often one was sent again
	Refused    int64         // events that the service refused for good
	LastError  error         // why an event was not sent; nil if one was sent since
	Away       time.Duration // for how long no event could be sent; 0: the service answers
}

// Stats returns figures about the publisher.
func (p *Publisher) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	stats := p.stats
	stats.Pending, stats.Bytes = p.pending, p.bytes
	if stats.Pending == 0 {
		stats.Oldest = time.Time{}
	}
	if !p.awaySince.IsZero() {
		stats.Away = time.Since(p.awaySince)
	}
	return stats
}

// isHeld reports whether an error says that another publisher has the folder.
func isHeld(err error) bool { return errors.Is(err, eventlog.ErrHeld) }

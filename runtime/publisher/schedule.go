package publisher

import (
	"container/heap"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
)

// How long an event that could not be sent waits: at first and at most. Each wait is twice
// as long as the one before, and up to a fifth longer or shorter. While the server does not
// answer at all, nobody waits longer than mostAway.
const (
	firstWait = 100 * time.Millisecond
	mostWait  = 30 * time.Second
	mostAway  = 2 * time.Second
)

// A server that fails so many calls one after the other, and answers none, is away. Then a
// few events at a time find out whether it is back.
const (
	maxFailures = 8
	maxProbes   = 16
)

// schedule decides which event is sent when. Only its goroutine, send, uses it.
type schedule struct {
	subjects map[subjectKey][]*event // of which an event is on its way, and those that wait for it
	delayed  delays
	held     map[string]time.Time // sources that the server wants no event of before that

	failing  bool      // a call failed, and none has succeeded since
	failures int       // calls that failed one after the other
	pausedAt time.Time // when the pause began: a call that was made before does not make it longer
	paused   time.Time // nothing is sent before that; zero: it is not paused
	pauses   int       // one after the other
	slowly   bool      // it is paused until somebody fixes something
	probing  bool      // the pause is over, and no event was sent since
	underWay int       // events

	loadMore    chan struct{} // has an element if there may be room in memory
	refusing    []refusal     // to be written, before they are decided
	refuseAfter time.Time     // when that is tried again
	decided     []*event      // in this round

	// These are of the publisher's mutex.
	awaySince  time.Time
	stuck      map[subjectKey]bool  // of which an event failed, and is not decided
	pushedBack map[string]time.Time // sources: when the server last asked to wait
}

func newSchedule() *schedule {
	return &schedule{subjects: map[subjectKey][]*event{}, held: map[string]time.Time{}, loadMore: make(chan struct{}, 1),
		stuck: map[subjectKey]bool{}, pushedBack: map[string]time.Time{}}
}

// split is a group of events that were refused together. An event that joins a smaller split
// leaves this one.
type split struct {
	route      *sender
	size, left int
	atFault    bool // whether one of them was refused
}

// answer is what came of a call.
type answer struct {
	events     []*event // with followers
	began      time.Time
	err        error
	retryAfter time.Duration // 0: the server names none
	duplicates int64
}

// delay is an event that waits.
type delay struct {
	event *event
	until time.Time
	away  bool // because the server is away
}

// delays is a heap, the first event to send at its top.
type delays []delay

func (d delays) Len() int           { return len(d) }
func (d delays) Less(i, j int) bool { return d[i].until.Before(d[j].until) }
func (d delays) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *delays) Push(x any)        { *d = append(*d, x.(delay)) }
func (d *delays) Pop() any {
	last := (*d)[len(*d)-1]
	(*d)[len(*d)-1] = delay{}
	*d = (*d)[:len(*d)-1]
	return last
}

// send sends what arrives, until the publisher stops.
func (p *Publisher) send() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var spare inbox
	for p.ctx.Err() == nil {
		p.mu.Lock()
		now, box := time.Now(), p.inbox
		p.inbox = inbox{spare.arrived[:0], spare.answers[:0], false}
		p.mu.Unlock()
		if box.back && !p.slowly {
			p.paused = now
			p.hurry(now)
		}
		for i := range box.answers {
			p.take(now, &box.answers[i])
		}
		for _, e := range box.arrived {
			p.add(e)
		}
		p.refuseAll(now)
		p.decide()
		p.release(now)
		p.fill(now)
		p.report.progress(now, p)
		clear(box.arrived)
		clear(box.answers)
		spare = box
		timer.Reset(p.nextLook(now))
		select {
		case <-p.wake:
		case <-timer.C:
		case <-p.ctx.Done():
		}
	}
}

// add queues an event, unless another of its subject is under way: then it waits.
func (p *Publisher) add(e *event) {
	if p.refused.has(e) { // before this process began
		p.decided = append(p.decided, e)
		return
	}
	if e.route == nil {
		p.refusing = append(p.refusing, refusal{e, status.Newf(codes.Unimplemented, "this program sends no events of the type %s", e.message)})
		return
	}
	if e.subject == "" {
		e.route.ready.push(e)
		return
	}
	key := e.key()
	waiting, busy := p.subjects[key]
	if busy {
		p.subjects[key] = append(waiting, e)
		return
	}
	p.subjects[key] = nil
	e.route.ready.push(e)
}

// follow queues the next event of a subject, because the one before is decided.
func (p *Publisher) follow(e *event) {
	if e.subject == "" {
		return
	}
	key := e.key()
	waiting := p.subjects[key]
	if len(waiting) == 0 {
		delete(p.subjects, key)
		return
	}
	next := waiting[0]
	waiting[0] = nil
	p.subjects[key] = waiting[1:]
	next.route.ready.push(next)
}

// take takes the answer of a call.
func (p *Publisher) take(now time.Time, a *answer) {
	count, size := 0, int64(0)
	for _, e := range a.events {
		count += 1 + len(e.followers)
		size += e.size()
		for _, follower := range e.followers {
			size += follower.size()
		}
	}
	route := a.events[0].route
	final := a.err != nil && isFinal(a.err, a.retryAfter > 0, count, size)
	p.underWay -= count
	route.done(a.events)
	switch {
	case a.err == nil:
		p.succeeded(now)
		route.took(count)
		for _, e := range a.events {
			p.sent(e)
		}
		p.mu.Lock()
		p.stats.Sent += int64(count)
		p.stats.Duplicates += a.duplicates
		p.stats.LastError = nil
		p.mu.Unlock()
	case final && count > 1:
		p.succeeded(now)
		p.splitUp(a.events, count)
	case final:
		p.succeeded(now)
		p.refusing = append(p.refusing, refusal{a.events[0], status.Convert(a.err)})
	default:
		p.failed(now, a, count)
	}
}

// sent has the next event of a subject sent after one, and those that were sent with it,
// which the service has acknowledged.
func (p *Publisher) sent(e *event) {
	p.decided = append(p.decided, e)
	p.decided = append(p.decided, e.followers...)
	e.followers = nil
	p.follow(e)
}

// splitUp has events that were refused together sent in parts of half the size, and these
// again, so that in the end only the event at fault is refused.
func (p *Publisher) splitUp(events []*event, count int) {
	together := &split{route: events[0].route, size: count, left: count}
	for _, e := range events {
		for _, follower := range e.followers {
			follower.most, follower.split = count/2, together
		}
		e.most, e.split = count/2, together
		p.unfollow(e)
		e.route.ready.push(e)
	}
}

// unfollow puts those that were sent with an event back to those that wait for it.
func (p *Publisher) unfollow(e *event) {
	if len(e.followers) > 0 {
		p.subjects[e.key()] = append(e.followers, p.subjects[e.key()]...)
		e.followers = nil
	}
}

// The largest event that is not refused as too large. No server takes less, so one that has
// no room for such an event is overloaded.
const smallEvent = 16 << 10

// isFinal reports whether a service would answer the same again to a call with a number of
// events, because it is the events that it refuses. ResourceExhausted without a time to try
// again at may mean that a request is too large, or that the server is overloaded: it is
// final where a smaller request can be sent, or the only event is large.
func isFinal(err error, saysWhen bool, count int, size int64) bool {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.AlreadyExists, codes.OutOfRange:
		return true
	case codes.ResourceExhausted:
		return !saysWhen && (count > 1 || size > smallEvent)
	}
	return false
}

// isSlow reports whether somebody has to fix something before a call can succeed: a key, a
// permission, a server that does not have the RPC.
func isSlow(err error) bool {
	switch status.Code(err) {
	case codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented, codes.FailedPrecondition, codes.NotFound:
		return true
	}
	return false
}

// succeeded notes that the server has answered.
func (p *Publisher) succeeded(now time.Time) {
	p.failures = 0
	if p.pauses > 0 {
		// What waits for it need not wait for as long as it was away. Without a pause only some
		// events fail, such as one that the service can't store: these wait for longer each time.
		p.pauses, p.probing, p.paused = 0, false, time.Time{}
		p.hurry(now)
		for i := range p.delayed {
			if p.delayed[i].away {
				p.delayed[i].away = false
				p.delayed[i].event.tries = 0
			}
		}
	}
	if !p.failing {
		return
	}
	p.failing = false
	p.mu.Lock()
	p.awaySince = time.Time{}
	p.mu.Unlock()
	p.report.back(now)
}

// hurry ends the wait of events that wait because the server was away.
func (p *Publisher) hurry(now time.Time) {
	for i := range p.delayed {
		if p.delayed[i].away {
			p.delayed[i].until = now
		}
	}
	heap.Init(&p.delayed)
}

// failed has events sent again later.
func (p *Publisher) failed(now time.Time, a *answer, count int) {
	slow := isSlow(a.err)
	p.failing = true
	p.mu.Lock()
	p.stats.Retries += int64(count)
	p.stats.LastError = a.err
	if p.awaySince.IsZero() {
		p.awaySince = now
	}
	p.noteLate(now, a)
	p.mu.Unlock()
	p.report.failing(now, a.events[0], a.err)
	away := a.retryAfter == 0
	if away || status.Code(a.err) == codes.Unavailable {
		p.failures++
	}
	if p.failures >= maxFailures || p.failures > 0 && p.conn.GetState() != connectivity.Ready {
		if !a.began.Before(p.pausedAt) {
			most := mostAway
			if slow {
				most = p.settings.slow
			}
			p.pausedAt, p.slowly = now, slow
			p.paused = now.Add(max(a.retryAfter, jitter(min(most, firstWait<<min(p.pauses, 20)))))
			p.pauses++
			p.probing = true
		}
	}
	longest := mostWait
	if p.conn.GetState() != connectivity.Ready && !slow {
		longest = mostAway
	}
	// One of them may be why they fail. While the server does not answer at all, none is.
	apart := count > 1 && a.retryAfter == 0 && (p.pauses == 0 || status.Code(a.err) != codes.Unavailable)
	for _, e := range a.events {
		if e.tries++; apart && e.tries >= 3 {
			e.most = max(1, count/2)
			for _, follower := range e.followers {
				follower.most = e.most
			}
		}
		p.unfollow(e)
		wait := jitter(min(longest, firstWait<<min(e.tries-1, 20)))
		if a.retryAfter > 0 {
			wait = a.retryAfter + jitter(a.retryAfter/8+firstWait/10)
			if until := now.Add(a.retryAfter); until.After(p.held[e.source]) {
				p.held[e.source] = until
			}
		}
		heap.Push(&p.delayed, delay{e, now.Add(wait), away})
	}
}

// noteLate notes whose events wait for longer than others. The mutex is locked.
func (p *Publisher) noteLate(now time.Time, a *answer) {
	for _, e := range a.events {
		if e.subject != "" {
			e.stuck = true
			p.stuck[e.key()] = true
		}
		if a.retryAfter > 0 {
			p.pushedBack[e.source] = now
		}
	}
	if len(p.pushedBack) > 2*len(p.held)+len(a.events)+64 {
		maps.DeleteFunc(p.pushedBack, func(_ string, last time.Time) bool { return now.Sub(last) >= lateFor })
	}
}

// jitter returns a duration that is up to a fifth longer or shorter.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}

// release has events sent that have waited for long enough.
func (p *Publisher) release(now time.Time) {
	for len(p.delayed) > 0 && !p.delayed[0].until.After(now) {
		e := heap.Pop(&p.delayed).(delay).event
		e.route.ready.push(e)
	}
	for source, until := range p.held {
		if !until.After(now) {
			delete(p.held, source)
		}
	}
}

// nextLook returns after what time there is something to do though nothing happens.
func (p *Publisher) nextLook(now time.Time) time.Duration {
	next := time.Minute
	if len(p.refusing) > 0 {
		next = refuseAgain // the file could not be written
	}
	if len(p.delayed) > 0 {
		next = min(next, p.delayed[0].until.Sub(now))
	}
	if !p.paused.IsZero() {
		next = min(next, p.paused.Sub(now))
	}
	return max(next, time.Millisecond)
}

// fill sends as many events as may be under way.
func (p *Publisher) fill(now time.Time) {
	if p.paused.After(now) {
		return
	}
	p.paused = time.Time{}
	for _, s := range p.senders {
		s.send(now)
	}
}

// next returns the next event of a route that may be sent, nil if there is none.
func (p *Publisher) nextOf(s *sender, now time.Time) *event {
	for {
		if p.probing && p.underWay >= maxProbes {
			return nil
		}
		e := s.ready.pop()
		if e == nil {
			return nil
		}
		if until, held := p.held[e.source]; held && until.After(now) {
			heap.Push(&p.delayed, delay{e, until.Add(jitter(firstWait)), false})
			continue
		}
		return e
	}
}

// decide notes which events are decided.
func (p *Publisher) decide() {
	if len(p.decided) == 0 {
		return
	}
	p.mu.Lock()
	for _, e := range p.decided {
		size := e.size()
		p.bytes -= size
		p.spool.window -= size
		if e.stuck {
			delete(p.stuck, e.key())
		}
		e.record.left--
		if e.record.left == 0 {
			p.spool.done++
			p.spool.removable = append(p.spool.removable, e.record.position)
		}
	}
	p.pending -= int64(len(p.decided))
	p.spool.prune()
	if records := p.spool.records; len(records) > 0 {
		p.stats.Oldest = records[0].since
	} else if !p.spool.behind { // otherwise it is about as old as the last one
		p.stats.Oldest = time.Time{}
	}
	p.makeRoom()
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
	more := p.spool.behind && p.spool.window < p.settings.window/2
	p.mu.Unlock()
	for i, e := range p.decided {
		if e.split != nil {
			e.split.decide()
		}
		p.decided[i] = nil
	}
	p.decided = p.decided[:0]
	if more {
		signal(p.loadMore)
	}
}

// prune removes decided records: those at the beginning, and others once they are more than
// half, because one event may stay undecided for long.
func (s *spool) prune() {
	for len(s.records) > 0 && s.records[0].left == 0 {
		s.records[0] = nil
		s.records = s.records[1:]
		s.done--
	}
	if s.done > len(s.records)/2 {
		s.records = slices.DeleteFunc(s.records, func(r *record) bool { return r.left == 0 })
		s.done = 0
	}
	if len(s.records) == 0 {
		s.records = nil
	}
}

// decide notes that one of the events is decided. If all were taken in smaller parts, they
// were too many.
func (s *split) decide() {
	if s.left--; s.left == 0 && !s.atFault {
		s.route.shrink(s.size / 2)
	}
}

// watch has the scheduler look as soon as a connection is back.
func (p *Publisher) watch() {
	for state := p.conn.GetState(); p.conn.WaitForStateChange(p.ctx, state); {
		if state = p.conn.GetState(); state == connectivity.Ready {
			p.mu.Lock()
			p.inbox.back = true
			p.mu.Unlock()
			signal(p.wake)
		}
		if state == connectivity.Idle {
			p.conn.Connect()
		}
	}
}

// queue is events in the order in which they are to be sent.
type queue struct {
	events []*event
	first  int
}

func (q *queue) push(e *event) {
	if q.first > 0 && q.first == len(q.events) {
		q.events, q.first = q.events[:0], 0
	}
	if q.first > 1024 && q.first > len(q.events)/2 {
		n := copy(q.events, q.events[q.first:])
		clear(q.events[n:])
		q.events, q.first = q.events[:n], 0
	}
	q.events = append(q.events, e)
}

func (q *queue) pop() *event {
	if q.first == len(q.events) {
		return nil
	}
	e := q.events[q.first]
	q.events[q.first] = nil
	q.first++
	return e
}

// unpop puts the event back that was popped last.
func (q *queue) unpop(e *event) {
	q.first--
	q.events[q.first] = e
}

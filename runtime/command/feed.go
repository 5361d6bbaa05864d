//runtime:with command.From command.Bench

package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// How much of the file is in memory: lines that are sent or wait for those before them.
const (
	maxUnderWay      = 16_384
	maxUnderWayBytes = 16 << 20
	maxStream        = 1_000 // requests of one stream
)

// group is lines that are sent in one call: one of a unary RPC, or some that follow each
// other, always the same ones of the same file.
type group struct {
	lines   []line
	decoded []decoded
	count   int // of lines, also of those that can't be read
	bytes   int
	id      string
	next    mark // after the last line
	refused []rejection
	queue   []*attempt // of a batch that was refused, in order
	left    int        // lines that are neither stored nor refused
	stored  int64
	doubles int64 // of those stored, by an earlier run
}

// mark is a place in a file: what is before it is done.
type mark struct {
	Line   int64 `json:"line"`
	Offset int64 `json:"offset"`
}

// rejection is a line that was refused.
type rejection struct {
	line   line
	id     string
	reason string
}

// tally counts lines.
type tally struct {
	Acknowledged int64 `json:"acknowledged"`
	Duplicates   int64 `json:"duplicates"` // of those acknowledged
	Refused      int64 `json:"refused"`
	Told         bool  `json:"duplicatesKnown"` // whether the server says what is a duplicate
}

// feeder sends the lines of a file and knows up to which all are done.
type feeder struct {
	command  Command
	lane     lane
	lines    *lineReader
	decode   *decoder
	filled   []byte                       // what each request has besides its line
	batch    protoreflect.FieldDescriptor // nil if the RPC takes single requests
	many     int                          // lines of a group at most
	ordered  bool                         // whether a line is sent once those before it are done
	told     bool                         // whether replies say what is a duplicate
	patience time.Duration
	refuse   func([]rejection) error // stores lines that were refused, in the order of the file: all or none

	mu      sync.Mutex
	changed sync.Cond // the run may be over
	room    sync.Cond // a group may enter
	full    bool      // whether one waits for that
	waiting []*group  // in the order of the file; the first is not done
	held    int       // of waiting
	bytes   int       // of waiting
	live    tally     // what was answered
	done    tally     // of what is before at
	at      mark
	last    time.Time // when the server last took or refused something
	answer  error     // the server's last one that was neither
	failure error
	ended   bool // whether all lines are read
	over    bool // whether answers no longer count

	stopping bool // whether further lines are not sent
}

// run sends all lines. It ends early when ctx does, or with an error.
func (f *feeder) run(ctx context.Context) error {
	f.changed.L, f.room.L = &f.mu, &f.mu
	f.told = f.command.Call.reply != nil && duplicateField(f.command.Call.reply().ProtoReflect().Descriptor()) != nil
	f.last = time.Now()
	reading, stop := context.WithCancel(ctx)
	defer stop()
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(reading, f.wake)()
	go f.watch(reading, stop)
	go f.read(reading, sending)
	f.mu.Lock()
	for (!f.ended || len(f.waiting) > 0) && f.failure == nil && ctx.Err() == nil {
		f.changed.Wait()
	}
	f.stopping = true
	grace := time.AfterFunc(5*time.Second, func() { cancel(); f.wake() })
	defer grace.Stop()
	for f.failure == nil && len(f.waiting) > 0 && sending.Err() == nil { // what is under way may still be answered
		f.changed.Wait()
	}
	defer f.mu.Unlock()
	f.over = true
	if f.failure == nil && ctx.Err() != nil && (!f.ended || len(f.waiting) > 0) {
		return context.Cause(ctx)
	}
	return f.failure
}

func (f *feeder) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changed.Broadcast()
	f.room.Broadcast()
}

// watch ends the run if the server takes nothing for too long.
func (f *feeder) watch(ctx context.Context, stop func()) {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	defer stop()
	for range ticker.C {
		f.mu.Lock()
		late := len(f.waiting) > 0 && time.Since(f.last) > f.patience
		if len(f.waiting) == 0 {
			f.last = time.Now() // there is nothing to take
		}
		answer, failed := f.answer, f.failure != nil
		f.mu.Unlock()
		if ctx.Err() != nil || failed {
			return
		}
		if late {
			err := fmt.Errorf("the server took nothing for %v (see --timeout)", f.patience)
			if answer != nil {
				err = fmt.Errorf("%w; its last answer was %s: %s", err, status.Code(answer), status.Convert(answer).Message())
			}
			f.fail(exit{err, exitInterrupted})
			return
		}
	}
}

func (f *feeder) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure == nil {
		f.failure = err
	}
	f.changed.Broadcast()
	f.room.Broadcast()
}

// read makes groups of the lines, and sends them.
func (f *feeder) read(ctx, sending context.Context) {
	g := &group{}
	flush := func() bool {
		ready := g
		g = &group{}
		if len(ready.lines) == 0 && len(ready.refused) == 0 {
			return true
		}
		return f.enter(ctx, ready) && f.try(sending, &attempt{group: ready, to: len(ready.lines), id: ready.id, tries: 1})
	}
	for ctx.Err() == nil {
		l, err := f.lines.next()
		if errors.Is(err, io.EOF) {
			if flush() {
				f.mu.Lock()
				f.ended = true
				f.changed.Broadcast()
				f.mu.Unlock()
			}
			return
		}
		if err != nil {
			f.fail(err)
			return
		}
		one, err := f.decode.decode(l)
		next := mark{l.number, l.end}
		g.count++
		if err != nil {
			g.refused = append(g.refused, rejection{l, one.id, err.Error()})
			g.bytes += len(l.text)
			g.next = next
			if (g.count >= f.many || g.bytes > maxBatchSize) && !flush() {
				return
			}
			continue
		}
		full := len(g.lines) > 0 && (one.own || g.bytes+len(one.message) > maxBatchSize)
		if full && !flush() {
			return
		}
		g.lines, g.decoded = append(g.lines, l), append(g.decoded, one)
		g.bytes += len(one.message)
		g.next = next
		if len(g.lines) == 1 {
			g.id = one.id
		}
		if (g.count >= f.many || one.own) && !flush() {
			return
		}
	}
}

// maxBatchSize is how large the lines of a group are together, unless one is larger.
const maxBatchSize = 1 << 20

// enter has a group wait for its answer, once there is room.
func (f *feeder) enter(ctx context.Context, g *group) bool {
	g.left = len(g.lines)
	for _, l := range g.lines {
		g.bytes += len(l.text)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	room := func() bool {
		return len(f.waiting) == 0 || !f.ordered && f.held+g.count <= maxUnderWay && f.bytes+g.bytes <= maxUnderWayBytes
	}
	for !room() && ctx.Err() == nil && f.failure == nil {
		f.full = true
		f.room.Wait()
	}
	if ctx.Err() != nil || f.failure != nil || f.over {
		return false
	}
	f.waiting = append(f.waiting, g)
	f.live.Refused += int64(len(g.refused))
	f.held += g.count
	f.bytes += g.bytes
	f.retire()
	return true
}

// retire removes the groups from the front that are done.
func (f *feeder) retire() {
	for f.failure == nil && len(f.waiting) > 0 && f.waiting[0].left == 0 {
		g := f.waiting[0]
		slices.SortFunc(g.refused, func(a, b rejection) int { return cmp.Compare(a.line.number, b.line.number) })
		if len(g.refused) > 0 {
			if f.failure = f.refuse(g.refused); f.failure != nil {
				break // the group is not done: a later run sends it again
			}
		}
		f.waiting[0] = nil
		f.waiting = f.waiting[1:]
		f.held -= g.count
		f.bytes -= g.bytes
		f.done.Acknowledged += g.stored
		f.done.Duplicates += g.doubles
		f.done.Refused += int64(len(g.refused))
		f.done.Told = f.live.Told
		f.at = g.next
	}
	if f.failure != nil || (f.ended || f.stopping) && len(f.waiting) == 0 {
		f.changed.Broadcast()
		f.room.Broadcast()
	}
	if f.full && f.held < maxUnderWay*3/4 && f.bytes < maxUnderWayBytes*3/4 { // not for each line
		f.full = false
		f.room.Broadcast()
	}
}

// attempt is a call with some lines of a group: those from one to another.
type attempt struct {
	group    *group
	from, to int
	id       string
	tries    int
	// Of a stream that was refused: up to good it is taken, up to bad it is not.
	good, bad int
	why       error
}

// end returns the end of the lines to send.
func (a *attempt) end() int {
	if a.bad == 0 {
		return a.to
	}
	return (a.good + a.bad) / 2
}

// try makes a call. It returns false if it can't be made.
func (f *feeder) try(ctx context.Context, a *attempt) bool {
	if a.from == a.to {
		return true
	}
	requests := f.requests(a.group.decoded[a.from:a.end()])
	return f.lane.send(ctx, a.id, requests, func(ans laneAnswer) { f.answered(ctx, a, ans) }) == nil
}

// requests returns the requests for some lines.
func (f *feeder) requests(all []decoded) [][]byte {
	if f.batch == nil {
		requests := make([][]byte, len(all))
		for i, one := range all {
			requests[i] = one.message
			if len(f.filled) > 0 {
				requests[i] = append(f.filled[:len(f.filled):len(f.filled)], one.message...)
			}
		}
		return requests
	}
	request := f.filled[:len(f.filled):len(f.filled)]
	for _, one := range all {
		if f.batch.Kind() == protoreflect.GroupKind {
			request = protowire.AppendTag(request, f.batch.Number(), protowire.StartGroupType)
			request = append(request, one.message...)
			request = protowire.AppendTag(request, f.batch.Number(), protowire.EndGroupType)
			continue
		}
		request = protowire.AppendTag(request, f.batch.Number(), protowire.BytesType)
		request = protowire.AppendBytes(request, one.message)
	}
	return [][]byte{request}
}

// answered does what follows from the answer to a call.
func (f *feeder) answered(ctx context.Context, a *attempt, ans laneAnswer) {
	outcome := outcomeOf(ans, a.tries)
	var more []*attempt
	f.mu.Lock()
	if f.over {
		f.mu.Unlock()
		return
	}
	if outcome == stored || outcome == refused {
		f.last = time.Now()
	} else {
		f.answer = ans.err
	}
	switch {
	case outcome == fatal:
		if f.failure == nil {
			f.failure = ans.err
		}
	case outcome == again:
		wait := backoff(a.tries, ans.retryAfter)
		a.tries++
		time.AfterFunc(wait, func() { f.try(ctx, a) })
	case f.command.Call.manyRequests:
		more = f.streamed(a, ans, outcome)
	case outcome == stored:
		f.take(a, a.to, ans)
	case a.to-a.from > 1: // a batch is stored as a whole or not at all
		for i := a.from; i < a.to; i++ {
			a.group.queue = append(a.group.queue, &attempt{group: a.group, from: i, to: i + 1, id: fmt.Sprintf("%s/%d", a.id, i-a.from+1), tries: 1})
		}
	default:
		f.reject(a, a.from, ans.err)
	}
	if n := len(a.group.queue); n > 0 && outcome != again {
		if f.ordered {
			n = 1
		}
		more, a.group.queue = a.group.queue[:n], a.group.queue[n:]
	}
	f.retire()
	f.mu.Unlock()
	if len(more) > 0 {
		go func() { // sending may wait for other answers
			for _, a := range more {
				f.try(ctx, a)
			}
		}()
	}
}

// streamed does what follows from the answer to a stream. If it has a line that the server
// refuses, the lines before it may be stored. Which line it is shows when the stream is
// sent again up to some line, with the same ids. What comes after it is sent in streams
// that are twice as long as what was taken before them: where one line is refused, others
// near it often are, and each would have all of them sent again.
func (f *feeder) streamed(a *attempt, ans laneAnswer, outcome outcome) []*attempt {
	a.tries = 1
	switch {
	case outcome == stored && a.bad == 0:
		f.take(a, a.to, ans)
		return a.group.rest(a.to, 2*(a.to-a.from))
	case outcome == stored:
		a.good = a.end()
	case a.bad == 0:
		a.good, a.bad, a.why = a.from, a.to, ans.err
	default:
		a.bad, a.why = a.end(), ans.err
	}
	if a.bad-a.good > 1 {
		return []*attempt{a}
	}
	f.take(a, a.good, laneAnswer{})
	f.reject(a, a.good, a.why)
	return a.group.rest(a.bad, max(2*(a.good-a.from), 1))
}

// rest returns the attempt that sends some lines from one on, if there are any.
func (g *group) rest(from, some int) []*attempt {
	if from == len(g.decoded) {
		return nil
	}
	return []*attempt{{group: g, from: from, to: min(from+some, len(g.decoded)), id: g.decoded[from].id, tries: 1}}
}

// take counts lines as stored, up to one.
func (f *feeder) take(a *attempt, to int, ans laneAnswer) {
	n := int64(to - a.from)
	doubles, told := f.duplicates(ans, n)
	if a.tries > 1 {
		doubles = 0 // the try before may have stored them
	}
	a.group.left -= int(n)
	a.group.stored += n
	a.group.doubles += doubles
	f.live.Acknowledged += n
	f.live.Duplicates += doubles
	f.live.Told = f.live.Told || told
}

// reject counts a line as refused by the server.
func (f *feeder) reject(a *attempt, i int, err error) {
	s := status.Convert(err)
	a.group.refused = append(a.group.refused, rejection{a.group.lines[i], a.group.decoded[i].id, fmt.Sprintf("%s: %s", s.Code(), s.Message())})
	a.group.left--
	f.live.Refused++
}

// backoff returns how long to wait before a call is tried again.
func backoff(tries int, asked time.Duration) time.Duration {
	wait := 2 * time.Second
	if tries < 6 {
		wait = 50 * time.Millisecond << tries
	}
	return max(wait, asked) * time.Duration(1000+rand.IntN(300)) / 1000
}

// duplicatesKey is the trailer by which a server says how many of a call's events it had
// stored before.
const duplicatesKey = "event-duplicates"

// duplicates returns how many of the events of a call were stored before, and whether
// the answer says so: by its reply's field duplicate, or by a trailer.
func (f *feeder) duplicates(a laneAnswer, events int64) (n int64, told bool) {
	if texts := a.trailer.Get(duplicatesKey); len(texts) > 0 {
		for _, text := range texts {
			var count int64
			_, _ = fmt.Sscan(text, &count)
			n += count
		}
		return min(n, events), true
	}
	if !f.told {
		return 0, false
	}
	for _, data := range a.replies {
		reply := f.command.Call.reply()
		field := duplicateField(reply.ProtoReflect().Descriptor())
		if proto.Unmarshal(data, reply) != nil {
			return 0, false
		}
		value := reply.ProtoReflect().Get(field)
		switch {
		case field.IsList():
			for i := range value.List().Len() {
				if value.List().Get(i).Bool() {
					n++
				}
			}
		case field.Kind() != protoreflect.BoolKind:
			var count int64
			_, _ = fmt.Sscan(value.String(), &count)
			n += count
		case value.Bool():
			n += max(1, events/int64(len(a.replies))) // all of them were
		case events > int64(len(a.replies)):
			return 0, false // not all of them were
		}
	}
	return min(n, events), len(a.replies) > 0
}

// duplicateField returns the field of a reply that says what was stored before, or nil.
func duplicateField(reply protoreflect.MessageDescriptor) protoreflect.FieldDescriptor {
	for _, name := range []protoreflect.Name{"duplicate", "duplicates"} {
		if field := reply.Fields().ByName(name); field != nil && (field.Kind() == protoreflect.BoolKind || isInteger(field)) {
			return field
		}
	}
	return nil
}

package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// How a relay works: how many events it reads at once, how often it looks for new ones,
// and how long a subject waits after its event could not be sent, at first and at most.
const (
	maxRows      = 1000
	pollInterval = 100 * time.Millisecond
	firstWait    = 100 * time.Millisecond
	mostWait     = 30 * time.Second
	maxWaiting   = 100 // subjects: if more wait, all do
)

// What a relay logs of subjects that wait: the first failures of so many at a time, since
// in an outage all fail, and how often how many wait.
const (
	maxLogged      = 10
	reportInterval = time.Minute
)

// Relay sends the events of the outbox until ctx ends, and then returns nil. Each event
// is deleted when the service has acknowledged it. [Send] says how those of a type are
// sent. There must be one for each type: Relay returns an error if the outbox has an event
// of another.
//
// It needs no position, which is why no event is left out: in PostgreSQL a transaction
// that began earlier, and whose events have smaller numbers, may commit later. Relay
// always begins with the first event that it can see, and what was sent is not there any
// longer.
//
// An event that can't be sent for now is sent again later, and those of its subject wait.
// One that the service refuses for good, as not valid or in conflict with another of its
// id, stays in the table, with the reason in the column refused, and the others of its
// subject go on. Set refused to NULL to send it again.
//
// One relay is enough. Two send each event twice, which its log notices.
func (o *Outbox) Relay(ctx context.Context, options ...RelayOption) error {
	r := &relay{Outbox: o, senders: map[string]sender{}, concurrency: 64, logger: slog.Default(), waiting: map[string]*wait{}}
	for _, option := range options {
		option(r)
	}
	if len(r.senders) == 0 {
		return errors.New("the relay of an outbox has nothing to send events by: give it outbox.Send")
	}
	for failing := false; ctx.Err() == nil; {
		found, err := r.round(ctx)
		var unknown *unknownType
		if errors.As(err, &unknown) {
			return err
		}
		r.report(ctx, time.Now())
		if err != nil && ctx.Err() == nil {
			if !failing {
				r.logger.WarnContext(ctx, "the outbox can't be read or changed; it is tried again", "error", err)
			}
			pause(ctx, time.Second)
		}
		failing = err != nil
		if !found {
			pause(ctx, pollInterval)
		}
	}
	return nil
}

// RelayOption changes how [Outbox.Relay] works.
type RelayOption func(*relay)

// Send has the events of a type sent by a function: by a method of the generated client,
// such as client.Orders().Place.
func Send[M proto.Message, R any](call func(context.Context, M, ...grpc.CallOption) (R, error)) RelayOption {
	var none M
	kind := none.ProtoReflect().Type()
	return func(r *relay) {
		r.senders[string(kind.Descriptor().FullName())] = func(ctx context.Context, data []byte) error {
			event := kind.New().Interface()
			if err := proto.Unmarshal(data, event); err != nil {
				return status.Errorf(codes.InvalidArgument, "it is not a %s: %v", kind.Descriptor().FullName(), err)
			}
			_, err := call(ctx, event.(M))
			return err
		}
	}
}

// Concurrency sets how many events may be on their way at once. The default is 64.
func Concurrency(calls int) RelayOption { return func(r *relay) { r.concurrency = max(1, calls) } }

// Logger sets where a relay logs what it can't send. The default is [slog.Default].
func Logger(logger *slog.Logger) RelayOption { return func(r *relay) { r.logger = logger } }

type sender func(ctx context.Context, data []byte) error

// relay is a call of Relay.
type relay struct {
	*Outbox
	senders     map[string]sender // by the full names of messages
	concurrency int
	logger      *slog.Logger

	mu      sync.Mutex
	waiting map[string]*wait // subjects, of which an event could not be sent
	sent    []int64          // numbers, which are to be deleted
	unknown *unknownType     // nil: there was no such event

	reported time.Time // when it was logged how many wait
}

// wait is why a subject waits.
type wait struct {
	tries        int
	since, until time.Time
	event        row
	err          error
}

// unknownType is the error of an event that the relay has no way to send.
type unknownType struct{ event row }

func (u *unknownType) Error() string {
	return fmt.Sprintf("event %d of the outbox is a %s, and the relay has no way to send that: give Relay an outbox.Send for it, or delete the row from event_outbox", u.event.number, u.event.message)
}

// round sends the first events of the table that don't wait.
func (r *relay) round(ctx context.Context) (found bool, err error) {
	// What could not be deleted would be read and sent again, and a log knows an id only
	// for a time.
	if err := r.deleteSent(ctx); err != nil {
		return false, err
	}
	now := time.Now()
	rows, err := r.read(ctx, now)
	if err != nil {
		return false, err
	}
	subjects := map[string][]row{}
	var order []string
	for _, row := range rows {
		if subjects[row.subject] == nil {
			order = append(order, row.subject)
		}
		subjects[row.subject] = append(subjects[row.subject], row)
	}
	for subject, wait := range r.waiting {
		if !wait.until.After(now) && subjects[subject] == nil && len(rows) < maxRows {
			delete(r.waiting, subject) // somebody has deleted its event
		}
	}
	if len(rows) == 0 {
		return false, nil
	}
	slots := make(chan struct{}, r.concurrency)
	var all sync.WaitGroup
	for _, subject := range order {
		slots <- struct{}{}
		all.Go(func() {
			r.sendAll(ctx, subjects[subject])
			<-slots
		})
	}
	all.Wait()
	err = r.deleteSent(context.WithoutCancel(ctx))
	if r.unknown != nil {
		err = errors.Join(r.unknown, err)
	}
	return true, err
}

// read reads the first events that are to be sent now.
func (r *relay) read(ctx context.Context, now time.Time) (read []row, err error) {
	statement, args := "SELECT number, id, subject, message, data FROM event_outbox WHERE refused IS NULL", []any{}
	waiting := 0
	for subject, wait := range r.waiting {
		if wait.until.After(now) {
			waiting++
			statement, args = statement+" AND subject <> ?", append(args, subject)
		}
	}
	if waiting > maxWaiting {
		return nil, nil
	}
	rows, err := r.db.QueryContext(ctx, r.dialect.Bind(fmt.Sprintf("%s ORDER BY number LIMIT %d", statement, maxRows)), args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var one row
		if err := rows.Scan(&one.number, &one.id, &one.subject, &one.message, &one.data); err != nil {
			return nil, err
		}
		read = append(read, one)
	}
	return read, rows.Err()
}

// sendAll sends events of one subject, until one can't be sent.
func (r *relay) sendAll(ctx context.Context, rows []row) {
	for _, one := range rows {
		if ctx.Err() != nil {
			return
		}
		send := r.senders[one.message]
		if send == nil {
			r.mu.Lock()
			r.unknown = &unknownType{one}
			r.mu.Unlock()
			return
		}
		err := send(eventid.WithID(ctx, one.id), one.data)
		if err != nil && isFinal(err) {
			r.logger.ErrorContext(ctx, "an event of the outbox is refused, and will not be sent again", "number", one.number, "id", one.id, "subject", one.subject, "error", err)
			err = r.refuse(context.WithoutCancel(ctx), one, err)
		} else if err == nil {
			r.mu.Lock()
			r.sent = append(r.sent, one.number)
			r.mu.Unlock()
		}
		if err != nil {
			r.holdUp(ctx, one, err)
			return
		}
		r.mu.Lock()
		delete(r.waiting, one.subject)
		r.mu.Unlock()
	}
}

// isFinal reports whether a service would answer the same again, because it is the event
// that it refuses.
func isFinal(err error) bool {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.AlreadyExists, codes.OutOfRange:
		return true
	}
	return false
}

// holdUp has a subject wait.
func (r *relay) holdUp(ctx context.Context, one row, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	w := r.waiting[one.subject]
	if w == nil {
		w = &wait{since: time.Now()}
		r.waiting[one.subject] = w
		if len(r.waiting) <= maxLogged {
			r.logger.WarnContext(ctx, "an event of the outbox can't be sent; it is tried again", "number", one.number, "id", one.id, "subject", one.subject, "error", err)
		}
	}
	one.data = nil
	w.event, w.err = one, err
	delay := min(mostWait, firstWait<<min(w.tries, 20))
	w.tries++
	w.until = time.Now().Add(time.Duration(float64(delay) * (0.8 + 0.4*rand.Float64())))
}

// report logs how many subjects wait, and why the first of them does, if that was not
// logged within the last minute.
func (r *relay) report(ctx context.Context, now time.Time) {
	var first *wait
	for _, w := range r.waiting {
		if first == nil || w.since.Before(first.since) {
			first = w
		}
	}
	if first == nil || now.Sub(first.since) < reportInterval || now.Sub(r.reported) < reportInterval {
		return
	}
	r.reported = now
	r.logger.WarnContext(ctx, "events of the outbox still can't be sent", "subjects", len(r.waiting), "since", first.since.UTC(), "tries", first.tries,
		"number", first.event.number, "id", first.event.id, "subject", first.event.subject, "error", first.err)
}

func (r *relay) refuse(ctx context.Context, one row, reason error) error {
	_, err := r.db.ExecContext(ctx, r.dialect.Bind("UPDATE event_outbox SET refused = ? WHERE number = ?"), strings.ToValidUTF8(reason.Error(), ""), one.number)
	return err
}

// deleteSent deletes the events that are acknowledged. If it fails, they are to be deleted
// before any other is sent.
func (r *relay) deleteSent(ctx context.Context) error {
	if len(r.sent) == 0 {
		return nil
	}
	args := make([]any, len(r.sent))
	for i, number := range r.sent {
		args[i] = number
	}
	_, err := r.db.ExecContext(ctx, r.dialect.Bind("DELETE FROM event_outbox WHERE number IN (?"+strings.Repeat(", ?", len(args)-1)+")"), args...)
	if err == nil {
		r.sent = r.sent[:0]
	}
	return err
}

// pause waits for a duration, or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

package nats

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// leaseState is the place of a consumer as its stream holds it, under the
// subject STREAM_consumers.place.CONSUMER. Every change of it names the message
// that it replaces, so that of two processes only one can change it.
type leaseState struct {
	Consumer string             `json:"consumer"`
	Position *eventlog.Position `json:"place,omitempty"`  // nil if it was never moved
	Stream   time.Time          `json:"stream,omitzero"`  // when that was made whose position it is
	Holder   string             `json:"holder,omitempty"` // "" if nobody has it
	Hold     string             `json:"hold,omitempty"`   // tells the holds of one holder apart
	Lease    string             `json:"lease,omitempty"`  // how long after its message another may take it
}

// hold is the place of a consumer while this process has it: until the lease
// ends without having been renewed. By this process's clock that is no later
// than by the server's, for the lease begins before the message is sent.
type hold struct {
	log       *streamLog
	consumer  string
	subject   string
	state     atomic.Pointer[leaseState] // as it was last written
	restarted string                     // why the consumer begins with the first event again; "" if it does not

	writing  chan struct{} // has an element while the place is written, and guards:
	sequence uint64        // of the message that holds the place
	isGone   bool          // another has the place, or it was released

	taken atomic.Pointer[map[letterName]letterName] // by Retries: where they stand, by the plain ones

	lost   context.Context // ends when the place is lost or released, and says why
	lose   context.CancelCauseFunc
	expiry *time.Timer // loses it
}

func (c *config) leaseSubject(consumer string) string {
	return c.consumers() + ".place." + subjectToken(consumer)
}

// Hold implements [eventlog.Log]. The place of a process that has died can be taken when
// its lease has ended, 15 seconds later.
func (l *streamLog) Hold(ctx context.Context, consumer string) (eventlog.Hold, error) {
	if err := l.usable(ctx, true); err != nil {
		return nil, err
	}
	if err := eventlog.ValidateConsumer(consumer); err != nil {
		return nil, err
	}
	h := &hold{log: l, consumer: consumer, subject: l.leaseSubject(consumer), writing: make(chan struct{}, 1)}
	h.taken.Store(&map[letterName]letterName{})
	hold := l.conn.NewInbox()[len(nats.InboxPrefix):]
	doubt := doubt{time: l.doubtTime()}
	var began time.Time
	err := l.do(ctx, func(ctx context.Context) error {
		there, sequence, err := l.leaseAt(ctx, h.subject)
		if err != nil {
			return err
		}
		if there.Holder != "" && there.Hold != hold { // ours is there if an answer was lost
			return eventlog.Held(consumer, there.Holder)
		}
		info, err := l.info(ctx, l.events)
		if err != nil {
			return err
		}
		place := leaseState{Consumer: consumer, Position: there.Position, Stream: info.Created, Holder: processName(), Hold: hold, Lease: l.lease.String()}
		if there.Position != nil {
			why, err := doubt.replaced(info, there.Stream, *there.Position)
			if err != nil {
				return err
			}
			if why != "" {
				place.Position, h.restarted = new(eventlog.Position), why
			}
		}
		h.state.Store(&place)
		began = time.Now()
		h.sequence, err = l.writeLease(ctx, h.subject, place, sequence)
		return err
	})
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, &eventlog.Error{Kind: eventlog.ErrClosed}
	}
	l.holds[h] = true
	h.lost, h.lose = context.WithCancelCause(context.Background())
	h.expiry = time.AfterFunc(time.Until(began.Add(l.lease)), func() {
		h.lose(&eventlog.Error{Kind: eventlog.ErrHeld, Detail: fmt.Sprintf("the lease of consumer %q could not be renewed within %v, and others may have its place", consumer, l.lease)})
	})
	go h.renew()
	return h, nil
}

// processName names this process.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	return fmt.Sprintf("process %d on %s", os.Getpid(), host)
}

// placeAt is a place as it stands, with its holder only if the lease has not
// ended, and the sequence of its message: 0 if there is none.
//
// The age of the message is taken by the server's clock alone, for those of the
// processes may differ.
func (l *streamLog) leaseAt(ctx context.Context, subject string) (place leaseState, sequence uint64, err error) {
	message, err := l.get(ctx, l.consumers(), getRequest{Last: subject})
	if err != nil || message == nil {
		return leaseState{}, 0, err
	}
	if err := json.Unmarshal(message.data, &place); err != nil {
		return leaseState{}, 0, &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "the place of a consumer can't be read", Cause: fmt.Errorf("%s: %w", subject, err)}
	}
	if place.Holder == "" {
		return place, message.sequence, nil
	}
	info, err := l.info(ctx, l.consumers())
	if err != nil {
		return leaseState{}, 0, err
	}
	if lease, err := time.ParseDuration(place.Lease); err != nil || info.TimeStamp.Sub(message.time) > lease {
		place.Holder = ""
	}
	return place, message.sequence, nil
}

// putPlace replaces the message with a sequence by one that says something
// else, and returns its sequence.
func (l *streamLog) writeLease(ctx context.Context, subject string, place leaseState, sequence uint64) (uint64, error) {
	data, err := json.Marshal(place)
	if err != nil {
		return 0, err
	}
	ack, err := l.publish(ctx, l.consumers(), &nats.Msg{Subject: subject, Data: data, Header: nats.Header{
		jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(sequence, 10)},
	}})
	return ack.Sequence, err
}

// Position implements [eventlog.Hold].
func (h *hold) Position() (position eventlog.Position, ok bool) {
	if at := h.state.Load().Position; at != nil {
		return *at, true
	}
	return 0, false
}

// From implements [eventlog.Hold].
func (h *hold) From(after eventlog.Position) eventlog.From {
	return eventlog.From{After: after, Log: h.state.Load().Stream.Format(time.RFC3339Nano)}
}

// Restarted implements [eventlog.Hold].
func (h *hold) Restarted() string { return h.restarted }

// Commit implements [eventlog.Hold].
func (h *hold) Commit(ctx context.Context, to eventlog.Position) error {
	return h.write(ctx, func(place *leaseState) { place.Position = &to })
}

// assert makes sure that this process has the place, and renews its lease.
func (h *hold) confirm(ctx context.Context) error {
	return h.write(ctx, func(*leaseState) {})
}

// Lost implements [eventlog.Hold].
func (h *hold) Lost() context.Context { return h.lost }

// refusal is the error of a call that the hold can't serve.
func (h *hold) usable(ctx context.Context) error {
	if err := h.log.usable(ctx, true); err != nil {
		return err
	}
	return context.Cause(h.lost)
}

// while is ctx until the place is lost.
func (h *hold) while(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(h.lost, func() { cancel(context.Cause(h.lost)) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// write changes the place.
func (h *hold) write(ctx context.Context, change func(*leaseState)) error {
	if err := h.usable(ctx); err != nil {
		return err
	}
	ctx, cancel := h.while(ctx)
	defer cancel()
	select {
	case h.writing <- struct{}{}:
		defer func() { <-h.writing }()
	case <-ctx.Done():
		return eventlog.Ended(ctx)
	}
	if err := context.Cause(h.lost); err != nil { // meanwhile
		return err
	}
	return h.rewrite(ctx, change)
}

// put writes the place once, which renews the lease. It leaves time to try again
// before that ends.
func (h *hold) writeOnce(ctx context.Context, place leaseState) error {
	ctx, cancel := context.WithTimeout(ctx, h.log.lease/4)
	defer cancel()
	began := time.Now()
	sequence, err := h.log.writeLease(ctx, h.subject, place, h.sequence)
	if err == nil {
		h.sequence = sequence
		h.state.Store(&place)
		h.expiry.Reset(time.Until(began.Add(h.log.lease)))
	}
	return err
}

// replace writes the place, and finds out who has it if it can't.
func (h *hold) rewrite(ctx context.Context, change func(*leaseState)) error {
	place := *h.state.Load()
	change(&place)
	return h.log.do(ctx, func(ctx context.Context) error {
		err := h.writeOnce(ctx, place)
		if err == nil {
			return nil
		}
		if !hasCode(err, codeWrongLast, codeWrongLastNow) {
			return err
		}
		// Another has the place, or a try of ours came through after all.
		there, sequence, lookUp := h.log.leaseAt(ctx, h.subject)
		if lookUp != nil {
			return lookUp
		}
		if there.Hold != h.state.Load().Hold {
			h.isGone = true
			h.lose(eventlog.Held(h.consumer, there.Holder))
			return context.Cause(h.lost)
		}
		h.sequence = sequence
		return err
	})
}

// renew keeps the lease from ending.
func (h *hold) renew() {
	for wait := h.log.lease / 3; ; {
		pause(h.lost, wait)
		if wait = h.log.lease / 3; h.confirm(h.lost) != nil {
			wait = h.log.lease / 20
		}
		if h.lost.Err() != nil {
			return
		}
	}
}

// Release implements [eventlog.Hold].
func (h *hold) Release() error {
	h.lose(eventlog.Held(h.consumer, ""))
	h.log.mu.Lock()
	delete(h.log.holds, h)
	h.log.mu.Unlock()

	h.writing <- struct{}{}
	defer func() { <-h.writing }()
	defer h.expiry.Stop()
	if h.isGone {
		return nil
	}
	h.isGone = true
	ctx, cancel := context.WithTimeout(h.log.open, 2*time.Second)
	defer cancel()
	err := h.rewrite(ctx, func(place *leaseState) { place.Holder, place.Hold, place.Lease = "", "", "" })
	if errors.Is(err, eventlog.ErrHeld) { // then it was lost, which is as good
		return nil
	}
	return err
}

// PutDead implements [eventlog.Hold].
func (h *hold) PutDead(ctx context.Context, letter eventlog.DeadLetter) error {
	if err := h.confirm(ctx); err != nil {
		return err
	}
	ctx, cancel := h.while(ctx)
	defer cancel()
	letter.Consumer = h.consumer
	return h.log.putDead(ctx, &letter)
}

// Retries implements [eventlog.Hold]. It only reads, for it is asked all the time; that
// the place was lost it knows from the lease and its last renewal.
func (h *hold) Retries(ctx context.Context) ([]eventlog.DeadLetter, error) {
	if err := h.usable(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := h.while(ctx)
	defer cancel()
	taken := maps.Clone(*h.taken.Load())
	letters, err := h.log.retries(ctx, h.consumer, taken)
	if err != nil {
		return nil, err
	}
	h.taken.Store(&taken)
	return letters, nil
}

// RemoveDead implements [eventlog.Hold].
func (h *hold) RemoveDead(ctx context.Context, position eventlog.Position) error {
	if err := h.confirm(ctx); err != nil {
		return err
	}
	ctx, cancel := h.while(ctx)
	defer cancel()
	plain := newLetterName(h.consumer, position)
	return h.log.removeDead(ctx, cmp.Or((*h.taken.Load())[plain], plain))
}

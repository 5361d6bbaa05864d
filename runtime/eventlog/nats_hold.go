package eventlog

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
)

// natsPlace is the place of a consumer as its stream holds it, under the
// subject STREAM_consumers.place.CONSUMER. Every change of it names the message
// that it replaces, so that of two processes only one can change it.
type natsPlace struct {
	Consumer string    `json:"consumer"`
	Place    *Position `json:"place,omitempty"`  // nil if it was never moved
	Stream   time.Time `json:"stream,omitzero"`  // when that was made whose position it is
	Holder   string    `json:"holder,omitempty"` // "" if nobody has it
	Hold     string    `json:"hold,omitempty"`   // tells the holds of one holder apart
	Lease    string    `json:"lease,omitempty"`  // how long after its message another may take it
}

// natsHold is the place of a consumer while this process has it: until the lease
// ends without having been renewed. By this process's clock that is no later
// than by the server's, for the lease begins before the message is sent.
type natsHold struct {
	log      *natsLog
	consumer string
	subject  string
	place    atomic.Pointer[natsPlace] // as it was last written
	anew     string                    // why the consumer begins with the first event again; "" if it does not

	writing  chan struct{} // has an element while the place is written, and guards:
	sequence uint64        // of the message that holds the place
	isGone   bool          // another has the place, or it was released

	taken atomic.Pointer[map[natsLetter]natsLetter] // by Retries: where they stand, by the plain ones

	held  context.Context // ends when the place is lost or released, and says why
	lose  context.CancelCauseFunc
	lease *time.Timer // loses it
}

func (c *natsConfig) placeSubject(consumer string) string {
	return c.consumers() + ".place." + natsToken(consumer)
}

// Hold implements [Log]. The place of a process that has died can be taken when
// its lease has ended, 15 seconds later.
func (l *natsLog) Hold(ctx context.Context, consumer string) (Hold, error) {
	if err := l.refusal(ctx, true); err != nil {
		return nil, err
	}
	if err := ValidateConsumer(consumer); err != nil {
		return nil, err
	}
	h := &natsHold{log: l, consumer: consumer, subject: l.placeSubject(consumer), writing: make(chan struct{}, 1)}
	h.taken.Store(&map[natsLetter]natsLetter{})
	hold := l.conn.NewInbox()[len(nats.InboxPrefix):]
	doubt := natsDoubt{time: l.doubtTime()}
	var began time.Time
	err := l.do(ctx, func(ctx context.Context) error {
		there, sequence, err := l.placeAt(ctx, h.subject)
		if err != nil {
			return err
		}
		if there.Holder != "" && there.Hold != hold { // ours is there if an answer was lost
			return Held(consumer, there.Holder)
		}
		info, err := l.info(ctx, l.events)
		if err != nil {
			return err
		}
		place := natsPlace{Consumer: consumer, Place: there.Place, Stream: info.Created, Holder: natsHolder(), Hold: hold, Lease: l.lease.String()}
		if there.Place != nil {
			why, err := doubt.astray(info, there.Stream, *there.Place)
			if err != nil {
				return err
			}
			if why != "" {
				place.Place, h.anew = new(Position), why
			}
		}
		h.place.Store(&place)
		began = time.Now()
		h.sequence, err = l.putPlace(ctx, h.subject, place, sequence)
		return err
	})
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, &Error{Kind: ErrClosed}
	}
	l.holds[h] = true
	h.held, h.lose = context.WithCancelCause(context.Background())
	h.lease = time.AfterFunc(time.Until(began.Add(l.lease)), func() {
		h.lose(&Error{Kind: ErrHeld, Detail: fmt.Sprintf("the lease of consumer %q could not be renewed within %v, and others may have its place", consumer, l.lease)})
	})
	go h.renew()
	return h, nil
}

// natsHolder names this process.
func natsHolder() string {
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
func (l *natsLog) placeAt(ctx context.Context, subject string) (place natsPlace, sequence uint64, err error) {
	message, err := l.get(ctx, l.consumers(), natsGet{Last: subject})
	if err != nil || message == nil {
		return natsPlace{}, 0, err
	}
	if err := json.Unmarshal(message.data, &place); err != nil {
		return natsPlace{}, 0, &Error{Kind: ErrUnavailable, Detail: "the place of a consumer can't be read", Cause: fmt.Errorf("%s: %w", subject, err)}
	}
	if place.Holder == "" {
		return place, message.sequence, nil
	}
	info, err := l.info(ctx, l.consumers())
	if err != nil {
		return natsPlace{}, 0, err
	}
	if lease, err := time.ParseDuration(place.Lease); err != nil || info.TimeStamp.Sub(message.time) > lease {
		place.Holder = ""
	}
	return place, message.sequence, nil
}

// putPlace replaces the message with a sequence by one that says something
// else, and returns its sequence.
func (l *natsLog) putPlace(ctx context.Context, subject string, place natsPlace, sequence uint64) (uint64, error) {
	data, err := json.Marshal(place)
	if err != nil {
		return 0, err
	}
	ack, err := l.publish(ctx, l.consumers(), &nats.Msg{Subject: subject, Data: data, Header: nats.Header{
		jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(sequence, 10)},
	}})
	return ack.Sequence, err
}

// Position implements [Hold].
func (h *natsHold) Position() (position Position, ok bool) {
	if at := h.place.Load().Place; at != nil {
		return *at, true
	}
	return 0, false
}

// From implements [Hold].
func (h *natsHold) From(after Position) From {
	return From{After: after, Log: h.place.Load().Stream.Format(time.RFC3339Nano)}
}

// Restarted implements [Hold].
func (h *natsHold) Restarted() string { return h.anew }

// Commit implements [Hold].
func (h *natsHold) Commit(ctx context.Context, to Position) error {
	return h.write(ctx, func(place *natsPlace) { place.Place = &to })
}

// assert makes sure that this process has the place, and renews its lease.
func (h *natsHold) assert(ctx context.Context) error {
	return h.write(ctx, func(*natsPlace) {})
}

// Lost implements [Hold].
func (h *natsHold) Lost() context.Context { return h.held }

// refusal is the error of a call that the hold can't serve.
func (h *natsHold) refusal(ctx context.Context) error {
	if err := h.log.refusal(ctx, true); err != nil {
		return err
	}
	return context.Cause(h.held)
}

// while is ctx until the place is lost.
func (h *natsHold) while(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(h.held, func() { cancel(context.Cause(h.held)) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// write changes the place.
func (h *natsHold) write(ctx context.Context, change func(*natsPlace)) error {
	if err := h.refusal(ctx); err != nil {
		return err
	}
	ctx, cancel := h.while(ctx)
	defer cancel()
	select {
	case h.writing <- struct{}{}:
		defer func() { <-h.writing }()
	case <-ctx.Done():
		return Ended(ctx)
	}
	if err := context.Cause(h.held); err != nil { // meanwhile
		return err
	}
	return h.replace(ctx, change)
}

// put writes the place once, which renews the lease. It leaves time to try again
// before that ends.
func (h *natsHold) put(ctx context.Context, place natsPlace) error {
	ctx, cancel := context.WithTimeout(ctx, h.log.lease/4)
	defer cancel()
	began := time.Now()
	sequence, err := h.log.putPlace(ctx, h.subject, place, h.sequence)
	if err == nil {
		h.sequence = sequence
		h.place.Store(&place)
		h.lease.Reset(time.Until(began.Add(h.log.lease)))
	}
	return err
}

// replace writes the place, and finds out who has it if it can't.
func (h *natsHold) replace(ctx context.Context, change func(*natsPlace)) error {
	place := *h.place.Load()
	change(&place)
	return h.log.do(ctx, func(ctx context.Context) error {
		err := h.put(ctx, place)
		if err == nil {
			return nil
		}
		if !isNATS(err, natsWrongLast, natsWrongLastNow) {
			return err
		}
		// Another has the place, or a try of ours came through after all.
		there, sequence, lookUp := h.log.placeAt(ctx, h.subject)
		if lookUp != nil {
			return lookUp
		}
		if there.Hold != h.place.Load().Hold {
			h.isGone = true
			h.lose(Held(h.consumer, there.Holder))
			return context.Cause(h.held)
		}
		h.sequence = sequence
		return err
	})
}

// renew keeps the lease from ending.
func (h *natsHold) renew() {
	for wait := h.log.lease / 3; ; {
		pause(h.held, wait)
		if wait = h.log.lease / 3; h.assert(h.held) != nil {
			wait = h.log.lease / 20
		}
		if h.held.Err() != nil {
			return
		}
	}
}

// Release implements [Hold].
func (h *natsHold) Release() error {
	h.lose(Held(h.consumer, ""))
	h.log.mu.Lock()
	delete(h.log.holds, h)
	h.log.mu.Unlock()

	h.writing <- struct{}{}
	defer func() { <-h.writing }()
	defer h.lease.Stop()
	if h.isGone {
		return nil
	}
	h.isGone = true
	ctx, cancel := context.WithTimeout(h.log.open, 2*time.Second)
	defer cancel()
	err := h.replace(ctx, func(place *natsPlace) { place.Holder, place.Hold, place.Lease = "", "", "" })
	if errors.Is(err, ErrHeld) { // then it was lost, which is as good
		return nil
	}
	return err
}

// PutDead implements [Hold].
func (h *natsHold) PutDead(ctx context.Context, letter DeadLetter) error {
	if err := h.assert(ctx); err != nil {
		return err
	}
	ctx, cancel := h.while(ctx)
	defer cancel()
	letter.Consumer = h.consumer
	return h.log.bury(ctx, &letter)
}

// Retries implements [Hold]. It only reads, for it is asked all the time; that
// the place was lost it knows from the lease and its last renewal.
func (h *natsHold) Retries(ctx context.Context) ([]DeadLetter, error) {
	if err := h.refusal(ctx); err != nil {
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

// RemoveDead implements [Hold].
func (h *natsHold) RemoveDead(ctx context.Context, position Position) error {
	if err := h.assert(ctx); err != nil {
		return err
	}
	ctx, cancel := h.while(ctx)
	defer cancel()
	plain := newNATSLetter(h.consumer, position)
	return h.log.revive(ctx, cmp.Or((*h.taken.Load())[plain], plain))
}

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

// consumerState is the position and the lease of a consumer, as the message
// with the subject STREAM_consumers.place.CONSUMER stores them. Every write
// names the message that it replaces, so of two processes that write at the
// same time only one succeeds.
type consumerState struct {
	Consumer string             `json:"consumer"`
	Position *eventlog.Position `json:"place,omitempty"`  // nil if none was ever committed
	Failure  eventlog.Failure   `json:"failure,omitzero"` // what the consumer fails at
	Keeper   string             `json:"keeper,omitempty"` // what has the position that Position is a copy of; "" if this has it
	Stream   time.Time          `json:"stream,omitzero"`  // when the stream was created that Position belongs to
	Holder   string             `json:"holder,omitempty"` // the process that has the lease; "" if none has
	Hold     string             `json:"hold,omitempty"`   // distinguishes the leases of one process
	Lease    string             `json:"lease,omitempty"`  // how long after its message another process may take the lease
}

// hold is the lease of a consumer while this process has it: until it expires
// without having been renewed. By this process's clock that is not later than by
// the server's, because the lease begins before the message is sent.
type hold struct {
	log       *streamLog
	consumer  string
	subject   string
	state     atomic.Pointer[consumerState] // as it was last written
	restarted string                        // why the consumer begins with the first event again; "" if it does not

	writing  chan struct{} // has an element during a write, and guards:
	sequence uint64        // of the message that has the state
	ended    bool          // another process has the lease, or it was released

	retrying atomic.Pointer[retryingLetters] // what Retries has returned

	lost   context.Context // ends when the lease is lost or released; its cause says why
	lose   context.CancelCauseFunc
	expiry *time.Timer // loses the lease
}

// stateSubject returns the subject of a consumer's state.
func (c *config) stateSubject(consumer string) string {
	return c.consumers() + ".place." + subjectToken(consumer)
}

// Hold implements [eventlog.Log]. The lease of a process that has died can be
// taken once it has expired: 15 seconds after its last renewal, unless the
// parameter lease says otherwise.
func (l *streamLog) Hold(ctx context.Context, consumer string) (eventlog.Hold, error) {
	if err := l.usable(ctx, true); err != nil {
		return nil, err
	}
	if err := eventlog.ValidateConsumer(consumer); err != nil {
		return nil, err
	}
	h := &hold{log: l, consumer: consumer, subject: l.stateSubject(consumer), writing: make(chan struct{}, 1)}
	h.retrying.Store(&retryingLetters{})
	began, err := h.acquire(ctx)
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
		h.lose(&eventlog.Error{Kind: eventlog.ErrHeld, Detail: fmt.Sprintf("the lease of consumer %q could not be renewed within %v, so another process may have it", consumer, l.lease)})
	})
	go h.keepRenewing()
	return h, nil
}

// acquire takes the lease, and returns when it began.
func (h *hold) acquire(ctx context.Context) (began time.Time, err error) {
	id := h.log.newID()
	check := lossCheck{certainAfter: h.log.staleLeaderTime()}
	err = h.log.do(ctx, func(ctx context.Context) error {
		current, sequence, err := h.log.readState(ctx, h.subject)
		if err != nil {
			return err
		}
		if current.Holder != "" && current.Hold != id { // it is ours if the answer to an earlier try was lost
			return eventlog.Held(h.consumer, current.Holder)
		}
		info, err := h.log.info(ctx, h.log.events)
		if err != nil {
			return err
		}
		state := consumerState{Consumer: h.consumer, Position: current.Position, Failure: current.Failure, Keeper: current.Keeper, Stream: info.Created, Holder: processName(), Hold: id, Lease: h.log.lease.String()}
		if current.Position != nil {
			reason, err := check.replacedReason(info, current.Stream, *current.Position)
			if err != nil {
				return err
			}
			if reason != "" {
				state.Position, h.restarted = new(eventlog.Position), reason
			}
		}
		h.state.Store(&state)
		began = time.Now()
		h.sequence, err = h.log.publishState(ctx, h.subject, state, sequence)
		return err
	})
	return began, err
}

// processName returns what the holder of a lease is called in this process.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	return fmt.Sprintf("process %d on %s", os.Getpid(), host)
}

// readState returns the state of a consumer, without the holder if its lease
// has expired, and the sequence of its message: 0 if there is none.
//
// The age of the message is measured by the server's clock alone, because the
// clocks of the processes may differ.
func (l *streamLog) readState(ctx context.Context, subject string) (state consumerState, sequence uint64, err error) {
	message, err := l.get(ctx, l.consumers(), getRequest{Last: subject})
	if err != nil || message == nil {
		return consumerState{}, 0, err
	}
	if err := json.Unmarshal(message.data, &state); err != nil {
		return consumerState{}, 0, &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "the position and lease of a consumer can't be read", Cause: fmt.Errorf("%s: %w", subject, err)}
	}
	if state.Holder == "" {
		return state, message.sequence, nil
	}
	info, err := l.info(ctx, l.consumers())
	if err != nil {
		return consumerState{}, 0, err
	}
	if lease, err := time.ParseDuration(state.Lease); err != nil || info.TimeStamp.Sub(message.time) > lease {
		state.Holder = ""
	}
	return state, message.sequence, nil
}

// publishState replaces the message with a sequence by one with another state,
// and returns the sequence of that.
func (l *streamLog) publishState(ctx context.Context, subject string, state consumerState, sequence uint64) (uint64, error) {
	data, err := json.Marshal(state)
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
	if committed := h.state.Load().Position; committed != nil {
		return *committed, true
	}
	return 0, false
}

// From implements [eventlog.Hold].
func (h *hold) From(after eventlog.Position) eventlog.From {
	return eventlog.From{After: after, Log: h.state.Load().Stream.Format(time.RFC3339Nano)}
}

// Restarted implements [eventlog.Hold].
func (h *hold) Restarted() string { return h.restarted }

// Lost implements [eventlog.Hold].
func (h *hold) Lost() context.Context { return h.lost }

// Commit implements [eventlog.Hold].
func (h *hold) Commit(ctx context.Context, to eventlog.Position) error {
	return h.write(ctx, func(state *consumerState) { state.Position = &to })
}

// SetFailure implements [eventlog.Hold].
func (h *hold) SetFailure(ctx context.Context, failure eventlog.Failure) error {
	failure.Reason = eventlog.CutReason(failure.Reason)
	return h.write(ctx, func(state *consumerState) { state.Failure = failure })
}

// Keeper implements [eventlog.KeeperHold].
func (h *hold) Keeper() string { return h.state.Load().Keeper }

// SetKeeper implements [eventlog.KeeperHold].
func (h *hold) SetKeeper(ctx context.Context, keeper string) error {
	return h.write(ctx, func(state *consumerState) { state.Keeper = keeper })
}

// renew renews the lease. It fails if this process no longer has it.
func (h *hold) renew(ctx context.Context) error {
	return h.write(ctx, func(*consumerState) {})
}

// keepRenewing renews the lease until it is lost or released.
func (h *hold) keepRenewing() {
	for wait := h.log.lease / 3; ; {
		pause(h.lost, wait)
		if wait = h.log.lease / 3; h.renew(h.lost) != nil {
			wait = h.log.lease / 20
		}
		if h.lost.Err() != nil {
			return
		}
	}
}

// write changes the state, which renews the lease.
func (h *hold) write(ctx context.Context, change func(*consumerState)) error {
	if err := h.usable(ctx); err != nil {
		return err
	}
	ctx, cancel := h.untilLost(ctx)
	defer cancel()
	select {
	case h.writing <- struct{}{}:
		defer func() { <-h.writing }()
	case <-ctx.Done():
		return eventlog.Ended(ctx)
	}
	if err := context.Cause(h.lost); err != nil { // it was lost while this waited
		return err
	}
	return h.rewrite(ctx, change)
}

// rewrite is write for a caller that has an element in h.writing.
func (h *hold) rewrite(ctx context.Context, change func(*consumerState)) error {
	state := *h.state.Load()
	change(&state)
	return h.log.do(ctx, func(ctx context.Context) error {
		err := h.writeOnce(ctx, state)
		if hasCode(err, codeWrongLast, codeWrongLastNow) {
			return h.resolveConflict(ctx, err)
		}
		return err
	})
}

// writeOnce tries to write a state, and renews the lease if it succeeds. It
// leaves time for other tries before the lease expires.
func (h *hold) writeOnce(ctx context.Context, state consumerState) error {
	ctx, cancel := context.WithTimeout(ctx, h.log.lease/4)
	defer cancel()
	began := time.Now()
	sequence, err := h.log.publishState(ctx, h.subject, state, h.sequence)
	if err == nil {
		h.sequence = sequence
		h.state.Store(&state)
		h.expiry.Reset(time.Until(began.Add(h.log.lease)))
	}
	return err
}

// resolveConflict finds out whose message is in the way of a write. If it is
// from an earlier try of this process, whose answer was lost, it returns the
// write's own error, so that the next try replaces that message. Otherwise the
// lease is lost.
func (h *hold) resolveConflict(ctx context.Context, conflict error) error {
	current, sequence, err := h.log.readState(ctx, h.subject)
	if err != nil {
		return err
	}
	if current.Hold != h.state.Load().Hold {
		h.ended = true
		h.lose(eventlog.Held(h.consumer, current.Holder))
		return context.Cause(h.lost)
	}
	h.sequence = sequence
	return conflict
}

// usable returns the error of a call that the hold can't serve, or nil.
func (h *hold) usable(ctx context.Context) error {
	if err := h.log.usable(ctx, true); err != nil {
		return err
	}
	return context.Cause(h.lost)
}

// untilLost returns a context that ends with ctx, and when the lease is lost.
func (h *hold) untilLost(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(h.lost, func() { cancel(context.Cause(h.lost)) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// Delete implements [eventlog.Hold]. The state is removed last: until then another
// process waits for the lease.
func (h *hold) Delete(ctx context.Context) error {
	if err := h.renew(ctx); err != nil {
		return err
	}
	ctx, cancel := h.untilLost(ctx)
	defer cancel()
	letters := letterName{subjectToken(h.consumer), "*"}
	if err := h.log.do(ctx, func(ctx context.Context) error { return h.log.purge(ctx, h.log.letterSubject(letters, "*")) }); err != nil {
		return err
	}
	h.writing <- struct{}{}
	defer func() { <-h.writing }()
	err := h.log.do(ctx, func(ctx context.Context) error { return h.log.purge(ctx, h.subject) })
	if err != nil {
		return err
	}
	h.ended = true
	h.lose(eventlog.Held(h.consumer, ""))
	h.expiry.Stop()
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	delete(h.log.holds, h)
	return nil
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
	if h.ended {
		return nil
	}
	h.ended = true
	ctx, cancel := context.WithTimeout(h.log.open, 2*time.Second)
	defer cancel()
	err := h.rewrite(ctx, func(state *consumerState) { state.Holder, state.Hold, state.Lease = "", "", "" })
	if errors.Is(err, eventlog.ErrHeld) { // the lease was lost before, and needs no release
		return nil
	}
	return err
}

// PutDead implements [eventlog.Hold].
func (h *hold) PutDead(ctx context.Context, letter eventlog.DeadLetter) error {
	if err := h.renew(ctx); err != nil {
		return err
	}
	ctx, cancel := h.untilLost(ctx)
	defer cancel()
	letter.Consumer = h.consumer
	return h.log.putDead(ctx, &letter)
}

// Retries implements [eventlog.Hold]. It is called all the time, so it only
// reads: it learns that the lease was lost from its expiry and last renewal.
func (h *hold) Retries(ctx context.Context) ([]eventlog.DeadLetter, error) {
	if err := h.usable(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := h.untilLost(ctx)
	defer cancel()
	retrying := maps.Clone(*h.retrying.Load())
	letters, err := h.log.retries(ctx, h.consumer, retrying)
	if err != nil {
		return nil, err
	}
	h.retrying.Store(&retrying)
	return letters, nil
}

// RemoveDead implements [eventlog.Hold].
func (h *hold) RemoveDead(ctx context.Context, position eventlog.Position) error {
	if err := h.renew(ctx); err != nil {
		return err
	}
	ctx, cancel := h.untilLost(ctx)
	defer cancel()
	name := newLetterName(h.consumer, position)
	return h.log.removeDead(ctx, cmp.Or((*h.retrying.Load())[name], name))
}

package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// How much may wait for an acknowledgement at a time.
const (
	maxNATSAppends = 8192
	maxNATSBytes   = MaxAppendBytes
	// maxNATSBatches is below the 50 that a server allows for one stream, for
	// other processes publish as well.
	maxNATSBatches = 12
)

// natsReserve is what the server must take beyond an event for it to become a
// dead letter.
const natsReserve = 8 << 10

// Append implements [Log]. A single event is a message, several are an atomic
// batch. Up to 8192 appends, with 64 MiB of events, may be waiting for their
// acknowledgement; beyond that the error is [ErrFull], at once.
//
// What the server does not acknowledge in time is sent again, and stored once:
// if the first try had come through after all, its receipt is that of a
// duplicate.
func (l *natsLog) Append(ctx context.Context, events ...Event) ([]Receipt, error) {
	if err := l.refusal(ctx, true); err != nil {
		return nil, err
	}
	bytes, err := Validate(events)
	if err != nil {
		return nil, err
	}
	if err := l.enter(bytes); err != nil {
		return nil, err
	}
	defer l.leave(bytes)
	if _, err := l.proven(ctx); err != nil {
		return nil, err
	}
	call, err := l.newAppend(events)
	if err != nil {
		return nil, err
	}
	if err := l.do(ctx, call.try); err != nil {
		return nil, err
	}
	durability, err := l.proven(ctx)
	if err != nil {
		return nil, err
	}
	return call.receipts(durability), nil
}

func (l *natsLog) enter(bytes int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return &Error{Kind: ErrClosed}
	case l.appends >= maxNATSAppends || l.appends > 0 && l.bytes+bytes > maxNATSBytes:
		return &Error{Kind: ErrFull, Detail: fmt.Sprintf("%d appends are waiting", l.appends)}
	}
	l.appends++
	l.bytes += bytes
	l.going.Add(1)
	return nil
}

func (l *natsLog) leave(bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.appends--
	l.bytes -= bytes
	l.going.Done()
}

// natsAppend is one call of Append.
type natsAppend struct {
	log     *natsLog
	entries []natsEntry
	// careful is whether some of the events may be in the stream already, so
	// that the batch was refused.
	careful bool
}

// natsEntry is one event of an append. It is stored if it has a position.
type natsEntry struct {
	event       *Event
	message     *nats.Msg
	original    *natsEntry // the same event earlier in the append
	position    Position
	isDuplicate bool
}

func (l *natsLog) newAppend(events []Event) (*natsAppend, error) {
	call := &natsAppend{log: l, entries: make([]natsEntry, len(events))}
	var known map[string]*natsEntry
	if len(events) > 1 {
		known = make(map[string]*natsEntry, len(events))
	}
	limit := l.conn.MaxPayload() - natsReserve
	for i := range events {
		entry := &call.entries[i]
		entry.event, entry.message = &events[i], l.message(&events[i])
		if size := entry.message.Size(); int64(size) > limit {
			return nil, &Error{Kind: ErrInvalid, Detail: fmt.Sprintf("event %d of %d has %d bytes with all it says, the NATS server takes %d (max_payload, less what a dead letter adds)", i+1, len(events), size, limit)}
		}
		if known == nil {
			continue
		}
		id := entry.message.Header.Get(jetstream.MsgIDHeader)
		if entry.original = known[id]; entry.original == nil {
			known[id] = entry
		} else if !entry.original.event.Same(entry.event) {
			return nil, Conflict(entry.event)
		}
	}
	return call, nil
}

func (a *natsAppend) receipts(durability Durability) []Receipt {
	receipts := make([]Receipt, len(a.entries))
	for i := range a.entries {
		entry := &a.entries[i]
		if entry.original != nil {
			entry.position, entry.isDuplicate = entry.original.position, true
		}
		receipts[i] = Receipt{Position: entry.position, Duplicate: entry.isDuplicate, Durability: durability}
	}
	return receipts
}

// try stores what is not stored yet, all of it or nothing.
func (a *natsAppend) try(ctx context.Context) error {
	if a.careful {
		if err := a.find(ctx); err != nil {
			return err
		}
		a.careful = false
	}
	rest := a.rest()
	switch len(rest) {
	case 0:
		return nil
	case 1:
		return a.log.storeOne(ctx, rest[0])
	}
	err := a.log.storeBatch(ctx, rest)
	a.careful = isNATS(err, natsBatchDuplicate)
	return err
}

// rest is what is not stored yet.
func (a *natsAppend) rest() (rest []*natsEntry) {
	for i := range a.entries {
		if entry := &a.entries[i]; entry.position == 0 && entry.original == nil {
			rest = append(rest, entry)
		}
	}
	return rest
}

// storeOne publishes one event.
func (l *natsLog) storeOne(ctx context.Context, entry *natsEntry) error {
	ack, err := l.publish(ctx, l.events, entry.message)
	if err == nil && ack.Duplicate {
		return l.recognize(ctx, entry, ack.Sequence)
	}
	entry.position = Position(ack.Sequence)
	return err
}

// recognize notes that an event is in the stream already, if the one that
// stands there is the same.
func (l *natsLog) recognize(ctx context.Context, entry *natsEntry, sequence uint64) error {
	message, err := l.get(ctx, l.events, natsGet{Sequence: sequence})
	if err != nil {
		return err
	}
	if message == nil {
		return &Error{Kind: ErrUnavailable, Detail: fmt.Sprintf("source %q, id %q was stored before at position %d and has been removed since; it is not stored again within %v", entry.event.Source, entry.event.ID, sequence, l.window)}
	}
	record, err := natsRecord(message.sequence, message.time, message.header, message.data)
	if err != nil {
		return err
	}
	if !record.Same(entry.event) || record.Source != entry.event.Source || record.ID != entry.event.ID {
		return Conflict(entry.event)
	}
	entry.position, entry.isDuplicate = record.Position, true
	return nil
}

// storeBatch publishes events as one atomic batch. The server stores them next
// to each other when it has them all, and acknowledges the last.
func (l *natsLog) storeBatch(ctx context.Context, entries []*natsEntry) error {
	select {
	case l.batches <- struct{}{}:
		defer func() { <-l.batches }()
	case <-ctx.Done():
		return ctx.Err()
	}
	id := l.conn.NewInbox()[len("_INBOX."):]
	last := len(entries) - 1
	var ack natsAck
	for i, entry := range entries {
		message := nats.Msg{Subject: entry.message.Subject, Data: entry.message.Data, Header: natsWith(entry.message.Header,
			"Nats-Batch-Id", id, "Nats-Batch-Sequence", strconv.Itoa(i+1))}
		var err error
		if i < last {
			err = l.conn.PublishMsg(&message)
		} else {
			message.Header["Nats-Batch-Commit"] = []string{"1"}
			ack, err = l.publish(ctx, l.events, &message)
		}
		if err != nil {
			return err
		}
	}
	if ack.Count != len(entries) {
		return fmt.Errorf("a batch of %d was acknowledged as one of %d", len(entries), ack.Count)
	}
	for i, entry := range entries {
		entry.position = Position(ack.Sequence) - Position(last-i)
	}
	return nil
}

// find looks up which of the events are in the stream already.
//
// There is no question for that. But the server looks for duplicates before it
// refuses the header Nats-Rollup, which the stream does not allow: so it tells
// a duplicate from a new event, and stores neither.
func (a *natsAppend) find(ctx context.Context) error {
	ask := func(entry *natsEntry) error {
		question := nats.Msg{Subject: entry.message.Subject, Header: natsWith(entry.message.Header, jetstream.MsgRollup, "never")}
		ack, err := a.log.publish(ctx, a.log.events, &question)
		switch {
		case isNATS(err, natsRollupRefused):
			return nil
		case err != nil:
			return err
		case !ack.Duplicate:
			return &Error{Kind: ErrUnavailable, Detail: fmt.Sprintf("its stream takes what it must refuse: allow_rollup_hdrs was set; remove position %d", ack.Sequence)}
		}
		return a.log.recognize(ctx, entry, ack.Sequence)
	}
	for some := range slices.Chunk(a.rest(), 64) {
		errs := make([]error, len(some))
		var group sync.WaitGroup
		for i, entry := range some {
			group.Go(func() { errs[i] = ask(entry) })
		}
		group.Wait()
		for _, err := range errs {
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// natsWith is a header with more fields.
func natsWith(header nats.Header, more ...string) nats.Header {
	with := make(nats.Header, len(header)+len(more)/2+1)
	for name, values := range header {
		with[name] = values
	}
	for i := 0; i < len(more); i += 2 {
		with[more[i]] = []string{more[i+1]}
	}
	return with
}

// isNATS is whether an error is one of JetStream, with one of the codes.
func isNATS(err error, codes ...jetstream.ErrorCode) bool {
	var refusal *jetstream.APIError
	return errors.As(err, &refusal) && slices.Contains(codes, refusal.ErrorCode)
}

package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// How much may wait for an acknowledgement at a time.
const (
	maxAppends     = 8192
	maxAppendBytes = eventlog.MaxAppendBytes
	// maxBatches is below the 50 that a server allows for one stream, for
	// other processes publish as well.
	maxBatches = 12
)

// deadLetterReserve is what the server must take beyond an event for it to become a
// dead letter.
const deadLetterReserve = 8 << 10

// Append implements [eventlog.Log]. A single event is a message, several are an atomic
// batch. Up to 8192 appends, with 64 MiB of events, may be waiting for their
// acknowledgement; beyond that the error is [eventlog.ErrFull], at once.
//
// What the server does not acknowledge in time is sent again, and stored once:
// if the first try had come through after all, its receipt is that of a
// duplicate.
func (l *streamLog) Append(ctx context.Context, events ...eventlog.Event) ([]eventlog.Receipt, error) {
	if err := l.usable(ctx, true); err != nil {
		return nil, err
	}
	bytes, err := eventlog.Validate(events)
	if err != nil {
		return nil, err
	}
	if err := l.admit(bytes); err != nil {
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

func (l *streamLog) admit(bytes int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return &eventlog.Error{Kind: eventlog.ErrClosed}
	case l.appends >= maxAppends || l.appends > 0 && l.bytes+bytes > maxAppendBytes:
		return &eventlog.Error{Kind: eventlog.ErrFull, Detail: fmt.Sprintf("%d appends are waiting", l.appends)}
	}
	l.appends++
	l.bytes += bytes
	l.going.Add(1)
	return nil
}

func (l *streamLog) leave(bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.appends--
	l.bytes -= bytes
	l.going.Done()
}

// appendCall is one call of Append.
type appendCall struct {
	log     *streamLog
	entries []entry
	// careful is whether some of the events may be in the stream already, so
	// that the batch was refused.
	careful bool
}

// entry is one event of an append. It is stored if it has a position.
type entry struct {
	event       *eventlog.Event
	message     *nats.Msg
	original    *entry // the same event earlier in the append
	position    eventlog.Position
	isDuplicate bool
}

func (l *streamLog) newAppend(events []eventlog.Event) (*appendCall, error) {
	call := &appendCall{log: l, entries: make([]entry, len(events))}
	var known map[string]*entry
	if len(events) > 1 {
		known = make(map[string]*entry, len(events))
	}
	limit := l.conn.MaxPayload() - deadLetterReserve
	for i := range events {
		entry := &call.entries[i]
		entry.event, entry.message = &events[i], l.message(&events[i])
		if size := entry.message.Size(); int64(size) > limit {
			return nil, &eventlog.Error{Kind: eventlog.ErrInvalid, Detail: fmt.Sprintf("event %d of %d has %d bytes with all it says, the NATS server takes %d (max_payload, less what a dead letter adds)", i+1, len(events), size, limit)}
		}
		if known == nil {
			continue
		}
		id := entry.message.Header.Get(jetstream.MsgIDHeader)
		if entry.original = known[id]; entry.original == nil {
			known[id] = entry
		} else if !entry.original.event.Same(entry.event) {
			return nil, eventlog.Conflict(entry.event)
		}
	}
	return call, nil
}

func (a *appendCall) receipts(durability eventlog.Durability) []eventlog.Receipt {
	receipts := make([]eventlog.Receipt, len(a.entries))
	for i := range a.entries {
		entry := &a.entries[i]
		if entry.original != nil {
			entry.position, entry.isDuplicate = entry.original.position, true
		}
		receipts[i] = eventlog.Receipt{Position: entry.position, Duplicate: entry.isDuplicate, Durability: durability}
	}
	return receipts
}

// try stores what is not stored yet, all of it or nothing.
func (a *appendCall) try(ctx context.Context) error {
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
	a.careful = hasCode(err, codeBatchDuplicate)
	return err
}

// rest is what is not stored yet.
func (a *appendCall) rest() (rest []*entry) {
	for i := range a.entries {
		if entry := &a.entries[i]; entry.position == 0 && entry.original == nil {
			rest = append(rest, entry)
		}
	}
	return rest
}

// storeOne publishes one event.
func (l *streamLog) storeOne(ctx context.Context, entry *entry) error {
	ack, err := l.publish(ctx, l.events, entry.message)
	if err == nil && ack.Duplicate {
		return l.recognize(ctx, entry, ack.Sequence)
	}
	entry.position = eventlog.Position(ack.Sequence)
	return err
}

// recognize notes that an event is in the stream already, if the one that
// stands there is the same.
func (l *streamLog) recognize(ctx context.Context, entry *entry, sequence uint64) error {
	message, err := l.get(ctx, l.events, getRequest{Sequence: sequence})
	if err != nil {
		return err
	}
	if message == nil {
		return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: fmt.Sprintf("source %q, id %q was stored before at position %d and has been removed since; it is not stored again within %v", entry.event.Source, entry.event.ID, sequence, l.window)}
	}
	record, err := parseRecord(message.sequence, message.time, message.header, message.data)
	if err != nil {
		return err
	}
	if !record.Same(entry.event) || record.Source != entry.event.Source || record.ID != entry.event.ID {
		return eventlog.Conflict(entry.event)
	}
	entry.position, entry.isDuplicate = record.Position, true
	return nil
}

// storeBatch publishes events as one atomic batch. The server stores them next
// to each other when it has them all, and acknowledges the last.
func (l *streamLog) storeBatch(ctx context.Context, entries []*entry) error {
	select {
	case l.batches <- struct{}{}:
		defer func() { <-l.batches }()
	case <-ctx.Done():
		return ctx.Err()
	}
	id := l.conn.NewInbox()[len("_INBOX."):]
	last := len(entries) - 1
	var ack acknowledgement
	for i, entry := range entries {
		message := nats.Msg{Subject: entry.message.Subject, Data: entry.message.Data, Header: withHeaders(entry.message.Header,
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
		entry.position = eventlog.Position(ack.Sequence) - eventlog.Position(last-i)
	}
	return nil
}

// find looks up which of the events are in the stream already.
//
// There is no question for that. But the server looks for duplicates before it
// refuses the header Nats-Rollup, which the stream does not allow: so it tells
// a duplicate from a new event, and stores neither.
func (a *appendCall) find(ctx context.Context) error {
	ask := func(entry *entry) error {
		question := nats.Msg{Subject: entry.message.Subject, Header: withHeaders(entry.message.Header, jetstream.MsgRollup, "never")}
		ack, err := a.log.publish(ctx, a.log.events, &question)
		switch {
		case hasCode(err, codeRollupRefused):
			return nil
		case err != nil:
			return err
		case !ack.Duplicate:
			return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: fmt.Sprintf("its stream takes what it must refuse: allow_rollup_hdrs was set; remove position %d", ack.Sequence)}
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

// withHeaders is a header with more fields.
func withHeaders(header nats.Header, more ...string) nats.Header {
	with := make(nats.Header, len(header)+len(more)/2+1)
	for name, values := range header {
		with[name] = values
	}
	for i := 0; i < len(more); i += 2 {
		with[more[i]] = []string{more[i+1]}
	}
	return with
}

// hasCode is whether an error is one of JetStream, with one of the codes.
func hasCode(err error, codes ...jetstream.ErrorCode) bool {
	var refusal *jetstream.APIError
	return errors.As(err, &refusal) && slices.Contains(codes, refusal.ErrorCode)
}

package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// How much of one log may be in flight: sent, and not acknowledged yet.
const (
	maxAppends     = 8192
	maxAppendBytes = eventlog.MaxAppendBytes
	// maxBatches is less than the 50 that a server allows for one stream, because
	// other processes publish batches, too.
	maxBatches = 12
)

// deadLetterReserve is how many bytes larger than an event its dead letter may
// be. An event is accepted only if the server would accept its dead letter.
const deadLetterReserve = 8 << 10

// Append implements [eventlog.Log]. Several events are sent as an atomic batch, a single one
// as a message or in a batch with those of others (see [groups]). Up to 8192 appends, with
// 64 MiB of events, may be in flight; beyond that the error is [eventlog.ErrFull], at once.
//
// What the server does not acknowledge in time is sent again, and stored once. If
// it had stored the first try after all, the receipt is that of a duplicate.
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
	if _, err := l.provenDurability(ctx); err != nil {
		return nil, err
	}
	call, err := l.newAppend(events)
	if err != nil {
		return nil, err
	}
	if err := l.keepSchemas(ctx, events); err != nil {
		return nil, err
	}
	stored := false
	if len(events) == 1 {
		stored, err = l.storeGrouped(ctx, &call.entries[0])
	}
	if !stored && err == nil {
		err = l.do(ctx, call.try)
	}
	if err != nil {
		return nil, err
	}
	l.extendSchemas(ctx, call.entries)
	durability, err := l.provenDurability(ctx)
	if err != nil {
		return nil, err
	}
	return call.receipts(durability), nil
}

// admit counts an append as in flight, or returns why it can't be.
func (l *streamLog) admit(bytes int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return &eventlog.Error{Kind: eventlog.ErrClosed}
	case l.appends >= maxAppends || l.appends > 0 && l.bytes+bytes > maxAppendBytes:
		return &eventlog.Error{Kind: eventlog.ErrFull, Detail: fmt.Sprintf("%d appends are waiting for their acknowledgement", l.appends)}
	}
	l.appends++
	l.bytes += bytes
	l.inFlight.Add(1)
	return nil
}

// leave ends what admit began.
func (l *streamLog) leave(bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.appends--
	l.bytes -= bytes
	l.inFlight.Done()
}

// appendCall is one call of Append.
type appendCall struct {
	log     *streamLog
	entries []entry
	// mustLookUp reports whether a batch was refused because some of its events
	// are in the stream already: then the next try looks up which.
	mustLookUp bool
}

// entry is an event of an append.
type entry struct {
	event       *eventlog.Event
	message     *nats.Msg
	size        int               // of the message
	original    *entry            // the same event earlier in the append; nil if there is none
	position    eventlog.Position // 0 until it is stored
	isDuplicate bool
}

// newAppend returns the call that appends events, or what is wrong with them.
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
		if entry.size = entry.message.Size(); int64(entry.size) > limit {
			return nil, &eventlog.Error{Kind: eventlog.ErrInvalid, Detail: fmt.Sprintf("event %d of %d has %d bytes with its headers, and the NATS server accepts %d (its max_payload, minus what a dead letter adds)", i+1, len(events), entry.size, limit)}
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

// receipts returns the receipts of all events, once they are stored.
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

// try stores the events that are not stored yet, all of them or none.
func (a *appendCall) try(ctx context.Context) error {
	if a.mustLookUp {
		if err := a.lookUp(ctx); err != nil {
			return err
		}
		a.mustLookUp = false
	}
	entries := a.unstored()
	switch len(entries) {
	case 0:
		return nil
	case 1:
		return a.log.storeOne(ctx, entries[0])
	}
	err := a.log.storeBatch(ctx, entries)
	a.mustLookUp = hasCode(err, codeBatchDuplicate)
	return err
}

// unstored returns the entries whose events are not stored yet.
func (a *appendCall) unstored() (entries []*entry) {
	for i := range a.entries {
		if entry := &a.entries[i]; entry.position == 0 && entry.original == nil {
			entries = append(entries, entry)
		}
	}
	return entries
}

// storeOne publishes one event.
func (l *streamLog) storeOne(ctx context.Context, entry *entry) error {
	begin := time.Now()
	ack, err := l.publish(ctx, l.events, entry.message)
	if err == nil && ack.Duplicate {
		return l.markDuplicate(ctx, entry, ack.Sequence)
	}
	if err == nil {
		l.Committed(1, int64(entry.event.Size()), time.Since(begin))
	}
	entry.position = eventlog.Position(ack.Sequence)
	return err
}

// markDuplicate makes an entry the duplicate of the event at a sequence, which has
// its source and id. If the two differ otherwise, they are in conflict.
func (l *streamLog) markDuplicate(ctx context.Context, entry *entry, sequence uint64) error {
	message, err := l.get(ctx, l.events, getRequest{Sequence: sequence})
	if err != nil {
		return err
	}
	if message == nil {
		if message, err = l.get(ctx, l.consumers(), getRequest{Last: l.erasedSubject(sequence)}); err != nil {
			return err
		}
	}
	if message == nil {
		return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: fmt.Sprintf("source %q, id %q was stored before at position %d and has been removed since; it can't be stored again within %v of then (the parameter window)", entry.event.Source, entry.event.ID, sequence, l.window)}
	}
	record, err := parseRecord(sequence, message.time, message.header, message.data)
	if err != nil {
		return err
	}
	if !record.Stores(entry.event) || record.Source != entry.event.Source || record.ID != entry.event.ID {
		return eventlog.Conflict(entry.event)
	}
	entry.position, entry.isDuplicate = record.Position, true
	return nil
}

// batchHeaders are the headers by which a message belongs to a batch.
var batchHeaders = [...]string{"Nats-Batch-Id", "Nats-Batch-Sequence", "Nats-Batch-Commit"}

// storeBatch publishes events as one atomic batch. Once the server has all of them
// it stores them at consecutive sequences, and acknowledges the last.
func (l *streamLog) storeBatch(ctx context.Context, entries []*entry) error {
	select {
	case l.batches <- struct{}{}:
		defer func() { <-l.batches }()
	case <-ctx.Done():
		return ctx.Err()
	}
	id := l.newID()
	begin, bytes := time.Now(), 0
	last := len(entries) - 1
	var ack acknowledgement
	defer func() {
		for _, entry := range entries {
			for _, name := range batchHeaders {
				delete(entry.message.Header, name)
			}
		}
	}()
	ids := []string{id}
	for i, entry := range entries {
		header := entry.message.Header
		header[batchHeaders[0]], header[batchHeaders[1]] = ids, []string{strconv.Itoa(i + 1)}
		var err error
		if i < last {
			err = l.conn.PublishMsg(entry.message)
		} else {
			header[batchHeaders[2]] = []string{"1"}
			ack, err = l.publish(ctx, l.events, entry.message)
		}
		if err != nil {
			return err
		}
	}
	if ack.Count != len(entries) {
		return fmt.Errorf("a batch of %d events was acknowledged as one of %d", len(entries), ack.Count)
	}
	for i, entry := range entries {
		entry.position = eventlog.Position(ack.Sequence) - eventlog.Position(last-i)
		bytes += entry.event.Size()
	}
	l.Committed(len(entries), int64(bytes), time.Since(begin))
	return nil
}

// lookUp finds out which of the events are in the stream already.
//
// JetStream has no request for that. But a server looks for duplicates before it
// refuses a message with the header Nats-Rollup, which the stream does not allow.
// So the answer to a message with that header says whether the event is a
// duplicate, and the server stores nothing in either case. The cost is one
// message without data for each event.
func (a *appendCall) lookUp(ctx context.Context) error {
	ask := func(entry *entry) error {
		probe := nats.Msg{Subject: entry.message.Subject, Header: withHeaders(entry.message.Header, jetstream.MsgRollup, "never")}
		ack, err := a.log.publish(ctx, a.log.events, &probe)
		switch {
		case hasCode(err, codeRollupRefused):
			return nil
		case err != nil:
			return err
		case !ack.Duplicate:
			return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: fmt.Sprintf("its stream was changed to allow rollups, and has stored a message that is not an event; unset allow_rollup_hdrs and remove the message at position %d", ack.Sequence)}
		}
		return a.log.markDuplicate(ctx, entry, ack.Sequence)
	}
	for entries := range slices.Chunk(a.unstored(), 64) {
		errs := make([]error, len(entries))
		var group sync.WaitGroup
		for i, entry := range entries {
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

// withHeaders returns a copy of a header with more fields, given as names and
// values.
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

// hasCode reports whether an error is one of JetStream's with one of the codes.
func hasCode(err error, codes ...jetstream.ErrorCode) bool {
	var apiError *jetstream.APIError
	return errors.As(err, &apiError) && slices.Contains(codes, apiError.ErrorCode)
}

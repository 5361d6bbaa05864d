//runtime:with operate.Backup eventlog.FileLog eventlog.Restore eventlog.ImportLog eventlog.EraseLog

package nats

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Import implements [eventlog.ImportLog]. Events are sent as one atomic batch, which the
// server stores only if nothing else was stored since. If some are in the log already, the
// events are sent one by one, each in the same way; then a failure leaves the first of them.
func (l *streamLog) Import(ctx context.Context, after eventlog.Position, records []eventlog.Record) ([]eventlog.Position, error) {
	if err := l.usable(ctx, true); err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, nil
	}
	events := make([]eventlog.Event, len(records))
	for i := range records {
		events[i] = records[i].Event
	}
	call, err := l.newImport(events)
	if err != nil {
		return nil, err
	}
	for i := range records {
		header := call.entries[i].message.Header
		header[headerMoved] = []string{records[i].Recorded.UTC().Format(time.RFC3339Nano)}
		if records[i].Erased {
			header[headerErased] = []string{"true"}
		}
	}
	if err := l.keepSchemas(ctx, events); err != nil {
		return nil, err
	}
	last := uint64(after)
	if after == 0 {
		if last, err = l.beginAt(ctx, uint64(records[0].Position)); err != nil {
			return nil, err
		}
	}
	entries := call.unstored()
	if len(entries) > 1 {
		err = l.importBatch(ctx, last, entries)
	}
	if len(entries) == 1 || hasCode(err, codeBatchDuplicate) {
		err = l.importEach(ctx, last, entries)
	}
	if err != nil {
		return nil, err
	}
	positions := make([]eventlog.Position, len(records))
	for i := range call.entries {
		entry := &call.entries[i]
		if entry.isDuplicate {
			continue
		}
		if positions[i] = entry.position; records[i].Erased { // so that it is counted
			if err := l.do(ctx, func(ctx context.Context) error { return l.noteErased(ctx, &events[i], entry.position) }); err != nil {
				return nil, err
			}
		}
	}
	return positions, nil
}

// newImport returns the call that imports events: one that comes again is left out.
func (l *streamLog) newImport(events []eventlog.Event) (*appendCall, error) {
	if _, err := eventlog.Validate(events); err != nil {
		return nil, err
	}
	return l.newAppend(events)
}

// beginAt makes the next event of an empty stream have a sequence, unless the stream has
// had it before, and returns the one before it.
func (l *streamLog) beginAt(ctx context.Context, sequence uint64) (last uint64, err error) {
	err = l.do(ctx, func(ctx context.Context) error {
		stream, err := l.jetstream.Stream(ctx, l.events)
		if err != nil {
			return err
		}
		state := stream.CachedInfo().State
		if state.Msgs > 0 {
			return eventlog.NotLast(0, eventlog.Position(state.LastSeq))
		}
		if last = state.LastSeq; last+1 >= sequence {
			return nil
		}
		if err := stream.Purge(ctx, jetstream.WithPurgeSequence(sequence)); err != nil {
			return err
		}
		last = sequence - 1
		return nil
	})
	return last, err
}

// importBatch stores entries after a sequence, which must be the last.
func (l *streamLog) importBatch(ctx context.Context, last uint64, entries []*entry) error {
	first := entries[0].message
	first.Header = withHeaders(first.Header, jetstream.ExpectedLastSeqHeader, strconv.FormatUint(last, 10))
	err := l.do(ctx, func(ctx context.Context) error {
		err := l.storeBatch(ctx, entries)
		if hasCode(err, codeWrongLast, codeWrongLastNow) {
			return l.isImported(ctx, last, entries)
		}
		if hasCode(err, codeBatchDuplicate) {
			// One of them is stored already: perhaps all are, by an earlier try.
			if l.isImported(ctx, last, entries) == nil {
				return nil
			}
			return &eventlog.Error{Kind: eventlog.ErrConflict, Cause: err} // another try gets the same
		}
		return err
	})
	delete(first.Header, jetstream.ExpectedLastSeqHeader)
	return err
}

// isImported returns nil if entries are stored after a sequence: then an earlier try stored
// them, whose acknowledgement was lost.
func (l *streamLog) isImported(ctx context.Context, last uint64, entries []*entry) error {
	final := entries[len(entries)-1]
	sequence := last + uint64(len(entries))
	message, err := l.get(ctx, l.events, getRequest{Sequence: sequence})
	if err != nil {
		return err
	}
	if message == nil || message.header.Get(jetstream.MsgIDHeader) != final.message.Header.Get(jetstream.MsgIDHeader) {
		return &eventlog.Error{Kind: eventlog.ErrConflict, Detail: fmt.Sprintf("the log does not end at position %d: something else writes to it", last)}
	}
	for i, entry := range entries {
		entry.position = eventlog.Position(last) + eventlog.Position(i) + 1
	}
	return nil
}

// importEach stores entries one by one.
func (l *streamLog) importEach(ctx context.Context, last uint64, entries []*entry) error {
	for i, entry := range entries {
		single := entries[i : i+1]
		entry.position, entry.isDuplicate = 0, false
		entry.message.Header = withHeaders(entry.message.Header, jetstream.ExpectedLastSeqHeader, strconv.FormatUint(last, 10))
		err := l.do(ctx, func(ctx context.Context) error {
			ack, err := l.publish(ctx, l.events, entry.message)
			switch {
			case err == nil && ack.Duplicate && ack.Sequence == last+1: // by an earlier try
			case err == nil && ack.Duplicate:
				return l.markDuplicate(ctx, entry, ack.Sequence)
			case hasCode(err, codeWrongLast, codeWrongLastNow):
				return l.isImported(ctx, last, single)
			case err != nil:
				return err
			}
			entry.position = eventlog.Position(ack.Sequence)
			return nil
		})
		if err != nil {
			return err
		}
		if !entry.isDuplicate {
			last = uint64(entry.position)
		}
	}
	return nil
}

var _ eventlog.ImportLog = (*streamLog)(nil)

//runtime:with operate.Backup eventlog.FileLog eventlog.Restore eventlog.ImportLog eventlog.EraseLog

package nats

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Erase implements [eventlog.EraseLog]. A message can't be changed, so the server removes
// it, and overwrites what it had. What it was is in a message of its own, by which an event
// that is sent again is known within the window. Reading passes over the position. Dead letters
// are purged, which overwrites nothing; nor is anything overwritten in the Raft logs of streams
// with replicas.
func (l *streamLog) Erase(ctx context.Context, source, subject string, positions ...eventlog.Position) (erased eventlog.Erasure, err error) {
	if err := l.usable(ctx, true); err != nil {
		return erased, err
	}
	end, _, err := l.end(ctx)
	if err != nil {
		return erased, err
	}
	one := &eventlog.Event{Source: source, Subject: subject}
	at := map[eventlog.Position]bool{}
	for _, position := range positions {
		at[position] = true
	}
	isMeant := func(record *eventlog.Record) bool {
		return record.Source == source && record.Subject == subject && (len(at) == 0 || at[record.Position])
	}
	for next := uint64(1); ; {
		var message *storedMessage
		err := l.do(ctx, func(ctx context.Context) (err error) {
			message, err = l.get(ctx, l.events, getRequest{Sequence: next, Next: l.subject(one)})
			return err
		})
		if err != nil {
			return erased, err
		}
		if message == nil || eventlog.Position(message.sequence) > end {
			break
		}
		next = message.sequence + 1
		record, err := parseRecord(message.sequence, message.time, message.header, message.data)
		if err != nil || record.Erased || !isMeant(&record) {
			continue
		}
		if err := l.eraseOne(ctx, &record); err != nil {
			return erased, err
		}
		erased.Events++
	}
	for letter, err := range l.Dead(ctx, "") {
		if err != nil {
			return erased, err
		}
		if isMeant(&letter.Record) {
			if err := l.noteDeleted(ctx, &letter.Record, end); err != nil {
				return erased, err
			}
			count, err := l.Discard(ctx, letter.Consumer, letter.Position)
			if err != nil {
				return erased, err
			}
			erased.Letters += int64(count)
		}
	}
	return erased, nil
}

// eraseOne removes a message, once it is stored what it was.
func (l *streamLog) eraseOne(ctx context.Context, record *eventlog.Record) error {
	return l.do(ctx, func(ctx context.Context) error {
		if err := l.noteErased(ctx, &record.Event, record.Position); err != nil {
			return err
		}
		stream, err := l.jetstream.Stream(ctx, l.events)
		if err != nil {
			return err
		}
		err = stream.SecureDeleteMsg(ctx, uint64(record.Position))
		if errors.Is(err, jetstream.ErrMsgNotFound) || hasCode(err, jetstream.JSErrCodeMessageNotFound) { // by an earlier try
			return nil
		}
		return err
	})
}

// noteDeleted stores that an event is erased if it is deleted and only its dead letter is
// left, which a consumer may be trying again.
func (l *streamLog) noteDeleted(ctx context.Context, record *eventlog.Record, end eventlog.Position) error {
	if record.Position > end {
		return nil
	}
	return l.do(ctx, func(ctx context.Context) error {
		message, err := l.get(ctx, l.events, getRequest{Sequence: uint64(record.Position)})
		if err == nil && message == nil {
			message, err = l.get(ctx, l.consumers(), getRequest{Last: l.erasedSubject(uint64(record.Position))})
		}
		if err != nil || message != nil {
			return err
		}
		return l.noteErased(ctx, &record.Event, record.Position)
	})
}

// noteErased stores which event is erased at a position.
func (l *streamLog) noteErased(ctx context.Context, event *eventlog.Event, position eventlog.Position) error {
	rest := *event
	rest.Subject, rest.Data, rest.Traceparent, rest.Version = "", nil, "", ""
	message := &nats.Msg{Subject: l.erasedSubject(uint64(position)), Header: l.message(&rest).Header}
	delete(message.Header, jetstream.MsgIDHeader)
	message.Header[jetstream.ExpectedStreamHeader] = []string{l.consumers()}
	message.Header[headerErased] = []string{"true"}
	_, err := l.publish(ctx, l.consumers(), message)
	return err
}

var _ eventlog.EraseLog = (*streamLog)(nil)

package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// What a reader asks the server for ahead of what it yields.
const (
	pageEvents = 512
	pageBytes  = 8 << 20 // or twice what one message may have
)

// Read implements [eventlog.Log].
func (l *streamLog) Read(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		reader, done, err := l.newReader(ctx, from)
		if err == nil && !done {
			err = reader.run(ctx, l.timeout, yield)
		}
		if err != nil {
			yield(eventlog.Record{}, err)
		}
	}
}

// Tail implements [eventlog.Log]. It outlasts what happens to servers, and gives up if no
// server is heard of for four times as long as an operation is tried: a minute;
// or if its stream is another than before, whose positions say nothing of what
// was yielded.
func (l *streamLog) Tail(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		reader := &reader{log: l, from: from, end: endless}
		err := reader.expect(from)
		if err == nil {
			err = reader.run(ctx, 4*l.timeout, yield)
		}
		if err != nil {
			yield(eventlog.Record{}, err)
		}
	}
}

// newReader returns the reader of what the log holds now; done reports whether
// there is nothing to read.
func (l *streamLog) newReader(ctx context.Context, from eventlog.From) (_ *reader, done bool, err error) {
	end, made, err := l.end(ctx)
	if err != nil {
		return nil, false, err
	}
	reader := &reader{log: l, from: from, end: end, made: made}
	if from.Log != "" {
		if err := reader.expect(from); err != nil {
			return nil, false, err
		}
		return reader, false, nil // even if there is nothing after it, which may be why
	}
	done = end <= from.After
	if !done && !from.Since.IsZero() {
		done, err = l.isAtEnd(ctx, from, end)
	}
	return reader, done, err
}

// endless is behind all positions.
const endless = eventlog.Position(1<<63 - 1)

// end is the greatest position in the log, 0 if it is empty, and when the stream
// was made that it is in.
func (l *streamLog) end(ctx context.Context) (end eventlog.Position, made time.Time, err error) {
	if err := l.usable(ctx, false); err != nil {
		return 0, time.Time{}, err
	}
	err = l.do(ctx, func(ctx context.Context) error {
		info, err := l.info(ctx, l.events)
		if err != nil {
			return err
		}
		if made = info.Created; info.State.Msgs > 0 {
			end = eventlog.Position(info.State.LastSeq)
		}
		return nil
	})
	return end, made, err
}

// info asks the leader of a stream how it is.
func (l *streamLog) info(ctx context.Context, stream string, options ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	handle, err := l.jetstream.Stream(ctx, stream)
	if err != nil || len(options) == 0 {
		if err != nil {
			return nil, err
		}
		return handle.CachedInfo(), nil
	}
	return handle.Info(ctx, options...)
}

// reader yields what stands behind a place, up to an end.
type reader struct {
	log   *streamLog
	from  eventlog.From
	end   eventlog.Position
	heard time.Time         // when something was delivered, or there was nothing to deliver
	made  time.Time         // the stream; zero: any
	known eventlog.Position // has been in the stream
	doubt doubt
}

// run returns nil if it was stopped or came to the end, and gives up when it has
// heard nothing for a while.
func (r *reader) run(ctx context.Context, patience time.Duration, yield func(eventlog.Record, error) bool) error {
	open, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.log.open, cancel)()
	r.heard = time.Now()
	r.doubt.time = r.log.doubtTime()
	for {
		if err := r.log.usable(ctx, false); err != nil {
			return err
		}
		done, err := r.follow(open, yield)
		switch {
		case done:
			return nil
		case r.log.usable(ctx, false) != nil:
			continue
		case errors.As(err, new(*eventlog.Error)):
			return err
		case time.Since(r.heard) > patience, errors.Is(err, jetstream.ErrStreamNotFound):
			return r.log.unavailable(err)
		}
		// Its consumer was lost, with its server or on the way: go on behind
		// what was yielded.
		r.log.changeServer(r.heard)
		pause(open, 100*time.Millisecond)
	}
}

// follow yields what one consumer on the server delivers, for as long as that
// is without a gap.
func (r *reader) follow(ctx context.Context, yield func(eventlog.Record, error) bool) (done bool, err error) {
	delivery, err := r.log.deliver(ctx, r.from)
	if err != nil {
		return false, err
	}
	defer delivery.stop()
	if err := r.checkStream(ctx); err != nil {
		return false, err
	}
	for {
		message, err := delivery.next(ctx)
		if err != nil {
			return false, err
		}
		if message == nil {
			// It may be that the end is never reached, for events can be removed;
			// and that the server is cut off, and knows of no more.
			if r.end != endless || r.log.isCluster() {
				behind, err := r.log.isAtEnd(ctx, r.from, r.end)
				if err != nil {
					return false, fmt.Errorf("it can't be known whether there are more: %v", err) // which may change
				}
				if behind && r.end != endless {
					return true, nil
				}
			}
			r.heard = time.Now()
			continue
		}
		r.heard = time.Now()
		meta, err := message.Metadata()
		if err != nil {
			return false, err
		}
		position := eventlog.Position(meta.Sequence.Stream)
		if position > r.end {
			return true, nil
		}
		// A server that lags behind may begin earlier than it was told to.
		if position <= r.from.After || meta.Timestamp.Before(r.from.Since) {
			continue
		}
		record, err := parseRecord(meta.Sequence.Stream, meta.Timestamp, message.Header, message.Data)
		if err != nil {
			return false, err
		}
		if !yield(record, nil) || position == r.end {
			return true, nil
		}
		r.heard = time.Now() // what the caller took is not the server's silence
		r.from, r.known = eventlog.After(position), position
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
	}
}

// expect makes the reader fail if the stream is not the one that a position was
// in, or has lost what was there.
func (r *reader) expect(from eventlog.From) error {
	if from.Log == "" {
		return nil
	}
	made, err := time.Parse(time.RFC3339Nano, from.Log)
	if err != nil {
		return &eventlog.Error{Kind: eventlog.ErrInvalid, Detail: "From.Log is not of a log in NATS", Cause: err}
	}
	r.made, r.known = made, from.After
	return nil
}

// recognize makes sure that what is delivered comes from the stream that was
// read before, and that this still has what was read.
func (r *reader) checkStream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.log.timeout/4)
	defer cancel()
	info, err := r.log.info(ctx, r.log.events)
	if err != nil {
		return err
	}
	why, err := r.doubt.replaced(info, r.made, r.known)
	if err != nil {
		return err
	}
	if why != "" {
		return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "its events are not those that were read before", Cause: fmt.Errorf("%w: %s", eventlog.ErrReplaced, why)}
	}
	r.made = info.Created
	return nil
}

// isBehind is whether nothing stands between where reading begins and an end.
func (l *streamLog) isAtEnd(ctx context.Context, from eventlog.From, end eventlog.Position) (is bool, err error) {
	which := getRequest{Sequence: uint64(from.After) + 1, Next: ">"}
	switch year := from.Since.Year(); {
	case from.Since.IsZero():
	case year > 9999:
		return true, nil
	case year >= 1970:
		which = getRequest{Since: &from.Since, Next: ">"}
	}
	err = l.do(ctx, func(ctx context.Context) error {
		next, err := l.get(ctx, l.events, which)
		is = err == nil && (next == nil || eventlog.Position(next.sequence) > end)
		return err
	})
	return is, err
}

// delivery is what a consumer on the server delivers. It asks for one page
// after the other.
//
// The iterator of the jetstream package would do, but for a request that comes
// to the consumer's server before that has told the others of the consumer: it
// is lost, and noticed only when nothing was heard for seconds.
type delivery struct {
	log       *streamLog
	consumer  string
	messages  chan *nats.Msg
	inbox     *nats.Subscription // of all pages
	delivered uint64             // how many messages came, which the server counts as well
	page      string             // where the server answers for the page
	missing   int                // how many are still to come of the page
}

// maxSilence is after how long without a word a consumer is given up. The
// server says every second that it has nothing.
const maxSilence = 2500 * time.Millisecond

// deliver makes a consumer on the server. It acknowledges nothing, and the
// server forgets it when nobody has asked it for a while.
func (l *streamLog) deliver(ctx context.Context, from eventlog.From) (*delivery, error) {
	config := jetstream.ConsumerConfig{
		Name:              "reader-" + l.conn.NewInbox()[len(nats.InboxPrefix):],
		DeliverPolicy:     jetstream.DeliverAllPolicy,
		AckPolicy:         jetstream.AckNonePolicy,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: time.Minute,
	}
	switch year := from.Since.Year(); {
	case from.After > 0:
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, uint64(from.After)+1
	case year > 9999:
		config.DeliverPolicy = jetstream.DeliverNewPolicy
	case year >= 1970:
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &from.Since
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout/4)
	defer cancel()
	if _, err := l.jetstream.CreateOrUpdateConsumer(ctx, l.events, config); err != nil {
		return nil, err
	}
	d := &delivery{log: l, consumer: config.Name, messages: make(chan *nats.Msg, 2*pageEvents)}
	var err error
	if d.inbox, err = l.conn.ChanSubscribe(l.conn.NewInbox()+".*", d.messages); err != nil {
		return nil, err
	}
	return d, nil
}

// ask asks for a page.
func (d *delivery) ask() error {
	request, err := json.Marshal(map[string]any{
		"batch":          pageEvents,
		"max_bytes":      max(pageBytes, 2*d.log.conn.MaxPayload()),
		"expires":        30 * time.Second,
		"idle_heartbeat": time.Second,
	})
	if err != nil {
		return err
	}
	d.page = strings.TrimSuffix(d.inbox.Subject, "*") + strconv.FormatUint(d.delivered, 10)
	d.missing = pageEvents
	return d.log.conn.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+d.log.events+"."+d.consumer, d.page, request)
}

// next is the next message, or none if the server has nothing for now.
func (d *delivery) next(ctx context.Context) (*nats.Msg, error) {
	silence := time.NewTimer(maxSilence)
	defer silence.Stop()
	for {
		if d.missing == 0 {
			if err := d.ask(); err != nil {
				return nil, err
			}
		}
		var message *nats.Msg
		select {
		case message = <-d.messages:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-silence.C:
			return nil, errors.New("nothing was heard of the reader's consumer")
		}
		status := message.Header.Get("Status")
		switch {
		case message.Reply != "": // where others acknowledge it
			return message, d.count(message)
		case message.Subject != d.page: // the server is done with an earlier page
		case status == "100": // it has nothing
			return nil, d.compare(message.Header.Get("Nats-Last-Consumer"))
		case status == "404", status == "408": // and has waited for long
			d.missing = 0
		case status == "409" && message.Header.Get("Description") == "Batch Completed":
			d.missing = 0
		case status == "503": // the consumer is not known everywhere yet
			d.missing = 0
			pause(ctx, 5*time.Millisecond)
		default:
			return nil, fmt.Errorf("the reader's consumer: %s %s", status, message.Header.Get("Description"))
		}
	}
}

// count makes sure that no message was lost before this one.
func (d *delivery) count(message *nats.Msg) error {
	meta, err := message.Metadata()
	if err != nil {
		return err
	}
	d.delivered++
	d.missing--
	return d.compare(strconv.FormatUint(meta.Sequence.Consumer, 10))
}

// compare makes sure that as many messages came as the server has sent.
func (d *delivery) compare(sent string) error {
	if came := strconv.FormatUint(d.delivered, 10); sent != came {
		return fmt.Errorf("%s messages came of %s", came, sent)
	}
	return nil
}

func (d *delivery) stop() {
	_ = d.inbox.Unsubscribe()
	go func() { // if it fails the server forgets it a minute later
		ctx, cancel := context.WithTimeout(d.log.open, d.log.timeout)
		defer cancel()
		_ = d.log.jetstream.DeleteConsumer(ctx, d.log.events, d.consumer)
	}()
}

// pause waits for a duration, or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

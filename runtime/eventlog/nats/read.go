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

// How much a reader requests from the server at a time.
const (
	pageEvents = 512
	pageBytes  = 8 << 20 // or twice the largest message, if that is more
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

// Tail implements [eventlog.Log]. It survives failures of servers. It gives up if
// it hears from no server for four times the log's timeout, which is a minute
// unless the URL sets it, or if the stream was replaced, so that its positions
// have other events than those that were yielded.
func (l *streamLog) Tail(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		reader := &reader{log: l, from: from, end: noEnd}
		err := reader.expect(from)
		if err == nil {
			err = reader.run(ctx, 4*l.timeout, yield)
		}
		if err != nil {
			yield(eventlog.Record{}, err)
		}
	}
}

// newReader returns a reader of the events that the log has now. done reports
// whether there is nothing to read.
func (l *streamLog) newReader(ctx context.Context, from eventlog.From) (_ *reader, done bool, err error) {
	end, created, err := l.end(ctx)
	if err != nil {
		return nil, false, err
	}
	reader := &reader{log: l, from: from, end: end, created: created}
	if from.Log != "" {
		if err := reader.expect(from); err != nil {
			return nil, false, err
		}
		return reader, false, nil // if nothing comes after it, the reader finds out whether events were lost
	}
	done = end <= from.After
	if !done && !from.Since.IsZero() {
		done, err = l.isAtEnd(ctx, from, end)
	}
	return reader, done, err
}

// noEnd is the end of a reader that has none: it is after all positions.
const noEnd = eventlog.Position(1<<63 - 1)

// end returns the last position in the log, 0 if it is empty, and when its stream
// was created.
func (l *streamLog) end(ctx context.Context) (end eventlog.Position, created time.Time, err error) {
	if err := l.usable(ctx, false); err != nil {
		return 0, time.Time{}, err
	}
	err = l.do(ctx, func(ctx context.Context) error {
		info, err := l.info(ctx, l.events)
		if err != nil {
			return err
		}
		if created = info.Created; info.State.Msgs > 0 {
			end = eventlog.Position(info.State.LastSeq)
		}
		return nil
	})
	return end, created, err
}

// info asks the leader of a stream for its configuration and state.
func (l *streamLog) info(ctx context.Context, stream string, options ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	handle, err := l.jetstream.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	if len(options) == 0 {
		return handle.CachedInfo(), nil // which the line above has asked for
	}
	return handle.Info(ctx, options...)
}

// reader yields the events after a position, up to an end.
type reader struct {
	log       *streamLog
	from      eventlog.From
	end       eventlog.Position
	lastHeard time.Time         // when the server last delivered an event, or had none to deliver
	created   time.Time         // when the stream must have been created; zero if it may be any
	known     eventlog.Position // the last that is known to have been in the stream
	check     lossCheck
}

// run yields events until the end, or until yield returns false; then it returns
// nil. It gives up after it has heard nothing from the server for a time.
func (r *reader) run(ctx context.Context, maxSilence time.Duration, yield func(eventlog.Record, error) bool) error {
	open, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.log.open, cancel)()
	r.lastHeard = time.Now()
	r.check.certainAfter = r.log.staleLeaderTime()
	for {
		if err := r.log.usable(ctx, false); err != nil {
			return err
		}
		began := time.Now()
		done, err := r.follow(open, yield)
		denied := r.log.denied(began)
		switch {
		case done:
			return nil
		case r.log.usable(ctx, false) != nil:
			continue
		case denied != nil:
			return denied
		case errors.As(err, new(*eventlog.Error)):
			return err
		case time.Since(r.lastHeard) > maxSilence, errors.Is(err, jetstream.ErrStreamNotFound):
			return r.log.unavailable(err)
		}
		// The server or the connection has failed, and with it the delivery. The
		// next one begins after what was yielded.
		r.log.noteFailure(r.lastHeard)
		pause(open, 100*time.Millisecond)
	}
}

// follow yields the events of one delivery, until that fails or has a gap.
func (r *reader) follow(ctx context.Context, yield func(eventlog.Record, error) bool) (done bool, err error) {
	delivery, err := r.log.newDelivery(ctx, r.from)
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
			// The event at the end may have been removed, so that it is never
			// delivered. And a server that is cut off from its cluster may not
			// know that there are more events.
			if r.end != noEnd || r.log.isCluster() {
				atEnd, err := r.log.isAtEnd(ctx, r.from, r.end)
				if err != nil {
					return false, fmt.Errorf("whether there are more events can't be checked: %v", err) // %v, so that it is tried again
				}
				if atEnd && r.end != noEnd {
					return true, nil
				}
			}
			r.lastHeard = time.Now()
			continue
		}
		r.lastHeard = time.Now()
		meta, err := message.Metadata()
		if err != nil {
			return false, err
		}
		position := eventlog.Position(meta.Sequence.Stream)
		if position > r.end {
			return true, nil
		}
		// A server that lags may begin with an earlier event than requested.
		if position <= r.from.After || meta.Timestamp.Before(r.from.Since) {
			continue
		}
		r.from.LogDeleted(ctx, position)
		wanted := true
		if record, err := parseRecord(meta.Sequence.Stream, meta.Timestamp, message.Header, message.Data); err == nil {
			if err := r.log.findVersion(ctx, &record); err != nil {
				return false, err
			}
			wanted = yield(record, nil)
		} else {
			r.from.LogForeign(ctx, position, err)
		}
		if !wanted || position == r.end {
			return true, nil
		}
		r.lastHeard = time.Now() // the time that the caller took does not count as silence
		r.from, r.known = eventlog.From{After: position, Logger: r.from.Logger}, position
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
	}
}

// expect makes the reader fail if the stream is not the one that from.Log
// identifies, or if it has lost the event at from.After.
func (r *reader) expect(from eventlog.From) error {
	if from.Log == "" {
		return nil
	}
	created, err := time.Parse(time.RFC3339Nano, from.Log)
	if err != nil {
		return &eventlog.Error{Kind: eventlog.ErrInvalid, Detail: "From.Log does not identify a log in NATS; use what Hold.From returns", Cause: err}
	}
	r.created, r.known = created, from.After
	return nil
}

// checkStream returns an error if the stream is not the one that was read before,
// or has lost events that were read.
func (r *reader) checkStream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.log.timeout/4)
	defer cancel()
	info, err := r.log.info(ctx, r.log.events)
	if err != nil {
		return err
	}
	reason, err := r.check.replacedReason(info, r.created, r.known)
	if err != nil {
		return err
	}
	if reason != "" {
		return &eventlog.Error{Kind: eventlog.ErrReplaced, Cause: errors.New(reason)}
	}
	r.created = info.Created
	return nil
}

// isAtEnd reports whether the stream has no event from where reading begins up to
// an end.
func (l *streamLog) isAtEnd(ctx context.Context, from eventlog.From, end eventlog.Position) (atEnd bool, err error) {
	request := getRequest{Sequence: uint64(from.After) + 1, Next: ">"}
	switch year := from.Since.Year(); {
	case from.Since.IsZero():
	case year > 9999:
		return true, nil
	case year >= 1970:
		request = getRequest{Since: &from.Since, Next: ">"}
	}
	err = l.do(ctx, func(ctx context.Context) error {
		next, err := l.get(ctx, l.events, request)
		atEnd = err == nil && (next == nil || eventlog.Position(next.sequence) > end)
		return err
	})
	return atEnd, err
}

// delivery receives events through a consumer on the server, one page after the
// other.
//
// The iterator of the jetstream package would do the same, except in one case: a
// request that reaches the consumer's server before the other servers know the
// consumer is lost, and the iterator notices only after seconds of silence.
type delivery struct {
	log       *streamLog
	consumer  string // on the server
	messages  chan *nats.Msg
	inbox     *nats.Subscription // of all pages
	delivered uint64             // how many messages were received; the server counts them, too
	page      string             // the subject of the server's answers to the current request
	pending   int                // how many messages of the page were not received yet
}

// deliveryTimeout is how long a delivery waits for a message of any kind. A server
// that has no events sends a heartbeat every second.
const deliveryTimeout = 2500 * time.Millisecond

// newDelivery creates a consumer on the server. Its messages need no
// acknowledgement, and the server removes it after a minute without requests.
func (l *streamLog) newDelivery(ctx context.Context, from eventlog.From) (*delivery, error) {
	config := jetstream.ConsumerConfig{
		Name:              "reader-" + l.newID(),
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

// requestPage requests the next page.
func (d *delivery) requestPage() error {
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
	d.pending = pageEvents
	return d.log.conn.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+d.log.events+"."+d.consumer, d.page, request)
}

// next returns the next message, or nil if the server has none at the moment.
func (d *delivery) next(ctx context.Context) (*nats.Msg, error) {
	timeout := time.NewTimer(deliveryTimeout)
	defer timeout.Stop()
	for {
		if d.pending == 0 {
			if err := d.requestPage(); err != nil {
				return nil, err
			}
		}
		var message *nats.Msg
		select {
		case message = <-d.messages:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timeout.C:
			return nil, fmt.Errorf("the server has sent nothing for %v", deliveryTimeout)
		}
		status := message.Header.Get("Status")
		switch {
		case message.Reply != "": // only an event has one, for its acknowledgement
			return message, d.count(message)
		case message.Subject != d.page: // it is about an earlier page
		case status == "100": // a heartbeat: there is no event
			return nil, d.checkCount(message.Header.Get("Nats-Last-Consumer"))
		case status == "404", status == "408": // the request has expired
			d.pending = 0
		case status == "409" && message.Header.Get("Description") == "Batch Completed":
			d.pending = 0
		case status == "503": // not all servers know the consumer yet
			d.pending = 0
			pause(ctx, 5*time.Millisecond)
		default:
			return nil, fmt.Errorf("the reader's consumer: %s %s", status, message.Header.Get("Description"))
		}
	}
}

// count counts an event, and returns an error if one before it was lost.
func (d *delivery) count(message *nats.Msg) error {
	meta, err := message.Metadata()
	if err != nil {
		return err
	}
	d.delivered++
	d.pending--
	return d.checkCount(strconv.FormatUint(meta.Sequence.Consumer, 10))
}

// checkCount returns an error if the server has sent another number of events than
// was received.
func (d *delivery) checkCount(sent string) error {
	if received := strconv.FormatUint(d.delivered, 10); sent != received {
		return fmt.Errorf("%s of %s messages were received", received, sent)
	}
	return nil
}

// stop ends the delivery and removes its consumer.
func (d *delivery) stop() {
	_ = d.inbox.Unsubscribe()
	go func() { // if it fails, the server removes the consumer a minute later
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

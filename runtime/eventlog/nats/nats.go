// Package nats stores events in a stream of NATS JetStream, on a server or
// cluster of version 2.12 or later. Import it for [eventlog.Open] to know its
// URLs:
//
//	nats://[USER:PASSWORD@]HOST[:PORT],…/STREAM[?PARAMETER=VALUE&…]
//
// A user without a password is a token. With tls:// in place of nats:// the
// connection is always encrypted, otherwise only if the server requires it. Name
// all servers of a cluster: one that is cut off from the others does not list
// them. These are the parameters:
//
//	replicas         how many servers store an event, at least; default 3, and 1
//	                 with monitor or durability=none
//	window           how long an event's id is known, at least; default 10m
//	max-age          how long events are kept; default: for ever
//	max-bytes        how much is kept before the log is full, such as 10GB;
//	                 default: no limit
//	partitions       how many subjects the events of a source are spread over;
//	                 default 16
//	timeout          how long an operation is retried while a cluster repairs
//	                 itself; default 15s, and at most half of window and max-age
//	lease            how long a consumer's lease outlives its process; default 15s
//	monitor          http://HOST:8222, the monitoring address of a single server
//	durability=none  accept a stream whose events may not be durable
//	creds, nkey      files with the client's credentials
//	ca, cert, key    PEM files for TLS
//
// An acknowledged event is in most servers of a stream with three or more
// replicas, though perhaps not on their disks yet ([eventlog.Quorum]), or on the
// disk of a single server whose monitor reports sync_interval: always
// ([eventlog.Fsync]). A stream that proves neither is refused. With
// durability=none every stream is accepted, and nothing is proven
// ([eventlog.None]).
//
// The events are in the stream STREAM, as CloudEvents. The stream
// STREAM_consumers has the positions, leases and dead letters of the consumers, and
// the schemas of the events.
// Streams that don't exist are created; existing ones are checked, and never
// changed.
package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

func init() { eventlog.Register(open, "nats", "tls") }

// streamLog is a log whose events are in one JetStream stream, and the state and
// dead letters of its consumers in another.
type streamLog struct {
	*config
	eventlog.Commits
	mode eventlog.Mode

	conn      *nats.Conn
	jetstream jetstream.JetStream
	lastError atomic.Value              // *error: the last that the connection reported outside of a call
	denial    atomic.Pointer[denial]    // the last; nil if there was none
	failing   atomic.Pointer[time.Time] // since when nothing has succeeded at this server; nil if the last operation did

	proof   atomic.Pointer[proof] // of the durability; nil if it has to be proven again
	proving chan struct{}         // has an element while that happens

	batches chan struct{} // has an element for each batch in flight
	groups  groups

	open  context.Context // ends when the log is closed
	close context.CancelFunc

	account        context.Context // ends once the user turns out not to have access to it
	withoutAccount context.CancelFunc

	mu       sync.Mutex
	closed   bool
	appends  int            // how many are in flight
	bytes    int            // of the events in flight
	inFlight sync.WaitGroup // the appends in flight
	holds    map[*hold]bool

	schemas keptSchemas

	closing sync.Once
}

// The oldest version of a server that stores batches atomically.
const (
	minMajor = 2
	minMinor = 12
)

func open(ctx context.Context, url string, mode eventlog.Mode) (eventlog.Log, error) {
	config, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	log := &streamLog{config: config, mode: mode, batches: make(chan struct{}, maxBatches), proving: make(chan struct{}, 1), holds: map[*hold]bool{}}
	log.open, log.close = context.WithCancel(context.Background())
	log.account, log.withoutAccount = context.WithCancel(log.open)
	if err := log.connect(); err != nil {
		return nil, fmt.Errorf("%s: %w", config, err)
	}
	if err = log.openStreams(ctx); err == nil {
		err = log.assumeSchemas(ctx)
	}
	if err != nil {
		_ = log.Close()
		if cause := log.connectionError(); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w (%w)", err, cause)
		}
		return nil, fmt.Errorf("%s: %w", config, err)
	}
	return log, nil
}

// connect connects to a server, and returns an error if that is too old.
func (l *streamLog) connect() (err error) {
	options := nats.GetDefaultOptions()
	options.Servers = l.servers
	options.Name = "event log " + l.events
	options.AsyncErrorCB = func(_ *nats.Conn, _ *nats.Subscription, err error) { l.noteError(err) }
	for _, set := range l.options() {
		if err := set(&options); err != nil {
			return err
		}
	}
	if l.conn, err = options.Connect(); err != nil {
		return fmt.Errorf("no server can be reached: %w", err)
	}
	var major, minor int
	version := l.conn.ConnectedServerVersion()
	if _, err := fmt.Sscanf(version, "%d.%d.", &major, &minor); err != nil || major < minMajor || major == minMajor && minor < minMinor {
		l.conn.Close()
		return fmt.Errorf("the server has version %s, want %d.%d or later", version, minMajor, minMinor)
	}
	if l.jetstream, err = jetstream.New(l.conn); err != nil {
		l.conn.Close()
	}
	return err
}

// connectionError returns the last error that the server reported to the
// connection and not to the call that caused it, or nil. That is how the server
// reports a missing permission: the call itself gets no answer.
func (l *streamLog) connectionError() error {
	if err, ok := l.lastError.Load().(*error); ok {
		return *err
	}
	return nil
}

// newID returns a text that is different each time, as part of a subject may be.
func (l *streamLog) newID() string { return l.conn.NewInbox()[len(nats.InboxPrefix):] }

// Close implements [eventlog.Log].
func (l *streamLog) Close() error {
	l.closing.Do(func() {
		l.mu.Lock()
		l.closed = true
		holds := l.holds
		l.holds = nil
		l.mu.Unlock()
		l.inFlight.Wait()
		for hold := range holds {
			hold.lose(&eventlog.Error{Kind: eventlog.ErrClosed})
			_ = hold.Release() // if it fails, the lease expires
		}
		l.close()
		l.conn.Close()
	})
	return nil
}

// usable returns the error of a call that the log can't serve, or nil.
func (l *streamLog) usable(ctx context.Context, changes bool) error {
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	switch {
	case closed:
		return &eventlog.Error{Kind: eventlog.ErrClosed}
	case ctx.Err() != nil:
		return eventlog.Ended(ctx)
	case changes && l.mode == eventlog.ReadOnly:
		return &eventlog.Error{Kind: eventlog.ErrReadOnly}
	}
	return nil
}

// do tries an operation until it succeeds or returns an [eventlog.Error]. Any
// other error means that the server can't be reached or that the stream has no
// leader at the moment, which a cluster repairs within seconds. After the log's
// timeout the error is [eventlog.ErrUnavailable]. If ctx ends earlier than that,
// it is so shortly before the end of ctx: the caller learns what is wrong, and
// not just that its time is up.
func (l *streamLog) do(ctx context.Context, try func(context.Context) error) error {
	timeout := l.timeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline)*4/5)
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var cause error // why it did not succeed
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		began := time.Now()
		// A server that does not answer may have failed: the next try may reach
		// another one.
		attempt, cancel := context.WithTimeout(bounded, l.timeout/4)
		err := nats.ErrDisconnected
		if l.conn.IsConnected() || l.conn.IsClosed() { // otherwise nats.go would keep the request for ever
			err = try(attempt)
		}
		cancel()
		if err == nil {
			l.failing.Store(nil)
			return nil
		}
		if err = classify(err); errors.As(err, new(*eventlog.Error)) {
			return err
		}
		if denied := l.denied(began); denied != nil {
			return denied
		}
		if ctx.Err() == nil { // otherwise the caller had too little time
			l.noteFailure(began)
		}
		if cause == nil || !errors.Is(err, context.DeadlineExceeded) { // which says less than an answer that came before
			cause = err
		}
		select {
		case <-time.After(wait):
			continue
		case <-l.open.Done():
			return &eventlog.Error{Kind: eventlog.ErrClosed}
		case <-bounded.Done():
		}
		if ctx.Err() != nil {
			return eventlog.Ended(ctx)
		}
		return l.unavailable(cause)
	}
}

// noteFailure records that an operation which began at a time has failed. If
// nothing has succeeded for so long that the cluster should have repaired itself,
// it connects to another server: this one may be cut off from the others without
// knowing it.
func (l *streamLog) noteFailure(began time.Time) {
	l.failing.CompareAndSwap(nil, &began)
	now, since := time.Now(), l.failing.Load()
	if since != nil && now.Sub(*since) >= l.timeout/4 && l.conn.IsConnected() && l.isCluster() && len(l.conn.Servers()) > 1 && l.failing.CompareAndSwap(since, &now) {
		_ = l.conn.ForceReconnect()
	}
}

// isCluster reports whether the server is one of a cluster.
func (l *streamLog) isCluster() bool { return l.conn.ConnectedClusterName() != "" }

// unavailable returns the error of an operation that was given up, with all that
// is known of the cause.
func (l *streamLog) unavailable(err error) error {
	if cause := l.connectionError(); cause != nil {
		err = fmt.Errorf("%w (the last error of the connection: %w)", err, cause)
	}
	if !l.conn.IsConnected() {
		err = fmt.Errorf("not connected to %s: %w", l.config, err)
	}
	return &eventlog.Error{Kind: eventlog.ErrUnavailable, Cause: err}
}

// The codes of JetStream's errors that are handled here.
const (
	codeAccountFull    = 10002
	codeNoPeers        = 10005
	codeServerFull     = 10023
	codeMemoryFull     = 10028
	codeStorageFull    = 10047
	codeTooLarge       = 10054
	codeStoreFailed    = 10077
	codeHeaderTooLarge = 10097
	codeSealed         = 10109
	codeRollupRefused  = 10111
	codeWrongLast      = 10071
	codeWrongLastNow   = 10164
	codeBatchesOff     = 10174
	codeBatchTooLarge  = 10199
	codeBatchDuplicate = 10201
)

// classify returns the [eventlog.Error] for an error that another try would get,
// too, and any other error as it is.
func classify(err error) error {
	if errors.Is(err, nats.ErrMaxPayload) {
		return &eventlog.Error{Kind: eventlog.ErrInvalid, Detail: "it is larger than the NATS server accepts (max_payload)", Cause: err}
	}
	if errors.Is(err, nats.ErrConnectionClosed) {
		return &eventlog.Error{Kind: eventlog.ErrClosed, Cause: err}
	}
	var apiError *jetstream.APIError
	if !errors.As(err, &apiError) {
		return err
	}
	switch apiError.ErrorCode {
	case codeAccountFull, codeServerFull, codeMemoryFull, codeStorageFull, codeStoreFailed:
		return &eventlog.Error{Kind: eventlog.ErrFull, Detail: "its stream has no room", Cause: err}
	case codeTooLarge, codeHeaderTooLarge:
		return &eventlog.Error{Kind: eventlog.ErrInvalid, Detail: "it is larger than the NATS server accepts", Cause: err}
	case codeBatchTooLarge:
		return &eventlog.Error{Kind: eventlog.ErrInvalid, Detail: "the append has more events than the NATS server accepts in a batch (max_batch_size, by default 1000); append them in parts", Cause: err}
	case codeSealed, codeBatchesOff:
		return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "its stream was changed and no longer accepts events", Cause: err}
	}
	return err
}

// acknowledgement is the server's answer to a message: it is stored, or refused.
type acknowledgement struct {
	Stream    string              `json:"stream"`
	Sequence  uint64              `json:"seq"`
	Duplicate bool                `json:"duplicate"`
	Count     int                 `json:"count"` // how many messages the batch had
	Error     *jetstream.APIError `json:"error"`
}

// publish sends a message to a stream and waits for its acknowledgement.
func (l *streamLog) publish(ctx context.Context, stream string, message *nats.Msg) (ack acknowledgement, err error) {
	reply, err := l.conn.RequestMsgWithContext(ctx, message)
	if err != nil {
		return acknowledgement{}, err
	}
	switch err := json.Unmarshal(reply.Data, &ack); {
	case err != nil:
		return acknowledgement{}, fmt.Errorf("the acknowledgement can't be read: %w", err)
	case ack.Error != nil:
		return acknowledgement{}, ack.Error
	case ack.Stream != stream || ack.Sequence == 0:
		return acknowledgement{}, fmt.Errorf("want an acknowledgement from stream %s, got %.100q", stream, reply.Data)
	}
	return ack, nil
}

// storedMessage is a message of a stream.
type storedMessage struct {
	subject  string
	sequence uint64
	time     time.Time
	header   nats.Header
	data     []byte
}

// get asks the leader of a stream for one message. It returns nil if there is
// none.
//
// The jetstream package would ask any replica where the stream allows that, and
// one that lags does not know yet what the leader has acknowledged.
func (l *streamLog) get(ctx context.Context, stream string, request getRequest) (*storedMessage, error) {
	data, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	reply, err := l.conn.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, data)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Error   *jetstream.APIError
		Message struct {
			Subject string
			Seq     uint64
			Time    time.Time
			Hdrs    []byte
			Data    []byte
		}
	}
	switch err := json.Unmarshal(reply.Data, &answer); {
	case err != nil:
		return nil, err
	case answer.Error != nil && answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, nil
	case answer.Error != nil:
		return nil, answer.Error
	}
	message := &storedMessage{subject: answer.Message.Subject, sequence: answer.Message.Seq, time: answer.Message.Time, data: answer.Message.Data}
	if len(answer.Message.Hdrs) > 0 {
		message.header, err = nats.DecodeHeadersMsg(answer.Message.Hdrs)
	}
	return message, err
}

// getRequest is a request for one message of a stream: the one with a sequence;
// or the first with a subject, from a sequence or a time on; or the last with a
// subject.
type getRequest struct {
	Sequence uint64     `json:"seq,omitempty"`
	Since    *time.Time `json:"start_time,omitempty"`
	Next     string     `json:"next_by_subj,omitempty"` // the subject of the first; it may have wildcards
	Last     string     `json:"last_by_subj,omitempty"` // the subject of the last
}

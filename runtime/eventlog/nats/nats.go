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
// STREAM_consumers has the positions, leases and dead letters of the consumers.
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

// streamLog is a log in a JetStream stream, on a NATS server or cluster. Places
// and dead letters of its consumers are in a second stream beside it.
type streamLog struct {
	*config
	mode eventlog.Mode

	conn      *nats.Conn
	jetstream jetstream.JetStream
	complaint atomic.Value              // error: the last that the connection had, of no call
	failing   atomic.Pointer[time.Time] // since when nothing succeeds at this server; nil: the last thing did

	proof   atomic.Pointer[proof] // the last; nil: it has to be proven anew
	proving chan struct{}         // has an element while it is

	batches chan struct{} // has one element for each batch on its way

	open  context.Context // ends when the log is closed
	close context.CancelFunc

	mu      sync.Mutex
	closed  bool
	appends int            // on their way
	bytes   int            // of the appends
	going   sync.WaitGroup // the appends
	holds   map[*hold]bool

	closing sync.Once
}

// Version 2.12 was the first to publish batches atomically.
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
	if err := log.connect(); err != nil {
		return nil, fmt.Errorf("%s: %w", config, err)
	}
	if err := log.establish(ctx); err != nil {
		_ = log.Close()
		if cause := log.lastComplaint(); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w (%w)", err, cause)
		}
		return nil, fmt.Errorf("%s: %w", config, err)
	}
	return log, nil
}

func (l *streamLog) connect() (err error) {
	options := nats.GetDefaultOptions()
	options.Servers = l.servers
	options.Name = "event log " + l.events
	options.AsyncErrorCB = func(_ *nats.Conn, _ *nats.Subscription, err error) { l.complaint.Store(&err) }
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

// lastComplaint is what the server last refused without an answer to who had
// asked, as it does where a permission is missing.
func (l *streamLog) lastComplaint() error {
	if err, found := l.complaint.Load().(*error); found {
		return *err
	}
	return nil
}

// Close implements [eventlog.Log].
func (l *streamLog) Close() error {
	l.closing.Do(func() {
		l.mu.Lock()
		l.closed = true
		holds := l.holds
		l.holds = nil
		l.mu.Unlock()
		l.going.Wait()
		for hold := range holds {
			_ = hold.Release() // the lease ends it otherwise
		}
		l.close()
		l.conn.Close()
	})
	return nil
}

// refusal is the error of a call that the log can't serve.
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

// do tries an operation until it is decided: it has succeeded, or its error is
// an [eventlog.Error]. Any other error is that of a server that can't be reached or has
// no leader at the moment, which a cluster repairs within seconds. After the
// log's timeout the error is [eventlog.ErrUnavailable], or somewhat before ctx ends: so
// a caller gets to know what is wrong, and not that its own time was up.
func (l *streamLog) do(ctx context.Context, try func(context.Context) error) error {
	patience := l.timeout
	if deadline, has := ctx.Deadline(); has {
		patience = min(patience, time.Until(deadline)*4/5)
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		began := time.Now()
		// Who answers late may be gone: another may answer in time.
		attempt, cancel := context.WithTimeout(bounded, l.timeout/4)
		err := nats.ErrDisconnected
		if l.conn.IsConnected() || l.conn.IsClosed() { // nats.go never forgets a request that it can't send
			err = try(attempt)
		}
		cancel()
		if err == nil {
			l.failing.Store(nil)
			return nil
		}
		if err = decided(err); errors.As(err, new(*eventlog.Error)) {
			return err
		}
		if ctx.Err() == nil { // or it is the caller who has no time
			l.changeServer(began)
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
		return l.unavailable(err)
	}
}

// turn notes that what began then has failed. If nothing has succeeded for so
// long that the cluster should have repaired what there is to, it goes to
// another server: this one may be cut off from the others, and does not know it
// or can't say so.
func (l *streamLog) changeServer(began time.Time) {
	l.failing.CompareAndSwap(nil, &began)
	now, since := time.Now(), l.failing.Load()
	if since != nil && now.Sub(*since) >= l.timeout/4 && l.conn.IsConnected() && l.isCluster() && len(l.conn.Servers()) > 1 && l.failing.CompareAndSwap(since, &now) {
		_ = l.conn.ForceReconnect()
	}
}

// isCluster is whether the server is one of several.
func (l *streamLog) isCluster() bool { return l.conn.ConnectedClusterName() != "" }

func (l *streamLog) unavailable(err error) error {
	if cause := l.lastComplaint(); cause != nil {
		err = fmt.Errorf("%w (the last that the server complained of: %w)", err, cause)
	}
	if !l.conn.IsConnected() {
		err = fmt.Errorf("not connected to %s: %w", l.config, err)
	}
	return &eventlog.Error{Kind: eventlog.ErrUnavailable, Cause: err}
}

// The codes of JetStream's errors that mean something here.
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

// decided makes an [eventlog.Error] of what no other try can change.
func decided(err error) error {
	if errors.Is(err, nats.ErrMaxPayload) {
		return &eventlog.Error{Kind: eventlog.ErrInvalid, Detail: "it is larger than the NATS server takes (max_payload)", Cause: err}
	}
	if errors.Is(err, nats.ErrConnectionClosed) {
		return &eventlog.Error{Kind: eventlog.ErrClosed, Cause: err}
	}
	var refusal *jetstream.APIError
	if !errors.As(err, &refusal) {
		return err
	}
	switch refusal.ErrorCode {
	case codeAccountFull, codeServerFull, codeMemoryFull, codeStorageFull, codeStoreFailed:
		return &eventlog.Error{Kind: eventlog.ErrFull, Detail: "its stream has no room", Cause: err}
	case codeTooLarge, codeHeaderTooLarge:
		return &eventlog.Error{Kind: eventlog.ErrInvalid, Detail: "it is larger than the NATS server takes", Cause: err}
	case codeBatchTooLarge:
		return &eventlog.Error{Kind: eventlog.ErrInvalid, Detail: "an append has more events than the NATS server takes at once (max_batch_size, by default 1000); append them in parts", Cause: err}
	case codeSealed, codeBatchesOff:
		return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "its stream was changed so that it takes no events", Cause: err}
	}
	return err
}

// acknowledgement is how the server acknowledges a message, or refuses it.
type acknowledgement struct {
	Stream    string              `json:"stream"`
	Sequence  uint64              `json:"seq"`
	Duplicate bool                `json:"duplicate"`
	Count     int                 `json:"count"` // how many a batch had
	Error     *jetstream.APIError `json:"error"`
}

// publish sends a message and waits for its acknowledgement.
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
		return acknowledgement{}, fmt.Errorf("another than stream %s has acknowledged: %.100q", stream, reply.Data)
	}
	return ack, nil
}

// storedMessage is a message as a stream holds it.
type storedMessage struct {
	subject  string
	sequence uint64
	time     time.Time
	header   nats.Header
	data     []byte
}

// get asks the leader of a stream for one message, which is sequence, or the
// first from it or from a time on that has a subject, or the last of a subject.
// It returns nil
// if there is none.
//
// The jetstream package would ask any replica where the stream allows that, and
// one that lags behind does not know what the leader has acknowledged.
func (l *streamLog) get(ctx context.Context, stream string, which getRequest) (*storedMessage, error) {
	request, err := json.Marshal(which)
	if err != nil {
		return nil, err
	}
	reply, err := l.conn.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, request)
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

type getRequest struct {
	Sequence uint64     `json:"seq,omitempty"`
	Since    *time.Time `json:"start_time,omitempty"`
	Next     string     `json:"next_by_subj,omitempty"`
	Last     string     `json:"last_by_subj,omitempty"`
}

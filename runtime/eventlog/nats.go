package eventlog

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
)

func init() { Register(openNATS, "nats", "tls") }

// natsLog is a log in a JetStream stream, on a NATS server or cluster. Places
// and dead letters of its consumers are in a second stream beside it.
type natsLog struct {
	*natsConfig
	mode Mode

	conn      *nats.Conn
	jetstream jetstream.JetStream
	complaint atomic.Value              // error: the last that the connection had, of no call
	failing   atomic.Pointer[time.Time] // since when nothing succeeds at this server; nil: the last thing did

	proof   atomic.Pointer[natsProof] // the last; nil: it has to be proven anew
	proving chan struct{}             // has an element while it is

	batches chan struct{} // has one element for each batch on its way

	open  context.Context // ends when the log is closed
	close context.CancelFunc

	mu      sync.Mutex
	closed  bool
	appends int            // on their way
	bytes   int            // of the appends
	going   sync.WaitGroup // the appends
	holds   map[*natsHold]bool

	closing sync.Once
}

// Version 2.12 was the first to publish batches atomically.
const (
	minNATSMajor = 2
	minNATSMinor = 12
)

func openNATS(ctx context.Context, url string, mode Mode) (Log, error) {
	config, err := parseNATSURL(url)
	if err != nil {
		return nil, err
	}
	log := &natsLog{natsConfig: config, mode: mode, batches: make(chan struct{}, maxNATSBatches), proving: make(chan struct{}, 1), holds: map[*natsHold]bool{}}
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

func (l *natsLog) connect() (err error) {
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
	if _, err := fmt.Sscanf(version, "%d.%d.", &major, &minor); err != nil || major < minNATSMajor || major == minNATSMajor && minor < minNATSMinor {
		l.conn.Close()
		return fmt.Errorf("the server has version %s, want %d.%d or later", version, minNATSMajor, minNATSMinor)
	}
	if l.jetstream, err = jetstream.New(l.conn); err != nil {
		l.conn.Close()
	}
	return err
}

// lastComplaint is what the server last refused without an answer to who had
// asked, as it does where a permission is missing.
func (l *natsLog) lastComplaint() error {
	if err, found := l.complaint.Load().(*error); found {
		return *err
	}
	return nil
}

// Close implements [Log].
func (l *natsLog) Close() error {
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
func (l *natsLog) refusal(ctx context.Context, changes bool) error {
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	switch {
	case closed:
		return &Error{Kind: ErrClosed}
	case ctx.Err() != nil:
		return Ended(ctx)
	case changes && l.mode == ReadOnly:
		return &Error{Kind: ErrReadOnly}
	}
	return nil
}

// do tries an operation until it is decided: it has succeeded, or its error is
// an [Error]. Any other error is that of a server that can't be reached or has
// no leader at the moment, which a cluster repairs within seconds. After the
// log's timeout the error is [ErrUnavailable], or somewhat before ctx ends: so
// a caller gets to know what is wrong, and not that its own time was up.
func (l *natsLog) do(ctx context.Context, try func(context.Context) error) error {
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
		if err = natsRefusal(err); errors.As(err, new(*Error)) {
			return err
		}
		if ctx.Err() == nil { // or it is the caller who has no time
			l.turn(began)
		}
		select {
		case <-time.After(wait):
			continue
		case <-l.open.Done():
			return &Error{Kind: ErrClosed}
		case <-bounded.Done():
		}
		if ctx.Err() != nil {
			return Ended(ctx)
		}
		return l.unavailable(err)
	}
}

// turn notes that what began then has failed. If nothing has succeeded for so
// long that the cluster should have repaired what there is to, it goes to
// another server: this one may be cut off from the others, and does not know it
// or can't say so.
func (l *natsLog) turn(began time.Time) {
	l.failing.CompareAndSwap(nil, &began)
	now, since := time.Now(), l.failing.Load()
	if since != nil && now.Sub(*since) >= l.timeout/4 && l.conn.IsConnected() && l.isCluster() && len(l.conn.Servers()) > 1 && l.failing.CompareAndSwap(since, &now) {
		_ = l.conn.ForceReconnect()
	}
}

// isCluster is whether the server is one of several.
func (l *natsLog) isCluster() bool { return l.conn.ConnectedClusterName() != "" }

func (l *natsLog) unavailable(err error) error {
	if cause := l.lastComplaint(); cause != nil {
		err = fmt.Errorf("%w (the last that the server complained of: %w)", err, cause)
	}
	if !l.conn.IsConnected() {
		err = fmt.Errorf("not connected to %s: %w", l.natsConfig, err)
	}
	return &Error{Kind: ErrUnavailable, Cause: err}
}

// The codes of JetStream's errors that mean something here.
const (
	natsAccountFull    = 10002
	natsNoPeers        = 10005
	natsServerFull     = 10023
	natsMemoryFull     = 10028
	natsStorageFull    = 10047
	natsTooLarge       = 10054
	natsStoreFailed    = 10077
	natsHeaderTooLarge = 10097
	natsSealed         = 10109
	natsRollupRefused  = 10111
	natsWrongLast      = 10071
	natsWrongLastNow   = 10164
	natsBatchesOff     = 10174
	natsBatchTooLarge  = 10199
	natsBatchDuplicate = 10201
)

// natsRefusal makes an [Error] of what no other try can change.
func natsRefusal(err error) error {
	if errors.Is(err, nats.ErrMaxPayload) {
		return &Error{Kind: ErrInvalid, Detail: "it is larger than the NATS server takes (max_payload)", Cause: err}
	}
	if errors.Is(err, nats.ErrConnectionClosed) {
		return &Error{Kind: ErrClosed, Cause: err}
	}
	var refusal *jetstream.APIError
	if !errors.As(err, &refusal) {
		return err
	}
	switch refusal.ErrorCode {
	case natsAccountFull, natsServerFull, natsMemoryFull, natsStorageFull, natsStoreFailed:
		return &Error{Kind: ErrFull, Detail: "its stream has no room", Cause: err}
	case natsTooLarge, natsHeaderTooLarge:
		return &Error{Kind: ErrInvalid, Detail: "it is larger than the NATS server takes", Cause: err}
	case natsBatchTooLarge:
		return &Error{Kind: ErrInvalid, Detail: "an append has more events than the NATS server takes at once (max_batch_size, by default 1000); append them in parts", Cause: err}
	case natsSealed, natsBatchesOff:
		return &Error{Kind: ErrUnavailable, Detail: "its stream was changed so that it takes no events", Cause: err}
	}
	return err
}

// natsAck is how the server acknowledges a message, or refuses it.
type natsAck struct {
	Stream    string              `json:"stream"`
	Sequence  uint64              `json:"seq"`
	Duplicate bool                `json:"duplicate"`
	Count     int                 `json:"count"` // how many a batch had
	Error     *jetstream.APIError `json:"error"`
}

// publish sends a message and waits for its acknowledgement.
func (l *natsLog) publish(ctx context.Context, stream string, message *nats.Msg) (ack natsAck, err error) {
	reply, err := l.conn.RequestMsgWithContext(ctx, message)
	if err != nil {
		return natsAck{}, err
	}
	switch err := json.Unmarshal(reply.Data, &ack); {
	case err != nil:
		return natsAck{}, fmt.Errorf("the acknowledgement can't be read: %w", err)
	case ack.Error != nil:
		return natsAck{}, ack.Error
	case ack.Stream != stream || ack.Sequence == 0:
		return natsAck{}, fmt.Errorf("another than stream %s has acknowledged: %.100q", stream, reply.Data)
	}
	return ack, nil
}

// natsMessage is a message as a stream holds it.
type natsMessage struct {
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
func (l *natsLog) get(ctx context.Context, stream string, which natsGet) (*natsMessage, error) {
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
	message := &natsMessage{subject: answer.Message.Subject, sequence: answer.Message.Seq, time: answer.Message.Time, data: answer.Message.Data}
	if len(answer.Message.Hdrs) > 0 {
		message.header, err = nats.DecodeHeadersMsg(answer.Message.Hdrs)
	}
	return message, err
}

type natsGet struct {
	Sequence uint64     `json:"seq,omitempty"`
	Since    *time.Time `json:"start_time,omitempty"`
	Next     string     `json:"next_by_subj,omitempty"`
	Last     string     `json:"last_by_subj,omitempty"`
}

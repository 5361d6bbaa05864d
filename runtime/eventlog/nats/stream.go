package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// partitionsKey is the field of a stream's metadata that says by how many its
// events are spread.
const partitionsKey = "eventlog_partitions"

// eventStream is how the stream of the events is made.
func (c *config) eventStream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               c.events,
		Description:        "events",
		Subjects:           []string{c.events + ".*.*"},
		Storage:            jetstream.FileStorage,
		Retention:          jetstream.LimitsPolicy,
		Discard:            jetstream.DiscardNew, // a full log says so, and forgets nothing
		Replicas:           c.replicas,
		Duplicates:         c.window,
		MaxAge:             c.maxAge,
		MaxBytes:           c.maxBytes,
		MaxMsgs:            -1,
		MaxMsgsPerSubject:  -1,
		MaxMsgSize:         -1,
		AllowAtomicPublish: true,
		Metadata:           map[string]string{partitionsKey: strconv.Itoa(c.partitions)},
	}
}

// consumerStream is how the stream of the consumers' places and dead letters is
// made. It keeps the last message of each subject.
func (c *config) consumerStream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              c.consumers(),
		Description:       "places and dead letters of the consumers of " + c.events,
		Subjects:          []string{c.consumers() + ".>"},
		Storage:           jetstream.FileStorage,
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardNew,
		Replicas:          c.replicas,
		Duplicates:        min(2*time.Minute, c.window),
		MaxBytes:          -1,
		MaxMsgs:           -1,
		MaxMsgsPerSubject: 1,
		MaxMsgSize:        -1,
	}
}

// consumers is the name of the stream of the consumers.
func (c *config) consumers() string { return c.events + "_consumers" }

// establish finds the streams, or makes them, and makes sure that they keep
// what the log promises.
func (l *streamLog) establish(ctx context.Context) error {
	for _, want := range []jetstream.StreamConfig{l.eventStream(), l.consumerStream()} {
		info, err := l.stream(ctx, want)
		if err != nil {
			return err
		}
		if wrong := mismatches(info.Config, want); len(wrong) > 0 {
			return fmt.Errorf("stream %s is not what this log needs, and is left as it is: %s", want.Name, strings.Join(wrong, "; "))
		}
		if err := l.checkDurability(ctx, want.Name, info.Config.Replicas); err != nil {
			return err
		}
	}
	_, err := l.proven(ctx)
	return err
}

// stream is a stream as it is, made if there is none.
func (l *streamLog) stream(ctx context.Context, want jetstream.StreamConfig) (*jetstream.StreamInfo, error) {
	var stream jetstream.Stream
	find := func(ctx context.Context) (err error) {
		stream, err = l.jetstream.Stream(ctx, want.Name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			return nil
		case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
			return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "the server has no JetStream for this user", Cause: err}
		}
		return err
	}
	if err := l.do(ctx, find); err != nil {
		return nil, err
	}
	if stream != nil {
		return stream.CachedInfo(), nil
	}
	if l.mode == eventlog.ReadOnly {
		return nil, fmt.Errorf("there is no stream %s; name one that exists, or open the log for appending to make it", want.Name)
	}
	if err := l.checkDurability(ctx, want.Name, want.Replicas); err != nil {
		return nil, err // and leaves no stream behind
	}
	var refused error
	create := func(ctx context.Context) error {
		stream, refused = l.jetstream.CreateStream(ctx, want)
		if hasCode(refused, codeNoPeers) { // servers that have just started don't know each other yet
			return refused
		}
		return nil
	}
	err := l.do(ctx, create)
	if err == nil {
		err = refused
	}
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // somebody was faster
		stream, err = l.jetstream.Stream(ctx, want.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s with %d replicas can't be made (a single server wants replicas=1 with monitor=…, or durability=none): %w", want.Name, want.Replicas, err)
	}
	return stream.CachedInfo(), nil
}

// replaced is why a position in a stream that was made at some time, zero if
// that is not known, says nothing of the stream as it is now: "" if it does.
//
// What is removed from a stream does not make its last sequence smaller.
func replaced(info *jetstream.StreamInfo, made time.Time, position eventlog.Position) string {
	switch last := eventlog.Position(info.State.LastSeq); {
	case !made.IsZero() && !made.Equal(info.Created):
		return fmt.Sprintf("stream %s was made anew, or restored, at %s", info.Config.Name, info.Created.UTC().Format(time.RFC3339))
	case position > last:
		return fmt.Sprintf("stream %s ends at position %d and once had %d: it has lost events", info.Config.Name, last, position)
	}
	return ""
}

// doubt is for how long a stream of several replicas has seemed to have lost
// events. A leader that was replaced, and does not know it yet, may say so as well.
type doubt struct {
	since time.Time
	time  time.Duration // after which it is certain
}

// doubtTime is for how long a leader may not know that it was replaced.
func (c *config) doubtTime() time.Duration { return min(time.Second, c.timeout/2) }

// astray is [replaced]; its error is that this has to be asked again.
func (d *doubt) replaced(info *jetstream.StreamInfo, made time.Time, position eventlog.Position) (string, error) {
	why := replaced(info, made, position)
	isOther := !made.IsZero() && !made.Equal(info.Created)
	if why == "" || isOther || info.Config.Replicas == 1 {
		d.since = time.Time{}
		return why, nil
	}
	if d.since.IsZero() {
		d.since = time.Now()
	}
	if time.Since(d.since) < d.time {
		return "", errors.New(why)
	}
	return why, nil
}

// mismatches are the settings of a stream that would break a promise, each
// with what is wanted and how to come by it.
func mismatches(have, want jetstream.StreamConfig) (wrong []string) {
	edit := "nats stream edit " + want.Name
	fixed := "this can't be changed: name another stream"
	configure := "change the stream's configuration, or name another"
	check := func(isRight bool, setting string, have, want any, remedy string) {
		if !isRight {
			wrong = append(wrong, fmt.Sprintf("%s is %v, want %v (%s)", setting, have, want, remedy))
		}
	}
	parameter := func(name string, value any) string { return fmt.Sprintf(", or %s=%v in the URL", name, value) }
	check(have.Storage == want.Storage, "storage", have.Storage, want.Storage, fixed)
	check(have.PersistMode == want.PersistMode, "persist_mode", have.PersistMode, want.PersistMode, fixed)
	check(have.Retention == want.Retention, "retention", have.Retention, want.Retention, fixed)
	check(have.Mirror == nil && len(have.Sources) == 0, "fed from other streams", true, false, configure)
	check(slices.Equal(have.Subjects, want.Subjects), "subjects", have.Subjects, want.Subjects, edit+" --subjects="+strings.Join(want.Subjects, ","))
	check(have.SubjectTransform == nil, "subject_transform", "set", "none", configure)
	check(have.Replicas >= want.Replicas, "replicas", have.Replicas, fmt.Sprint("at least ", want.Replicas), fmt.Sprintf("%s --replicas=%d", edit, want.Replicas)+parameter("replicas", have.Replicas))
	check(have.Duplicates >= want.Duplicates, "duplicate_window", have.Duplicates, fmt.Sprint("at least ", want.Duplicates), fmt.Sprintf("%s --dupe-window=%v", edit, want.Duplicates)+parameter("window", have.Duplicates))
	check(have.Discard == want.Discard, "discard", have.Discard, want.Discard, edit+" --discard=new")
	check(have.MaxAge == want.MaxAge, "max_age", have.MaxAge, want.MaxAge, fmt.Sprintf("%s --max-age=%v", edit, want.MaxAge)+parameter("max-age", have.MaxAge))
	check(have.MaxBytes == want.MaxBytes, "max_bytes", have.MaxBytes, want.MaxBytes, fmt.Sprintf("%s --max-bytes=%d", edit, want.MaxBytes)+parameter("max-bytes", have.MaxBytes))
	check(have.MaxMsgs == want.MaxMsgs, "max_msgs", have.MaxMsgs, want.MaxMsgs, edit+" --max-msgs=-1")
	check(have.MaxMsgsPerSubject == want.MaxMsgsPerSubject, "max_msgs_per_subject", have.MaxMsgsPerSubject, want.MaxMsgsPerSubject, fmt.Sprintf("%s --max-msgs-per-subject=%d", edit, want.MaxMsgsPerSubject))
	check(have.MaxMsgSize == want.MaxMsgSize, "max_msg_size", have.MaxMsgSize, want.MaxMsgSize, edit+" --max-msg-size=-1")
	check(have.AllowAtomicPublish || !want.AllowAtomicPublish, "allow_atomic", have.AllowAtomicPublish, true, configure)
	check(!have.AllowRollup, "allow_rollup_hdrs", true, false, configure)
	check(!have.AllowMsgCounter, "allow_msg_counter", true, false, configure)
	check(!have.NoAck, "no_ack", true, false, configure)
	check(!have.Sealed, "sealed", true, false, fixed)
	if partitions, found := have.Metadata[partitionsKey]; found {
		check(partitions == want.Metadata[partitionsKey], "partitions", partitions, want.Metadata[partitionsKey], "partitions="+partitions+" in the URL")
	}
	return wrong
}

// proof is how durable an event is that the stream acknowledges, as it was
// found out on one connection.
type proof struct {
	durability eventlog.Durability
	connection uint64 // how many there were before it
}

// proven is how durable an event is that was acknowledged just now. Whenever the
// connection was made anew, and after [eventlog.Log].Check has found something else, that
// has to be proven anew: servers may have been started with another
// configuration, and the stream may have been changed.
func (l *streamLog) proven(ctx context.Context) (durability eventlog.Durability, err error) {
	if l.durability == eventlog.None {
		return eventlog.None, nil
	}
	if proof := l.lastProof(); proof != nil {
		return proof.durability, nil
	}
	err = l.do(ctx, func(ctx context.Context) error {
		select {
		case l.proving <- struct{}{}: // once for all who wait
			defer func() { <-l.proving }()
		case <-ctx.Done():
			return ctx.Err()
		}
		proof := l.lastProof()
		if proof == nil {
			if proof, err = l.newProof(ctx); err != nil {
				return err
			}
			l.proof.Store(proof)
		}
		durability = proof.durability
		return nil
	})
	if err != nil {
		return eventlog.None, err
	}
	return durability, nil
}

// lastProof is the proof that was found, nil if it is none any more.
func (l *streamLog) lastProof() *proof {
	proof := l.proof.Load()
	if proof == nil || proof.connection != l.conn.Stats().Reconnects {
		return nil
	}
	return proof
}

// newProof asks how the stream is now.
func (l *streamLog) newProof(ctx context.Context) (*proof, error) {
	proof := &proof{connection: l.conn.Stats().Reconnects}
	info, err := l.info(ctx, l.events)
	if err != nil {
		return nil, err
	}
	if proof.durability, err = l.claim(info); err != nil {
		return nil, err
	}
	if proof.durability == eventlog.Fsync {
		err = l.checkSync(ctx)
	}
	return proof, err
}

// claim is what the stream, as it is now, may prove. It is Fsync only if its
// server syncs.
func (l *streamLog) claim(info *jetstream.StreamInfo) (eventlog.Durability, error) {
	want := l.eventStream()
	want.MaxBytes, want.MaxAge = info.Config.MaxBytes, info.Config.MaxAge // for a full stream gets more room so
	if wrong := mismatches(info.Config, want); len(wrong) > 0 {
		return eventlog.None, &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "its stream was changed", Cause: fmt.Errorf("stream %s: %s", l.events, strings.Join(wrong, "; "))}
	}
	durability, err := l.durabilityOf(l.events, info.Config.Replicas)
	if err != nil {
		return eventlog.None, &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "its stream was changed, and does not make events durable any more", Cause: err}
	}
	return durability, nil
}

// worth is what a stream of so many replicas may prove, or says that nothing is
// known to make its events durable.
func (l *streamLog) durabilityOf(stream string, replicas int) (eventlog.Durability, error) {
	switch {
	case l.durability == eventlog.None:
		return eventlog.None, nil
	case replicas >= 3:
		return eventlog.Quorum, nil
	case l.monitor == "":
		return eventlog.None, fmt.Errorf("stream %s with %d replica(s): nothing proves that its server writes an event to disk before it acknowledges it; want 3 replicas (replicas=3), or sync_interval: always on a single server and monitor=http://HOST:8222 in the URL to prove it, or durability=none to do without", stream, replicas)
	case l.conn.ConnectedClusterName() != "" || replicas != 1:
		return eventlog.None, fmt.Errorf("stream %s with %d replica(s) may be on another server of its cluster than the one that monitor=%s tells of; want 3 replicas (replicas=3)", stream, replicas, l.monitorHost())
	}
	return eventlog.Fsync, nil
}

// prove makes sure that a stream of so many replicas makes what it acknowledges
// durable.
func (l *streamLog) checkDurability(ctx context.Context, stream string, replicas int) error {
	durability, err := l.durabilityOf(stream, replicas)
	if err == nil && durability == eventlog.Fsync {
		err = l.do(ctx, l.checkSync)
	}
	return err
}

// syncs asks the monitoring endpoint whether the server syncs each write.
func (l *streamLog) checkSync(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(l.monitor, "/")+"/jsz", nil)
	if err != nil {
		return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "monitor is no URL"} // and the error would repeat it
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) { // which repeats the URL
			err = failed.Err
		}
		return fmt.Errorf("monitor=%s: %w", l.monitorHost(), err)
	}
	defer func() { _ = response.Body.Close() }()
	var server struct {
		ID     string `json:"server_id"`
		Config struct {
			SyncAlways bool `json:"sync_always"`
		} `json:"config"`
	}
	if err := json.NewDecoder(response.Body).Decode(&server); err != nil {
		return fmt.Errorf("monitor=%s: %s: %w", l.monitorHost(), response.Status, err)
	}
	switch {
	case !server.Config.SyncAlways:
		return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "its server does not write an event to disk before it acknowledges it; set sync_interval: always in its jetstream configuration, or durability=none in the URL"}
	case server.ID != l.conn.ConnectedServerId():
		return fmt.Errorf("monitor=%s tells of another server than the one that holds the stream", l.monitorHost())
	}
	return nil
}

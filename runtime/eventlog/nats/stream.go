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

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// partitionsKey is the key in a stream's metadata of the number of partitions that
// its events are spread over.
const partitionsKey = "eventlog_partitions"

// eventStream returns the configuration of the stream of the events.
func (c *config) eventStream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               c.events,
		Description:        "events",
		Subjects:           []string{c.events + ".*.*"},
		Storage:            jetstream.FileStorage,
		Retention:          jetstream.LimitsPolicy,
		Discard:            jetstream.DiscardNew, // a full log refuses events, and removes none
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

// consumerStream returns the configuration of the stream of the consumers' states
// and dead letters. It keeps the last message of each subject.
func (c *config) consumerStream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              c.consumers(),
		Description:       "positions, leases and dead letters of the consumers of " + c.events,
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

// consumers returns the name of the stream of the consumers.
func (c *config) consumers() string { return c.events + "_consumers" }

// openStreams finds or creates the streams, and returns an error if they can't
// keep the log's promises.
func (l *streamLog) openStreams(ctx context.Context) error {
	for _, want := range []jetstream.StreamConfig{l.eventStream(), l.consumerStream()} {
		info, err := l.findOrCreate(ctx, want)
		if err != nil {
			return err
		}
		if wrong := mismatches(info.Config, want); len(wrong) > 0 {
			return fmt.Errorf("stream %s does not have the settings that the log needs, and was not changed: %s", want.Name, strings.Join(wrong, "; "))
		}
		if err := l.checkDurability(ctx, want.Name, info.Config.Replicas); err != nil {
			return err
		}
	}
	_, err := l.provenDurability(ctx)
	return err
}

// findOrCreate returns the stream of that name as it is, and creates it if it does
// not exist.
func (l *streamLog) findOrCreate(ctx context.Context, want jetstream.StreamConfig) (*jetstream.StreamInfo, error) {
	info, err := l.find(ctx, want.Name)
	switch {
	case info != nil || err != nil:
		return info, err
	case l.mode == eventlog.ReadOnly:
		return nil, fmt.Errorf("there is no stream %s; name one that exists, or open the log for appending to create it", want.Name)
	}
	if err := l.checkDurability(ctx, want.Name, want.Replicas); err != nil {
		return nil, err // before it creates a stream in vain
	}
	return l.create(ctx, want)
}

// find returns a stream, or nil if it does not exist.
func (l *streamLog) find(ctx context.Context, name string) (info *jetstream.StreamInfo, err error) {
	err = l.do(ctx, func(ctx context.Context) error {
		stream, err := l.jetstream.Stream(ctx, name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			return nil
		case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
			return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "JetStream is not enabled for this user; enable it on the server, or in the user's account", Cause: err}
		case err != nil:
			return err
		}
		info = stream.CachedInfo()
		return nil
	})
	return info, err
}

// create creates a stream, unless another process was faster.
func (l *streamLog) create(ctx context.Context, want jetstream.StreamConfig) (*jetstream.StreamInfo, error) {
	var stream jetstream.Stream
	var refused error
	err := l.do(ctx, func(ctx context.Context) error {
		stream, refused = l.jetstream.CreateStream(ctx, want)
		if hasCode(refused, codeNoPeers) || errors.Is(refused, context.DeadlineExceeded) { // servers that have just started don't know each other yet
			return refused
		}
		return nil
	})
	if err == nil {
		err = refused
	}
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		stream, err = l.jetstream.Stream(ctx, want.Name)
	}
	if errors.Is(err, nats.ErrPermissionViolation) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s with %d replicas can't be created (a single server needs replicas=1 with monitor=…, or durability=none): %w", want.Name, want.Replicas, err)
	}
	return stream.CachedInfo(), nil
}

// replacedReason returns why a stream has other events by now than when a position
// in it was recorded, or "" if it has the same. created is when the stream of the
// position was created; it is zero if that is not known.
//
// To remove events from a stream does not make its last sequence smaller, so a
// smaller one means that events were lost.
func replacedReason(info *jetstream.StreamInfo, created time.Time, position eventlog.Position) string {
	switch last := eventlog.Position(info.State.LastSeq); {
	case isOtherStream(info, created):
		return fmt.Sprintf("stream %s was deleted and created again, or restored, at %s", info.Config.Name, info.Created.UTC().Format(time.RFC3339))
	case position > last:
		return fmt.Sprintf("stream %s ends at position %d and had position %d before: it has lost events", info.Config.Name, last, position)
	}
	return ""
}

// isOtherStream reports whether a stream is not the one that was created at a time.
func isOtherStream(info *jetstream.StreamInfo, created time.Time) bool {
	return !created.IsZero() && !created.Equal(info.Created)
}

// lossCheck finds out whether a stream has lost events. If the stream has several
// replicas, one answer does not prove it: it may be from a former leader, which
// does not know yet that it was replaced and that there are more events.
type lossCheck struct {
	since        time.Time     // since when all answers agree that events were lost; zero if the last did not
	certainAfter time.Duration // how long they must agree
}

// staleLeaderTime returns how long a leader may not know that it was replaced.
func (c *config) staleLeaderTime() time.Duration { return min(time.Second, c.timeout/2) }

// replacedReason returns what the function replacedReason does. It returns an error
// while that is not certain; the stream has to be asked again then.
func (c *lossCheck) replacedReason(info *jetstream.StreamInfo, created time.Time, position eventlog.Position) (string, error) {
	reason := replacedReason(info, created, position)
	if reason == "" || isOtherStream(info, created) || info.Config.Replicas == 1 {
		c.since = time.Time{}
		return reason, nil
	}
	if c.since.IsZero() {
		c.since = time.Now()
	}
	if time.Since(c.since) < c.certainAfter {
		return "", errors.New(reason)
	}
	return reason, nil
}

// mismatches returns the settings by which a stream would break the log's
// promises, each with the value that is needed and how to get it.
func mismatches(have, want jetstream.StreamConfig) (wrong []string) {
	edit := "nats stream edit " + want.Name
	fixed := "this can't be changed; name another stream"
	configure := "change the stream's configuration, or name another"
	check := func(ok bool, setting string, have, want any, remedy string) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s is %v, want %v (%s)", setting, have, want, remedy))
		}
	}
	parameter := func(name string, value any) string { return fmt.Sprintf(", or %s=%v in the URL", name, value) }
	check(have.Storage == want.Storage, "storage", have.Storage, want.Storage, fixed)
	check(have.PersistMode == want.PersistMode, "persist_mode", have.PersistMode, want.PersistMode, fixed)
	check(have.Retention == want.Retention, "retention", have.Retention, want.Retention, fixed)
	check(have.Mirror == nil && len(have.Sources) == 0, "mirror or sources", "set", "none", configure)
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

// proof is what the durability of acknowledged events was found to be, on one
// connection.
type proof struct {
	durability eventlog.Durability
	reconnects uint64 // how often the client had reconnected
}

// provenDurability returns how durable an event is that was acknowledged just now.
// It is proven again after each reconnection, and when [eventlog.Log].Check has
// found it changed: servers may have been restarted with another configuration,
// and the stream may have been edited.
func (l *streamLog) provenDurability(ctx context.Context) (durability eventlog.Durability, err error) {
	if l.durability == eventlog.None {
		return eventlog.None, nil
	}
	if proof := l.validProof(); proof != nil {
		return proof.durability, nil
	}
	err = l.do(ctx, func(ctx context.Context) error {
		select {
		case l.proving <- struct{}{}: // by one of the callers, for all of them
			defer func() { <-l.proving }()
		case <-ctx.Done():
			return ctx.Err()
		}
		proof := l.validProof()
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

// validProof returns the last proof, or nil if it is no longer valid.
func (l *streamLog) validProof() *proof {
	proof := l.proof.Load()
	if proof == nil || proof.reconnects != l.conn.Stats().Reconnects {
		return nil
	}
	return proof
}

// newProof asks the servers for the durability of events as it is now.
func (l *streamLog) newProof(ctx context.Context) (*proof, error) {
	proof := &proof{reconnects: l.conn.Stats().Reconnects}
	info, err := l.info(ctx, l.events)
	if err != nil {
		return nil, err
	}
	if proof.durability, err = l.streamDurability(info); err != nil {
		return nil, err
	}
	if proof.durability == eventlog.Fsync {
		err = l.checkSync(ctx)
	}
	return proof, err
}

// streamDurability returns the durability of events in the stream as it is
// configured now, or an error if it can't keep the log's promises any longer. Fsync
// depends on [streamLog.checkSync], too.
func (l *streamLog) streamDurability(info *jetstream.StreamInfo) (eventlog.Durability, error) {
	want := l.eventStream()
	want.MaxBytes, want.MaxAge = info.Config.MaxBytes, info.Config.MaxAge // which may be changed to give a full stream more room
	if wrong := mismatches(info.Config, want); len(wrong) > 0 {
		return eventlog.None, &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "its stream was changed", Cause: fmt.Errorf("stream %s: %s", l.events, strings.Join(wrong, "; "))}
	}
	durability, err := l.durabilityOf(l.events, info.Config.Replicas)
	if err != nil {
		return eventlog.None, &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "its stream was changed, and no longer makes events durable", Cause: err}
	}
	return durability, nil
}

// durabilityOf returns the durability of events in a stream with that many
// replicas, or an error if nothing proves that they are durable.
func (l *streamLog) durabilityOf(stream string, replicas int) (eventlog.Durability, error) {
	switch {
	case l.durability == eventlog.None:
		return eventlog.None, nil
	case replicas >= 3:
		return eventlog.Quorum, nil
	case l.monitor == "":
		return eventlog.None, fmt.Errorf("stream %s with %d replica(s): nothing proves that its server writes an event to disk before it acknowledges it; want 3 replicas (replicas=3), or sync_interval: always on a single server and monitor=http://HOST:8222 in the URL to prove it, or durability=none to accept that", stream, replicas)
	case l.isCluster() || replicas != 1:
		return eventlog.None, fmt.Errorf("stream %s with %d replica(s) may be on another server of its cluster than monitor=%s is the address of; want 3 replicas (replicas=3)", stream, replicas, l.monitorHost())
	}
	return eventlog.Fsync, nil
}

// checkDurability returns an error if nothing proves that a stream with that many
// replicas makes acknowledged events durable.
func (l *streamLog) checkDurability(ctx context.Context, stream string, replicas int) error {
	durability, err := l.durabilityOf(stream, replicas)
	if err == nil && durability == eventlog.Fsync {
		err = l.do(ctx, l.checkSync)
	}
	return err
}

// checkSync asks the monitor of the server, and returns an error unless the server
// syncs each write.
func (l *streamLog) checkSync(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(l.monitor, "/")+"/jsz", nil)
	if err != nil {
		return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "monitor is not a URL"} // err would repeat it
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) { // it repeats the URL, which may contain a password
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
		return fmt.Errorf("monitor=%s is the address of another server than the one with the stream", l.monitorHost())
	}
	return nil
}

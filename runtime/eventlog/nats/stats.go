package nats

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Stats implements [eventlog.Log].
func (l *streamLog) Stats(ctx context.Context) (stats eventlog.Stats, err error) {
	if err := l.usable(ctx, false); err != nil {
		return eventlog.Stats{}, err
	}
	durability, err := l.provenDurability(ctx)
	if err != nil {
		return eventlog.Stats{}, err
	}
	err = l.do(ctx, func(ctx context.Context) error {
		states, dead, erased, err := l.consumerStates(ctx) // before the events, so that no position is after the last event
		if err != nil {
			return err
		}
		info, err := l.info(ctx, l.events, jetstream.WithDeletedDetails(true))
		if err != nil {
			return err
		}
		events := info.State
		stats = eventlog.Stats{Events: int64(events.Msgs), Erased: erased, Bytes: int64(events.Bytes), Durability: durability}
		if events.Msgs > 0 {
			stats.First, stats.Last = eventlog.Position(events.FirstSeq), eventlog.Position(events.LastSeq)
			if stats.Oldest, err = l.recordedAfter(ctx, stats.First-1, 1); err != nil {
				return err
			}
		}
		for _, state := range states {
			consumer := state.stats(info, dead)
			if consumer.Oldest, err = l.recordedAfter(ctx, consumer.Position, consumer.Lag); err != nil {
				return err
			}
			stats.Consumers = append(stats.Consumers, consumer)
		}
		stats.Free, err = l.free(ctx, info)
		return err
	})
	if err != nil {
		return eventlog.Stats{}, err
	}
	return stats, nil
}

// recordedAfter returns when the first event after a position was recorded, of which there
// are so many.
func (l *streamLog) recordedAfter(ctx context.Context, position eventlog.Position, count int64) (time.Time, error) {
	if count == 0 {
		return time.Time{}, nil
	}
	message, err := l.get(ctx, l.events, getRequest{Sequence: uint64(position) + 1, Next: ">"})
	if err != nil || message == nil { // it has been removed meanwhile
		return time.Time{}, err
	}
	if moved, err := time.Parse(time.RFC3339Nano, message.header.Get(headerMoved)); err == nil {
		return moved.UTC(), nil
	}
	return message.time.UTC(), nil
}

// free returns how many bytes more the stream can take by its own limit and by that of its
// account, or nil if neither is known.
func (l *streamLog) free(ctx context.Context, events *jetstream.StreamInfo) (*int64, error) {
	free, limited, err := l.accountFree(ctx)
	if limit := events.Config.MaxBytes; limit > 0 {
		room := max(0, limit-int64(events.State.Bytes))
		if !limited || room < free {
			free, limited = room, true
		}
	}
	if err != nil || !limited {
		return nil, err
	}
	return &free, nil
}

// consumerStates returns the states of all consumers, by their names, and how many
// dead letters each has, by the tokens of the names, and how many events were erased.
func (l *streamLog) consumerStates(ctx context.Context) (states []consumerState, dead map[string]int64, erased int64, err error) {
	info, err := l.info(ctx, l.consumers(), jetstream.WithSubjectFilter(">"))
	if err != nil {
		return nil, nil, 0, err
	}
	dead = map[string]int64{}
	for subject := range info.State.Subjects {
		tokens := strings.Split(subject, ".")
		switch {
		case len(tokens) == 5 && tokens[4] == "dead":
			dead[tokens[2]]++
		case len(tokens) == 3 && tokens[1] == "erased":
			erased++
		case strings.HasPrefix(subject, l.consumers()+".place."):
			state, _, err := l.readState(ctx, subject)
			if err != nil {
				return nil, nil, 0, err
			}
			states = append(states, state)
		}
	}
	slices.SortFunc(states, func(a, b consumerState) int { return strings.Compare(a.Consumer, b.Consumer) })
	return states, dead, erased, nil
}

// stats returns the figures of a consumer, given the stream of the events, which
// was asked for after the state.
func (s consumerState) stats(events *jetstream.StreamInfo, dead map[string]int64) eventlog.ConsumerStats {
	consumer := eventlog.ConsumerStats{Name: s.Consumer, Holder: s.Holder, Dead: dead[subjectToken(s.Consumer)], Failure: s.Failure, Keeper: s.Keeper}
	if s.Position != nil && replacedReason(events, s.Stream, *s.Position) == "" { // otherwise it will begin with the first event again
		consumer.Position = *s.Position
	}
	consumer.Lag = lag(events.State, consumer.Position)
	return consumer
}

// lag returns how many messages of a stream come after a position.
func lag(stream jetstream.StreamState, position eventlog.Position) int64 {
	last := eventlog.Position(stream.LastSeq)
	if stream.Msgs == 0 || position >= last {
		return 0
	}
	count := last - max(position, eventlog.Position(stream.FirstSeq)-1)
	for _, removed := range stream.Deleted {
		if eventlog.Position(removed) > position {
			count--
		}
	}
	return int64(count)
}

// Check implements [eventlog.Log].
func (l *streamLog) Check(ctx context.Context) error {
	if err := l.usable(ctx, true); err != nil {
		return err
	}
	if !l.conn.IsConnected() {
		return l.unavailable(nats.ErrDisconnected)
	}
	err := l.do(ctx, func(ctx context.Context) error {
		info, err := l.info(ctx, l.events)
		if err != nil {
			return err
		}
		durability, err := l.streamDurability(info)
		if proof := l.proof.Load(); err != nil || proof != nil && proof.durability != durability {
			l.proof.Store(nil)
		}
		if err != nil {
			return err
		}
		if limit := info.Config.MaxBytes; limit > 0 && info.State.Bytes >= uint64(limit) {
			return &eventlog.Error{Kind: eventlog.ErrFull, Detail: fmt.Sprintf("its stream has %d bytes, and its max_bytes is %d", info.State.Bytes, limit)}
		}
		if cluster := info.Cluster; cluster != nil && info.Config.Replicas > 1 {
			online := 1 // the leader, which has answered
			for _, replica := range cluster.Replicas {
				if !replica.Offline {
					online++
				}
			}
			if online <= info.Config.Replicas/2 {
				return fmt.Errorf("%d of %d replicas are online", online, info.Config.Replicas)
			}
		}
		return l.checkAccount(ctx)
	})
	if err != nil {
		return err
	}
	_, err = l.provenDurability(ctx)
	return err
}

package nats

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Stats implements [eventlog.Log].
func (l *streamLog) Stats(ctx context.Context) (stats eventlog.Stats, err error) {
	if err := l.usable(ctx, false); err != nil {
		return eventlog.Stats{}, err
	}
	durability, err := l.proven(ctx)
	if err != nil {
		return eventlog.Stats{}, err
	}
	err = l.do(ctx, func(ctx context.Context) error {
		places, dead, err := l.leases(ctx) // first, for they move on among the events that there are then
		if err != nil {
			return err
		}
		info, err := l.info(ctx, l.events, jetstream.WithDeletedDetails(true))
		if err != nil {
			return err
		}
		state := info.State
		stats = eventlog.Stats{Events: int64(state.Msgs), Bytes: int64(state.Bytes), Durability: durability}
		if state.Msgs > 0 {
			stats.First, stats.Last, stats.Oldest = eventlog.Position(state.FirstSeq), eventlog.Position(state.LastSeq), state.FirstTime.UTC()
		}
		for _, place := range places {
			stats.Consumers = append(stats.Consumers, place.stats(info, dead))
		}
		return nil
	})
	if err != nil {
		return eventlog.Stats{}, err
	}
	return stats, nil
}

// places are those of all consumers, and how many dead letters each has, by the
// tokens of their names.
func (l *streamLog) leases(ctx context.Context) (places []leaseState, dead map[string]int64, err error) {
	info, err := l.info(ctx, l.consumers(), jetstream.WithSubjectFilter(">"))
	if err != nil {
		return nil, nil, err
	}
	dead = map[string]int64{}
	for subject := range info.State.Subjects {
		tokens := strings.Split(subject, ".")
		switch {
		case len(tokens) == 5 && tokens[4] == "dead":
			dead[tokens[2]]++
		case strings.HasPrefix(subject, l.consumers()+".place."):
			place, _, err := l.leaseAt(ctx, subject)
			if err != nil {
				return nil, nil, err
			}
			places = append(places, place)
		}
	}
	slices.SortFunc(places, func(a, b leaseState) int { return strings.Compare(a.Consumer, b.Consumer) })
	return places, dead, nil
}

// stats are those of the place's consumer, with events as they were after it.
func (p leaseState) stats(events *jetstream.StreamInfo, dead map[string]int64) eventlog.ConsumerStats {
	consumer := eventlog.ConsumerStats{Name: p.Consumer, Holder: p.Holder, Dead: dead[subjectToken(p.Consumer)]}
	if p.Position != nil && replaced(events, p.Stream, *p.Position) == "" { // otherwise it will begin anew
		consumer.Position = *p.Position
	}
	consumer.Lag = lag(events.State, consumer.Position)
	return consumer
}

// lag is how many messages of a stream stand behind a place.
func lag(state jetstream.StreamState, place eventlog.Position) int64 {
	last := eventlog.Position(state.LastSeq)
	if state.Msgs == 0 || place >= last {
		return 0
	}
	behind := last - max(place, eventlog.Position(state.FirstSeq)-1)
	for _, removed := range state.Deleted {
		if eventlog.Position(removed) > place {
			behind--
		}
	}
	return int64(behind)
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
		durability, err := l.claim(info)
		if proof := l.proof.Load(); err != nil || proof != nil && proof.durability != durability {
			l.proof.Store(nil)
		}
		if err != nil {
			return err
		}
		if most := info.Config.MaxBytes; most > 0 && info.State.Bytes >= uint64(most) {
			return &eventlog.Error{Kind: eventlog.ErrFull, Detail: fmt.Sprintf("its stream holds %d bytes of %d", info.State.Bytes, most)}
		}
		if cluster := info.Cluster; cluster != nil && info.Config.Replicas > 1 {
			there := 1 // the leader, who has answered
			for _, replica := range cluster.Replicas {
				if !replica.Offline {
					there++
				}
			}
			if there <= info.Config.Replicas/2 {
				return fmt.Errorf("%d of %d replicas are there", there, info.Config.Replicas)
			}
		}
		account, err := l.jetstream.AccountInfo(ctx)
		if err == nil && account.Limits.MaxStore > 0 && account.Store >= uint64(account.Limits.MaxStore) {
			return &eventlog.Error{Kind: eventlog.ErrFull, Detail: "its account has no room"}
		}
		return err
	})
	if err != nil {
		return err
	}
	_, err = l.proven(ctx)
	return err
}

package eventlog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Stats implements [Log].
func (l *natsLog) Stats(ctx context.Context) (stats Stats, err error) {
	if err := l.refusal(ctx, false); err != nil {
		return Stats{}, err
	}
	durability, err := l.proven(ctx)
	if err != nil {
		return Stats{}, err
	}
	err = l.do(ctx, func(ctx context.Context) error {
		info, err := l.info(ctx, l.events, jetstream.WithDeletedDetails(true))
		if err != nil {
			return err
		}
		state := info.State
		stats = Stats{Events: int64(state.Msgs), Bytes: int64(state.Bytes), Durability: durability}
		if state.Msgs > 0 {
			stats.First, stats.Last, stats.Oldest = Position(state.FirstSeq), Position(state.LastSeq), state.FirstTime.UTC()
		}
		stats.Consumers, err = l.consumerStats(ctx, info)
		return err
	})
	if err != nil {
		return Stats{}, err
	}
	return stats, nil
}

func (l *natsLog) consumerStats(ctx context.Context, events *jetstream.StreamInfo) (all []ConsumerStats, err error) {
	info, err := l.info(ctx, l.consumers(), jetstream.WithSubjectFilter(">"))
	if err != nil {
		return nil, err
	}
	dead := map[string]int64{} // by the token of the consumer
	for subject := range info.State.Subjects {
		if tokens := strings.Split(subject, "."); len(tokens) == 5 && tokens[4] == "dead" {
			dead[tokens[2]]++
		}
	}
	for subject := range info.State.Subjects {
		if !strings.HasPrefix(subject, l.consumers()+".place.") {
			continue
		}
		place, _, err := l.placeAt(ctx, subject)
		if err != nil {
			return nil, err
		}
		consumer := ConsumerStats{Name: place.Consumer, Holder: place.Holder, Dead: dead[natsToken(place.Consumer)]}
		if place.Place != nil && natsAstray(events, place.Stream, *place.Place) == "" { // otherwise it will begin anew
			consumer.Place = *place.Place
		}
		consumer.Lag = natsLag(events.State, consumer.Place)
		all = append(all, consumer)
	}
	slices.SortFunc(all, func(a, b ConsumerStats) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// natsLag is how many messages of a stream stand behind a place.
func natsLag(state jetstream.StreamState, place Position) int64 {
	last := Position(state.LastSeq)
	if state.Msgs == 0 || place >= last {
		return 0
	}
	behind := last - max(place, Position(state.FirstSeq)-1)
	for _, removed := range state.Deleted {
		if Position(removed) > place {
			behind--
		}
	}
	return int64(behind)
}

// Check implements [Log].
func (l *natsLog) Check(ctx context.Context) error {
	if err := l.refusal(ctx, true); err != nil {
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
			return &Error{Kind: ErrFull, Detail: fmt.Sprintf("its stream holds %d bytes of %d", info.State.Bytes, most)}
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
			return &Error{Kind: ErrFull, Detail: "its account has no room"}
		}
		return err
	})
	if err != nil {
		return err
	}
	_, err = l.proven(ctx)
	return err
}

package main

import (
	"context"
	"fmt"

	"example.com/receiver/internal/receiver-runtime/eventlog"
)

// lag prints how far consumers are.
func lag(ctx context.Context, log eventlog.Log) error {
	stats, err := log.Stats(ctx)
	for _, consumer := range stats.Consumers {
		fmt.Println(consumer.Name, consumer.Place, consumer.Lag)
	}
	return err
}

// skip makes a consumer begin after a position, and forget a dead letter.
func skip(ctx context.Context, log eventlog.Log, name string, to eventlog.Position) error {
	hold, err := log.Hold(ctx, name)
	if err != nil {
		return err
	}
	if place, known := hold.Place(); known {
		fmt.Println("was at", place)
	}
	if err := hold.Revive(ctx, to); err != nil {
		return err
	}
	if err := hold.Move(ctx, to); err != nil {
		return err
	}
	return hold.Release()
}

// gaveUp prints when consumers gave up.
func gaveUp(ctx context.Context, log eventlog.Log) error {
	for letter, err := range log.Dead(ctx, "") {
		if err != nil {
			return err
		}
		fmt.Println(letter.ID, letter.Buried)
	}
	return nil
}

// drop moves an event to the dead letters.
func drop(ctx context.Context, hold eventlog.Hold, event eventlog.Record) error {
	return hold.Bury(ctx, eventlog.DeadLetter{Record: event, Tries: 1, Reason: "dropped by hand"})
}

type figures = eventlog.ConsumerStats

// guarded is a lease that is used with care.
type guarded struct{ eventlog.Hold }

// rewind sets a consumer back, and says where it is then.
func rewind(ctx context.Context, hold guarded) (figures, error) {
	return figures{Name: "rewound", Place: 0}, hold.Move(ctx, 0)
}

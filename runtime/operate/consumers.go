package operate

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/dialect"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

func listConsumers(*flag.FlagSet) action {
	return func(ctx context.Context, log eventlog.Log, print func(any) error) error {
		stats, err := log.Stats(ctx)
		if err != nil {
			return err
		}
		for _, consumer := range stats.Consumers {
			if err := print(newConsumerLine(consumer)); err != nil {
				return err
			}
		}
		return nil
	}
}

func resetConsumer(flags *flag.FlagSet) action {
	consumer := flags.String("consumer", "", "the `consumer` to move")
	from := fromFlags(flags)
	end := flags.Bool("end", false, "begin after the events that the log has now")
	return func(ctx context.Context, log eventlog.Log, print func(any) error) error {
		given := 0
		flags.Visit(func(f *flag.Flag) {
			if slices.Contains([]string{"after", "since", "end"}, f.Name) {
				given++
			}
		})
		if given != 1 {
			return errors.New("say where it begins, with one of --after, --since and --end; --after 0 is the first event")
		}
		from, err := from()
		if err != nil {
			return err
		}
		hold, stats, err := holdIdle(ctx, log, *consumer)
		if err != nil {
			return err
		}
		position, err := positionBefore(ctx, log, from, stats)
		if err == nil && *end {
			position = stats.Last
		}
		if keeper := keeperOf(hold); err == nil && keeper != "" {
			err = fmt.Errorf("nothing is changed: the position of consumer %q is in a database (%s), and what the log has of it is a copy. To have it begin after position %d, run there: %s",
				*consumer, keeper, position, dialect.Dialect(keeper).MoveConsumer(*consumer, int64(position)))
		}
		if err == nil {
			err = errors.Join(hold.Commit(ctx, position), hold.SetFailure(ctx, eventlog.Failure{}))
		}
		if err := errors.Join(err, hold.Release()); err != nil {
			return err
		}
		return print(struct {
			Consumer string            `json:"consumer"`
			Position eventlog.Position `json:"position"`
		}{*consumer, position})
	}
}

// positionBefore returns the position after which reading begins.
func positionBefore(ctx context.Context, log eventlog.Log, from eventlog.From, stats eventlog.Stats) (eventlog.Position, error) {
	if from.After < 0 || from.After > stats.Last {
		return 0, fmt.Errorf("--after %d: the log has no such position; its last is %d", from.After, stats.Last)
	}
	if from.Since.IsZero() {
		return from.After, nil
	}
	for record, err := range log.Read(ctx, from) {
		return record.Position - 1, err
	}
	return stats.Last, nil
}

func deleteConsumer(flags *flag.FlagSet) action {
	consumer := flags.String("consumer", "", "the `consumer` to delete")
	isCopy := flags.Bool("copy", false, "delete what the log has of a consumer whose position is in a database")
	return func(ctx context.Context, log eventlog.Log, print func(any) error) error {
		hold, _, err := holdIdle(ctx, log, *consumer)
		if err != nil {
			return err
		}
		if keeper := keeperOf(hold); keeper != "" && !*isCopy {
			err := fmt.Errorf("nothing is deleted: the position of consumer %q is in a database (%s), and what the log has of it is a copy. Run there: "+
				"DELETE FROM event_consumers WHERE consumer = %[3]s; DELETE FROM event_consumers_dead WHERE consumer = %[3]s; Then repeat this with --copy, which deletes the copy and the dead letters", *consumer, keeper, dialect.Dialect(keeper).Quote(*consumer))
			return errors.Join(err, hold.Release())
		}
		if err := hold.Delete(ctx); err != nil {
			return errors.Join(err, hold.Release())
		}
		return print(struct {
			Deleted string `json:"deleted"`
		}{*consumer})
	}
}

// keeperOf returns what has the position of a consumer, or "" if that is the log.
func keeperOf(hold eventlog.Hold) string {
	if kept, ok := hold.(eventlog.KeeperHold); ok {
		return kept.Keeper()
	}
	return ""
}

// holdIdle takes the lease of a consumer that exists and that no process runs.
func holdIdle(ctx context.Context, log eventlog.Log, consumer string) (eventlog.Hold, eventlog.Stats, error) {
	if consumer == "" {
		return nil, eventlog.Stats{}, errors.New("--consumer is missing: consumers list prints those there are")
	}
	stats, err := log.Stats(ctx)
	if err != nil {
		return nil, stats, err
	}
	if !slices.ContainsFunc(stats.Consumers, func(c eventlog.ConsumerStats) bool { return c.Name == consumer }) {
		return nil, stats, fmt.Errorf("the log has no consumer %q: consumers list prints those there are", consumer)
	}
	hold, err := log.Hold(ctx, consumer)
	if errors.Is(err, eventlog.ErrHeld) {
		return nil, stats, fmt.Errorf("%w: stop the server that runs it first", err)
	}
	return hold, stats, err
}

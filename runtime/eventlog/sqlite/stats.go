package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Stats implements [eventlog.Log]. It counts events by their positions, which have
// no gaps.
func (l *fileLog) Stats(ctx context.Context) (eventlog.Stats, error) {
	stats := eventlog.Stats{Durability: eventlog.Fsync}
	var numbers []int64
	err := l.use(ctx, func(r *reader) (err error) {
		if stats.First, stats.Last, err = r.ends(); err != nil {
			return err
		}
		if stats.First > 0 {
			stats.Events = int64(stats.Last - stats.First + 1)
			var recorded string
			if err := r.QueryRowContext(ctx, "SELECT recorded FROM events WHERE position >= ? ORDER BY position LIMIT 1", int64(stats.First)).Scan(&recorded); err != nil {
				return err
			}
			if stats.Oldest, err = parseTime(recorded); err != nil {
				return err
			}
		}
		if err := r.QueryRowContext(ctx, "SELECT count(*) FROM erased WHERE position >= ?", int64(stats.First)).Scan(&stats.Erased); err != nil {
			return err
		}
		if stats.Bytes, err = bytesInUse(ctx, r.Conn); err != nil {
			return err
		}
		if stats.Free, err = freeBytes(ctx, r.Conn, l.path); err != nil {
			return err
		}
		rows, err := r.QueryContext(ctx, `SELECT number, name, ifnull(place, 0), ifnull(failure, '{}'), keeper,
			(SELECT count(*) FROM dead_letters WHERE consumer = name),
			(SELECT recorded FROM events WHERE position > ifnull(place, 0) ORDER BY position LIMIT 1)
			FROM consumers ORDER BY name`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var number int64
			var consumer eventlog.ConsumerStats
			var failure []byte
			var oldest sql.NullString
			if err := rows.Scan(&number, &consumer.Name, &consumer.Position, &failure, &consumer.Keeper, &consumer.Dead, &oldest); err != nil {
				return err
			}
			if oldest.Valid {
				if consumer.Oldest, err = parseTime(oldest.String); err != nil {
					return err
				}
			}
			if err := json.Unmarshal(failure, &consumer.Failure); err != nil {
				return fmt.Errorf("the failure of consumer %q: %w", consumer.Name, err)
			}
			if stats.Events > 0 {
				consumer.Lag = max(0, int64(stats.Last-max(consumer.Position, stats.First-1)))
			}
			stats.Consumers, numbers = append(stats.Consumers, consumer), append(numbers, number)
		}
		return rows.Err()
	})
	if err != nil {
		return eventlog.Stats{}, err
	}
	for i, number := range numbers {
		stats.Consumers[i].Holder = leaseHolder(ctx, l.leaseFile(number))
	}
	return stats, nil
}

// freeBytes returns how many bytes more the file can take: what is free on its device, and
// in the file; nil if that is not known.
func freeBytes(ctx context.Context, conn *sql.Conn, path string) (*int64, error) {
	free, ok := deviceFree(filepath.Dir(path))
	if !ok {
		return nil, nil
	}
	var within int64
	err := conn.QueryRowContext(ctx, "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size").Scan(&within)
	free += within
	return &free, err
}

// bytesInUse returns how many bytes of the file are in use.
func bytesInUse(ctx context.Context, conn *sql.Conn) (bytes int64, err error) {
	err = conn.QueryRowContext(ctx, `SELECT (page_count - freelist_count) * page_size
		FROM pragma_page_count, pragma_freelist_count, pragma_page_size`).Scan(&bytes)
	return bytes, err
}

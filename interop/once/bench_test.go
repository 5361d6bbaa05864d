package once_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/exactlyonce"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/dialect"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/into"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/memory"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/outbox"
)

// databases are the URLs of databases to measure.
func databases(b *testing.B) map[string]string {
	return map[string]string{
		"SQLite":     "sqlite file:" + filepath.Join(b.TempDir(), "once.db") + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)",
		"PostgreSQL": startPostgreSQL(b).url(b),
		"MariaDB":    startMariaDB(b).url(b),
	}
}

// BenchmarkConsume measures events that a consumer writes one row for, in batches of 256:
// with the position in the database, and, for comparison, in a transaction for each batch
// with the position in the log.
func BenchmarkConsume(b *testing.B) {
	for name, url := range databases(b) {
		db := opened(b, url)
		database, err := dialect.Of(b.Context(), db)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := db.ExecContext(b.Context(), "CREATE TABLE effects (id VARCHAR(100))"); err != nil {
			b.Fatal(err)
		}
		write := func(ctx context.Context, tx *sql.Tx, events []eventlog.Stored[*wrapperspb.StringValue]) error {
			for _, event := range events {
				if _, err := tx.ExecContext(ctx, database.Bind("INSERT INTO effects (id) VALUES (?)"), event.ID); err != nil {
					return err
				}
			}
			return nil
		}
		round := 0
		b.Run(name+"/into", func(b *testing.B) {
			round++
			consumer := fmt.Sprint("into", round)
			measure(b, func(ctx context.Context, log eventlog.Log) error {
				return into.ConsumeMessages(ctx, log, db, consumer, write)
			})
		})
		b.Run(name+"/batches", func(b *testing.B) {
			measure(b, func(ctx context.Context, log eventlog.Log) error {
				return eventlog.ConsumeMessageBatches(ctx, log, "batches", func(ctx context.Context, events []eventlog.Stored[*wrapperspb.StringValue]) error {
					tx, err := db.BeginTx(ctx, nil)
					if err != nil {
						return err
					}
					defer func() { _ = tx.Rollback() }()
					if err := write(ctx, tx, events); err != nil {
						return err
					}
					return tx.Commit()
				})
			})
		})
	}
}

func opened(b *testing.B, url string) *sql.DB {
	db, err := exactlyonce.Open(url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return db
}

// measure has a consumer handle b.N events of a log.
func measure(b *testing.B, consume func(context.Context, eventlog.Log) error) {
	log, err := eventlog.Open(b.Context(), "memory:")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	for i := range b.N {
		_, err := eventlog.AppendMessages(b.Context(), log, []*wrapperspb.StringValue{wrapperspb.String("order")}, func(*wrapperspb.StringValue) eventlog.Event {
			return eventlog.Event{ID: fmt.Sprint(i), Type: "t", Subject: fmt.Sprint(i % 50)}
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- consume(ctx, log) }()
	for handled := false; !handled; time.Sleep(time.Millisecond) {
		stats, err := log.Stats(ctx)
		handled = err == nil && len(stats.Consumers) == 1 && stats.Consumers[0].Lag == 0
	}
	b.StopTimer()
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkRelay measures events that a relay reads, sends to a service which answers
// after a millisecond, and deletes.
func BenchmarkRelay(b *testing.B) {
	for name, url := range databases(b) {
		b.Run(name, func(b *testing.B) {
			db := opened(b, url)
			box, err := outbox.Open(b.Context(), db)
			if err != nil {
				b.Fatal(err)
			}
			tx, err := db.BeginTx(b.Context(), nil)
			if err != nil {
				b.Fatal(err)
			}
			for i := range b.N {
				if _, err := box.Append(b.Context(), tx, wrapperspb.String("order"), outbox.Subject(fmt.Sprint(i%200))); err != nil {
					b.Fatal(err)
				}
			}
			if err := tx.Commit(); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			go func() {
				ended <- box.Relay(ctx, outbox.Logger(slog.New(slog.DiscardHandler)), outbox.Send(func(context.Context, *wrapperspb.StringValue, ...grpc.CallOption) (*emptypb.Empty, error) {
					time.Sleep(time.Millisecond)
					return &emptypb.Empty{}, nil
				}))
			}()
			for left := 1; left > 0; time.Sleep(time.Millisecond) {
				if err := db.QueryRowContext(ctx, "SELECT count(*) FROM event_outbox").Scan(&left); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			cancel()
			if err := <-ended; err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

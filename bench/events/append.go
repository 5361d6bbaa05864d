package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	_ "modernc.org/sqlite"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/bench/natscluster"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/nats"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
)

// data is the data of each event: 200 bytes.
var data = []byte(strings.Repeat("0123456789", 20))

// event returns an event as a shop would send it.
func event() eventlog.Event {
	return eventlog.Event{
		ID: uuid.Must(uuid.NewV7()).String(), Source: "shop", Type: "order.placed", Subject: "customer-81723",
		Time: time.Now(), Schema: "shop.v1.OrderEvent", Data: data,
	}
}

// appends compares appends by many callers with writes to the storage without the log.
func (b *bench) appends(ctx context.Context) error {
	b.row("callers", "append", "a commit", "one transaction each", "×", "one writer, same batches", "×", "JetStream, sync always", "×")
	one, err := b.writer(ctx, 1)
	if err != nil {
		return err
	}
	for _, callers := range []int{1, 64, 512} {
		ours, batch, err := b.sqlite(ctx, callers)
		if err != nil {
			return err
		}
		same, err := b.writer(ctx, max(1, int(batch+0.5)))
		if err != nil {
			return err
		}
		jetStream, err := b.jetStream(ctx, callers)
		if err != nil {
			return err
		}
		goals := map[int][2]float64{64: {10, 0.9}, 512: {10, 0.9}}[callers]
		b.row(callers, ours, fmt.Sprintf("%.0f events", batch), one, ours.to(one, goals[0]), same, ours.to(same, goals[1]), jetStream, ours.to(jetStream, 0))
	}
	return nil
}

// sqlite appends to a log with a number of callers. It returns the rate, and how many
// events a commit has on average.
func (b *bench) sqlite(ctx context.Context, callers int) (perSecond rate, batch float64, err error) {
	err = inFolder(func(dir string) error {
		path := filepath.Join(dir, "events.db")
		log, err := eventlog.Open(ctx, "sqlite:"+path)
		if err != nil {
			return err
		}
		perSecond, err = b.callers(ctx, callers, func(ctx context.Context) error {
			_, err := log.Append(ctx, event())
			return err
		})
		if err := errors.Join(err, log.Close()); err != nil {
			return err
		}
		batch, err = perCommit(path)
		return err
	})
	return perSecond, batch, err
}

// perCommit returns how many events a transaction of a log has on average. The events
// of a transaction have the same time of recording.
func perCommit(path string) (events float64, err error) {
	err = query(path, func(db *sql.DB) error {
		return db.QueryRow("SELECT count(*) * 1.0 / count(DISTINCT recorded) FROM events").Scan(&events)
	})
	return events, err
}

// callers calls once repeatedly in a number of goroutines, and returns the rate.
func (b *bench) callers(ctx context.Context, callers int, once func(context.Context) error) (rate, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var done atomic.Int64
	var stop atomic.Bool
	errs := make([]error, callers)
	var group sync.WaitGroup
	begin := b.clock()
	for caller := range callers {
		group.Go(func() {
			for !stop.Load() && errs[caller] == nil {
				errs[caller] = once(ctx)
				done.Add(1)
			}
		})
	}
	time.Sleep(b.span)
	stop.Store(true)
	group.Wait()
	return rate(float64(done.Load()) / (b.clock() - begin).Seconds()), errors.Join(errs...)
}

// writer returns the rate of one writer that stores batches of a size in the table of
// a log, through the driver and without the log.
func (b *bench) writer(ctx context.Context, batch int) (perSecond rate, err error) {
	err = inFolder(func(dir string) error {
		path := filepath.Join(dir, "events.db")
		log, err := eventlog.Open(ctx, "sqlite:"+path) // makes the table
		if err != nil {
			return err
		}
		if err := log.Close(); err != nil {
			return err
		}
		return query(path, func(db *sql.DB) error {
			conn, err := db.Conn(ctx)
			if err != nil {
				return err
			}
			defer conn.Close()
			return conn.Raw(func(raw any) error {
				perSecond, err = b.insert(ctx, raw.(driver.ConnPrepareContext), batch)
				return err
			})
		})
	})
	return perSecond, err
}

// insert stores batches, each in one statement and so in one transaction.
func (b *bench) insert(ctx context.Context, conn driver.ConnPrepareContext, batch int) (rate, error) {
	statement, err := conn.PrepareContext(ctx, "INSERT INTO events (source, id, type, subject, time, recorded, schema, data) VALUES "+
		strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?, ?, ?, ?), ", batch), ", "))
	if err != nil {
		return 0, err
	}
	defer statement.Close()
	values := make([]driver.NamedValue, 8*batch)
	for i := range values {
		values[i].Ordinal = i + 1
	}
	events, begin := 0, b.clock()
	for until := time.Now().Add(b.span); time.Now().Before(until); {
		now := time.Now().UTC().Format("2006-01-02T15:04:05.000000000Z")
		for i := range batch {
			e := event()
			for j, value := range []driver.Value{e.Source, e.ID, e.Type, e.Subject, now, now, e.Schema, e.Data} {
				values[8*i+j].Value = value
			}
		}
		if _, err := statement.(driver.StmtExecContext).ExecContext(ctx, values); err != nil {
			return 0, err
		}
		events += batch
	}
	return rate(float64(events) / (b.clock() - begin).Seconds()), nil
}

// jetStream appends to a server in this process that syncs each message.
func (b *bench) jetStream(ctx context.Context, callers int) (perSecond rate, err error) {
	err = inFolder(func(dir string) error {
		nats, err := startJetStream(server.Options{StoreDir: dir, SyncAlways: true})
		if err != nil {
			return err
		}
		defer func() {
			nats.Shutdown()
			nats.WaitForShutdown()
		}()
		log, err := eventlog.Open(ctx, fmt.Sprintf("nats://%s/EVENTS?monitor=http://%s", nats.Addr(), nats.MonitorAddr()))
		if err != nil {
			return err
		}
		perSecond, err = b.callers(ctx, callers, func(ctx context.Context) error {
			_, err := log.Append(ctx, event())
			return err
		})
		return errors.Join(err, log.Close())
	})
	return perSecond, err
}

// startJetStream starts a NATS server with JetStream on free ports.
func startJetStream(options server.Options) (*server.Server, error) {
	return natscluster.StartServer(options)
}

func inFolder(do func(dir string) error) error {
	dir, err := os.MkdirTemp("", "events")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return do(dir)
}

// query opens the file of a log as the log does.
func query(path string, do func(*sql.DB) error) error {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)&_txlock=immediate")
	if err != nil {
		return err
	}
	return errors.Join(do(db), db.Close())
}

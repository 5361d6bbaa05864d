package sqlite

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// newWriterPool returns a pool of one connection that writes. Its commits are
// synced. It does not wait for locks: [whileBusy] does.
//
// When the last connection to the file, in any process, is closed, SQLite moves
// the write-ahead log into the file.
func newWriterPool(path string) *sql.DB {
	pool := newPool(path, "mode=rw",
		"_pragma=busy_timeout(0)",
		"_pragma=synchronous(full)",
		// The write-ahead log grows while a reader needs its old part; this
		// gives the room back afterwards.
		"_pragma=journal_size_limit(67108864)",
	)
	pool.SetMaxOpenConns(1)
	return pool
}

// newPool returns a pool of connections to the file at an absolute path. The
// parameters are SQLite's (mode) and the driver's (_pragma).
func newPool(path string, parameters ...string) *sql.DB {
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // C:\events.db is file:///C:/events.db
	}
	uri := url.URL{Scheme: "file", Path: slashed, RawQuery: strings.Join(parameters, "&")}
	connector, err := sqlite.NewConnector(uri.String())
	if err != nil {
		panic(err) // the parameters are constants of this package
	}
	return sql.OpenDB(connector)
}

// maxWait is how long a transaction waits for others.
const maxWait = 5 * time.Second

// whileBusy tries again while the file is locked by another connection, perhaps
// in another process. SQLite would wait with pauses of up to 100 ms, and a process
// that appends all the time hardly ever leaves a gap at the end of one.
func whileBusy(ctx context.Context, try func() error) error {
	for deadline := time.Now().Add(maxWait); ; {
		err := try()
		if resultCode(err)&0xff != sqlite3.SQLITE_BUSY || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100*time.Microsecond + rand.N(400*time.Microsecond)):
		}
	}
}

// connect takes a connection of a pool, once the file is not locked.
func connect(ctx context.Context, pool *sql.DB) (conn *sql.Conn, err error) {
	err = whileBusy(ctx, func() (err error) {
		conn, err = pool.Conn(ctx)
		return err
	})
	return conn, err
}

// transact makes changes on a connection, all of them or none.
func transact(ctx context.Context, conn *sql.Conn, change func() error) error {
	err := whileBusy(ctx, func() error {
		_, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE")
		return err
	})
	if err != nil {
		// The driver may report the end of ctx though the transaction has begun.
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return err
	}
	if err = change(); err == nil {
		err = whileBusy(ctx, func() error { // readers hold it up as long as there is no write-ahead log
			_, err := conn.ExecContext(ctx, "COMMIT")
			return err
		})
	}
	if err != nil {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // fails if SQLite has done it already
	}
	return err
}

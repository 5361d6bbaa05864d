package eventlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteLock is the right to append to a log, which one Log at a time has. It
// is a transaction on a database of its own beside the log, begun and never
// ended, so the system ends it with the process however that dies; and since
// such a transaction lets others read, that database says who holds it: the
// process id is its user_version.
type sqliteLock struct {
	conn *sqliteConn
}

func lockSQLite(ctx context.Context, path string) (_ *sqliteLock, err error) {
	file := path + "-lock"
	if err := createPrivate(file); err != nil {
		return nil, sqliteOpenError(file, err)
	}
	pool := newSQLitePool(file, "mode=rw", "_pragma=page_size(512)")
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, sqliteOpenError(file, errors.Join(err, pool.Close()))
	}
	lock := &sqliteLock{conn: &sqliteConn{Conn: conn, pool: pool}}
	defer func() {
		if err != nil {
			_ = lock.release()
		}
	}()
	// Once to leave the process id where others see it, and then for good.
	for _, statement := range []string{
		"BEGIN IMMEDIATE",
		fmt.Sprintf("PRAGMA user_version = %d", os.Getpid()),
		"PRAGMA busy_timeout = 1000", // the commit waits for those who look
		"COMMIT",
		"PRAGMA busy_timeout = 0",
		"BEGIN IMMEDIATE",
	} {
		if _, err := conn.ExecContext(ctx, statement); sqliteCode(err)&0xff == sqlite3.SQLITE_BUSY {
			return nil, fmt.Errorf("%s: already open for appending in process %s; stop that, or open the log for reading", path, sqliteLockHolder(ctx, conn))
		} else if err != nil {
			return nil, sqliteOpenError(file, err)
		}
	}
	return lock, nil
}

// sqliteLockHolder is the id of the process that holds the lock.
func sqliteLockHolder(ctx context.Context, conn *sql.Conn) string {
	var pid int
	_, _ = conn.ExecContext(ctx, "PRAGMA busy_timeout = 1000")
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&pid); err != nil {
		return "(unknown)"
	}
	return fmt.Sprint(pid)
}

// release gives the right up. The file stays: to remove it could pull it away
// from under the next holder.
func (l *sqliteLock) release() error {
	return l.conn.close()
}

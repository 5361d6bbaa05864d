package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// lease is the right to run a consumer, which one holder at a time has. It
// is a transaction on a database of its own beside the log, begun and never
// ended, so the system ends it with the process however that dies; and since
// such a transaction lets others read, that database says who holds it: the
// process id is its user_version.
type lease struct {
	pool *sql.DB
	conn *sql.Conn
}

// takeLease takes the lock that a file stands for. If another has it, it is
// nil and the holder is who that is.
func takeLease(ctx context.Context, file string) (_ *lease, holder string, err error) {
	if err := createPrivate(file); err != nil {
		return nil, "", err
	}
	lock, err := openLease(ctx, file)
	if err != nil {
		return nil, "", err
	}
	defer func() {
		if err != nil || holder != "" {
			_ = lock.close()
		}
	}()
	// Whoever only looks has it for a moment.
	for deadline := time.Now().Add(100 * time.Millisecond); ; time.Sleep(5 * time.Millisecond) {
		if err = lock.exec(ctx, 0, "BEGIN IMMEDIATE"); err == nil {
			break
		}
		if resultCode(err)&0xff != sqlite3.SQLITE_BUSY {
			return nil, "", err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Sprintf("process %d", lock.pid(ctx)), nil
		}
	}
	// The commit leaves the process id where others see it; it waits for those
	// who look. Between it and the next transaction another may take the lock.
	err = errors.Join(
		lock.exec(ctx, 1000, fmt.Sprintf("PRAGMA user_version = %d", os.Getpid())),
		lock.exec(ctx, 1000, "COMMIT"),
	)
	if err == nil {
		err = lock.exec(ctx, 0, "BEGIN IMMEDIATE")
	}
	if resultCode(err)&0xff == sqlite3.SQLITE_BUSY {
		return nil, fmt.Sprintf("process %d", lock.pid(ctx)), nil
	}
	if err != nil {
		return nil, "", err
	}
	return lock, "", nil
}

// leaseHolder says who has the lock that a file stands for, "" if nobody
// has or it can't be told.
func leaseHolder(ctx context.Context, file string) string {
	if err := findCreated(file); err != nil {
		return ""
	}
	lock, err := openLease(ctx, file)
	if err != nil {
		return ""
	}
	defer func() { _ = lock.close() }()
	pid := lock.pid(ctx)
	if pid == 0 {
		return ""
	}
	// It is the one who had it last, and may be gone.
	if err := lock.exec(ctx, 0, "BEGIN IMMEDIATE"); resultCode(err)&0xff != sqlite3.SQLITE_BUSY {
		return ""
	}
	return fmt.Sprintf("process %d", pid)
}

func openLease(ctx context.Context, file string) (*lease, error) {
	pool := newPool(file, "mode=rw", "_pragma=page_size(512)")
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &lease{pool, conn}, nil
}

// exec waits that many milliseconds for others.
func (l *lease) exec(ctx context.Context, wait int, statement string) error {
	if _, err := l.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", wait)); err != nil {
		return err
	}
	_, err := l.conn.ExecContext(ctx, statement)
	return err
}

// pid is the id of the process that had the lock last, 0 if none had.
func (l *lease) pid(ctx context.Context) (pid int) {
	_, _ = l.conn.ExecContext(ctx, "PRAGMA busy_timeout = 1000")
	_ = l.conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&pid)
	return pid
}

// close gives the right up. The file stays: to remove it could pull it away
// from under the next holder.
func (l *lease) close() error {
	return errors.Join(l.conn.Close(), l.pool.Close())
}

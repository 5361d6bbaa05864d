package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// lease is the right to run a consumer, which one holder has at a time. It is a
// transaction on a database of its own beside the log, begun and never ended, so
// the system ends it with the process, however that dies. And since others can read
// during such a transaction, that database says who has the lease: its user_version
// is the process id.
type lease struct {
	pool *sql.DB
	conn *sql.Conn
}

// takeLease takes the lease that a file is for. If another process has it, it
// returns nil and which one that is.
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
	// A process that only looks has it for a moment.
	for deadline := time.Now().Add(100 * time.Millisecond); ; time.Sleep(5 * time.Millisecond) {
		if err = lock.exec(ctx, 0, "BEGIN IMMEDIATE"); err == nil {
			break
		}
		if resultCode(err)&0xff != sqlite3.SQLITE_BUSY {
			return nil, "", err
		}
		if time.Now().After(deadline) {
			return nil, cmp.Or(lock.lastHolder(ctx), "another process"), nil
		}
	}
	// The commit leaves the process id where others see it, and waits for those
	// that look. Between it and the next transaction another may take the lease.
	err = errors.Join(
		lock.exec(ctx, 1000, fmt.Sprintf("PRAGMA user_version = %d", os.Getpid())),
		lock.exec(ctx, 1000, "COMMIT"),
	)
	if err == nil {
		err = lock.exec(ctx, 0, "BEGIN IMMEDIATE")
	}
	if resultCode(err)&0xff == sqlite3.SQLITE_BUSY {
		return nil, cmp.Or(lock.lastHolder(ctx), "another process"), nil
	}
	if err != nil {
		return nil, "", err
	}
	return lock, "", nil
}

// leaseHolder returns which process has the lease that a file is for, "" if none has
// it or that can't be found out.
func leaseHolder(ctx context.Context, file string) string {
	if err := findCreated(file); err != nil {
		return ""
	}
	lock, err := openLease(ctx, file)
	if err != nil {
		return ""
	}
	defer func() { _ = lock.close() }()
	holder := lock.lastHolder(ctx)
	if holder == "" {
		return ""
	}
	// That process had it last, and may have ended.
	if err := lock.exec(ctx, 0, "BEGIN IMMEDIATE"); resultCode(err)&0xff != sqlite3.SQLITE_BUSY {
		return ""
	}
	return holder
}

func openLease(ctx context.Context, file string) (*lease, error) {
	pool := newPool(file, "mode=rw", "_pragma=page_size(512)")
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &lease{pool, conn}, nil
}

// exec executes a statement, and waits for others up to a number of milliseconds.
func (l *lease) exec(ctx context.Context, wait int, statement string) error {
	if _, err := l.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", wait)); err != nil {
		return err
	}
	_, err := l.conn.ExecContext(ctx, statement)
	return err
}

// lastHolder returns which process had the lease last, "" if none had or that can't
// be found out.
func (l *lease) lastHolder(ctx context.Context) string {
	var pid int
	_, _ = l.conn.ExecContext(ctx, "PRAGMA busy_timeout = 1000")
	_ = l.conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&pid)
	if pid == 0 {
		return ""
	}
	return fmt.Sprintf("process %d", pid)
}

// close gives the lease up. The file stays: to remove it could pull it away from
// the next holder.
func (l *lease) close() error {
	return errors.Join(l.conn.Close(), l.pool.Close())
}

// restoreFile returns the file whose lock says that a log is being restored.
func restoreFile(path string) string { return path + "-restore" }

// refuseRestoring returns an error while a log is being restored.
func refuseRestoring(ctx context.Context, path string) error {
	if holder := leaseHolder(ctx, restoreFile(path)); holder != "" {
		return plainErrorf("%s: %s is restoring this log; start again when it has ended", path, holder)
	}
	return nil
}

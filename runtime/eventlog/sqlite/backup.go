//runtime:with operate.Backup eventlog.FileLog eventlog.Restore eventlog.ImportLog eventlog.EraseLog

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

func init() { eventlog.RegisterRestorer(restore, "sqlite") }

// Backup implements [eventlog.FileLog]. It reads in one transaction, beside which appends
// go on; SQLite's backup API would begin again whenever another process commits. What was
// deleted from the log is in no page of the backup.
func (l *fileLog) Backup(ctx context.Context, file string) error {
	if err := l.unlessClosed(nil); err != nil {
		return err
	}
	file, err := otherFile(file, l.path)
	if err != nil {
		return err
	}
	if err := checkUnused(ctx, file, backupInUse); err != nil { // before it takes long
		return err
	}
	whole, err := writeWhole(ctx, l.path, file)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(whole) }() // unless it was renamed
	return replace(ctx, whole, file, "", backupInUse)
}

// Verify implements [eventlog.FileLog].
func (l *fileLog) Verify(ctx context.Context) error {
	return l.use(ctx, func(r *reader) error { return checkPages(ctx, r.Conn, l.path) })
}

// checkPages returns an error if pages or indexes of a file are damaged.
func checkPages(ctx context.Context, conn *sql.Conn, path string) error {
	var verdict string
	if err := conn.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return openError(path, err)
	}
	if verdict != "ok" {
		return plainErrorf("%s: the database is damaged; restore it from a backup, or if it is a backup, make another one (%s)", path, verdict)
	}
	return nil
}

// otherFile returns the absolute path of a file, and an error if it is a log's own.
func otherFile(file, log string) (string, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	if real, err := filepath.EvalSymlinks(log); err == nil && real == file {
		return "", fmt.Errorf("%s: this is the file of the log itself; name another file for its backup", file)
	}
	return file, nil
}

// writeWhole writes the database of one file into a new one beside another, whose name it
// may get: it is checked, and on the device.
func writeWhole(ctx context.Context, from, beside string) (whole string, err error) {
	made, err := os.CreateTemp(filepath.Dir(beside), filepath.Base(beside)+".part-*") // which only its owner can read
	if err != nil {
		return "", openError(beside, err)
	}
	whole = made.Name()
	defer func() {
		if err != nil {
			_ = os.Remove(whole)
		}
	}()
	if err := made.Close(); err != nil {
		return "", err
	}
	if err := vacuumInto(ctx, from, whole); err != nil {
		return "", err
	}
	if err := withConnection(ctx, whole, func(conn *sql.Conn) error { return checkPages(ctx, conn, whole) }, "mode=ro", "immutable=1"); err != nil {
		return "", err
	}
	return whole, syncFile(whole)
}

// vacuumInto writes the log of one file into another, which is empty.
func vacuumInto(ctx context.Context, from, into string) error {
	return withConnection(ctx, from, func(conn *sql.Conn) error {
		version, err := schemaVersion(ctx, conn, from)
		if err != nil {
			return err
		}
		if version == 0 {
			return plainErrorf("%s: there is no event log in this file", from)
		}
		if _, err := conn.ExecContext(ctx, "VACUUM INTO ?", into); err != nil {
			return openError(from, err)
		}
		return nil
	}, "mode=ro", "_pragma=busy_timeout(5000)")
}

// withConnection calls use with a connection to a file.
func withConnection(ctx context.Context, path string, use func(*sql.Conn) error, parameters ...string) error {
	pool := newPool(path, parameters...)
	conn, err := connect(ctx, pool)
	if err != nil {
		return errors.Join(openError(path, err), pool.Close())
	}
	return errors.Join(use(conn), conn.Close(), pool.Close())
}

// syncFile returns once a file, which nothing has open, is on the device.
func syncFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// replace puts a whole database in the place of a file, which nothing may have open. What
// a write-ahead log has of the file is first moved into it, so that at any time there is
// the one database or the other, and nothing beside it that belongs to the one before.
// Unless kept is "", the file is kept under that name. If something has the file open, the
// error is inUse.
func replace(ctx context.Context, whole, path, kept, inUse string) error {
	release, err := settle(ctx, path, inUse)
	if err != nil {
		return err
	}
	defer func() { release() }()
	if kept != "" {
		if err := link(path, kept); err != nil { // the file system has no links
			if runtime.GOOS == "windows" { // where nothing reads what is locked
				release()
			}
			read, err := copyWhole(path, kept)
			if err != nil {
				return openError(path, err)
			}
			settled := release
			release = func() { settled(); _ = read.Close() }
		}
	}
	if runtime.GOOS == "windows" { // which renames no file over one that is open
		release()
	}
	if err := os.Rename(whole, path); err != nil {
		return openError(path, err)
	}
	return syncDirectory(filepath.Dir(path))
}

// link is [os.Link], except in tests.
var link = os.Link

// copyWhole copies a file into a new one, which has its name once it is on the device. It
// returns the file that it has read: on Unix, closing that ends the locks that this process
// has on it.
func copyWhole(path, into string) (read *os.File, err error) {
	if read, err = os.Open(path); err != nil {
		return nil, err
	}
	part, err := os.CreateTemp(filepath.Dir(into), filepath.Base(into)+".part-*") // which only its owner can read
	if err != nil {
		return nil, errors.Join(err, read.Close())
	}
	_, err = io.Copy(part, read)
	if err = errors.Join(err, part.Sync(), part.Close()); err == nil {
		err = os.Rename(part.Name(), into)
	}
	if err == nil {
		err = syncDirectory(filepath.Dir(into))
	}
	if err != nil {
		_ = os.Remove(part.Name())
		return nil, errors.Join(err, read.Close())
	}
	return read, nil
}

// checkUnused returns an error if another process, or another log of this one, has a file
// open.
func checkUnused(ctx context.Context, path, inUse string) error {
	release, err := settle(ctx, path, inUse)
	if err == nil {
		release()
	}
	return err
}

// What is wrong if something has a file open, and what to do.
const (
	logInUse    = "the log is in use: stop the server, and whatever else has it open, and try again"
	backupInUse = "something has this backup open, perhaps events backup --follow: end that, or name another file"
)

// settle locks a file that nothing has open, with all that it has in itself and no other
// file of SQLite beside it. What is beside it and does not belong to it is renamed.
func settle(ctx context.Context, path, inUse string) (release func(), err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0: // SQLite would delete what is beside it
		return func() {}, setAside(path)
	case err != nil:
		return nil, openError(path, err)
	case info.IsDir():
		return nil, openError(path, errors.New("it is a directory"))
	}
	if hasForeignWAL(ctx, path) {
		if err := setAside(path); err != nil {
			return nil, err
		}
	}
	pool := newPool(path, "mode=rw", "_pragma=busy_timeout(200)", "_pragma=locking_mode(exclusive)")
	conn, err := pool.Conn(ctx)
	if err == nil {
		_, err = schemaVersion(ctx, conn, path)
	}
	if err == nil {
		var journal string
		err = conn.QueryRowContext(ctx, "PRAGMA journal_mode = delete").Scan(&journal)
	}
	if err == nil {
		_, err = conn.ExecContext(ctx, "BEGIN EXCLUSIVE")
	}
	closed := false
	release = func() {
		if !closed {
			closed = true
			if conn != nil {
				_ = conn.Close()
			}
			_ = pool.Close()
		}
	}
	if err == nil {
		// Of the write-ahead log that is no longer there. SQLite has not used the -shm,
		// because it knows that it is alone.
		for _, name := range []string{path + "-shm", noteFile(path)} {
			_ = os.Remove(name)
		}
		return release, nil
	}
	release()
	switch code := resultCode(err) & 0xff; {
	case code == sqlite3.SQLITE_BUSY:
		return nil, plainErrorf("%s: %s", path, inUse)
	case code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB:
		return func() {}, setAside(path) // there is nothing that a write-ahead log could be moved into
	}
	if code := resultCode(err); code == 0 { // it says already what is wrong with the file
		return nil, err
	}
	return nil, openError(path, err)
}

// setAside renames the write-ahead log beside a file, so that nothing replays it.
func setAside(path string) error {
	aside := path + "-wal.stale-" + stamp(time.Now())
	if err := os.Rename(path+"-wal", aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: the -wal beside it belongs to another file; move it away (%w)", path, err)
	}
	for _, name := range []string{path + "-shm", path + "-journal", noteFile(path)} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return openError(path, err)
		}
	}
	return nil
}

// stamp returns a time as the names of files have it.
func stamp(t time.Time) string { return t.UTC().Format("20060102T150405.000000000Z") }

// restore is the [eventlog.Restorer] of this engine.
func restore(ctx context.Context, url, backup string) (before string, err error) {
	path, parameters, err := parseURL(url)
	if err != nil {
		return "", err
	}
	if err := makeDirectory(filepath.Dir(path)); err != nil {
		return "", openError(path, err)
	}
	if err := parameters.refuse(path); err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if backup, err = otherFile(backup, path); err != nil {
		return "", err
	}
	switch _, err := os.Stat(backup); {
	case err != nil:
		return "", fmt.Errorf("%s: there is no backup here; name a file that events backup has written (%w)", backup, err)
	case hasForeignWAL(ctx, backup):
		return "", fmt.Errorf("%s: the -wal beside this backup belongs to another file; move it away, if the backup was copied here", backup)
	}
	lease, holder, err := takeLease(ctx, restoreFile(path))
	if err != nil {
		return "", openError(path, err)
	}
	if holder != "" {
		return "", fmt.Errorf("%s: %s is restoring this log", path, holder)
	}
	defer func() { _ = errors.Join(os.Remove(restoreFile(path)), lease.close()) }()
	if err := checkUnused(ctx, path, logInUse); err != nil { // before it takes long
		return "", err
	}
	whole, err := writeWhole(ctx, backup, path)
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(whole) }() // unless it was renamed
	if info, err := os.Stat(path); err == nil && info.Size() > 0 {
		before = path + ".before-" + stamp(time.Now())
	}
	if err := replace(ctx, whole, path, before, logInUse); err != nil {
		return "", err
	}
	return before, nil
}

var _ eventlog.FileLog = (*fileLog)(nil)

package eventlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteApplication marks a SQLite file as an event log, so that no other
// application's database is taken for one: PRAGMA application_id, "evlg".
const sqliteApplication = 0x65766c67

// sqliteMigrations lead from each version of the schema to the next: the
// first makes version 1 out of an empty file. A released one never changes.
var sqliteMigrations = []string{
	`CREATE TABLE events (
		position INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice
		source   TEXT NOT NULL,
		id       TEXT NOT NULL,
		type     TEXT NOT NULL,
		subject  TEXT NOT NULL,
		time     TEXT NOT NULL, -- when it happened: 2006-01-02T15:04:05.000000000Z
		recorded TEXT NOT NULL, -- when it was stored, in the same format
		schema   TEXT NOT NULL, -- full name of the protobuf message in data
		data     BLOB NOT NULL,
		UNIQUE (source, id)
	)`,
}

// sqliteTime is the format of the times in the table: of fixed width, so that
// their order as text is their order in time.
const sqliteTime = "2006-01-02T15:04:05.000000000Z"

// sqliteLog is a log in one SQLite file. Appends go through one connection,
// used by one goroutine; reads go through a pool of others.
type sqliteLog struct {
	path    string
	readers *sql.DB

	reading sync.RWMutex // held for reading while a page is read
	closed  bool         // guarded by reading

	// What only a log that was opened for appending has.
	lock     *sqliteLock
	writer   *sqliteConn
	appender *sqliteAppender

	closing    sync.Once
	closingErr error
}

func openSQLite(ctx context.Context, url string, mode mode) (Log, error) {
	path, err := sqlitePath(url)
	if err != nil {
		return nil, err
	}
	if mode == readOnly {
		return openSQLiteReader(ctx, path)
	}
	return openSQLiteWriter(ctx, path)
}

// sqlitePath is the absolute path that a URL names, so that the log stays
// where it is when the working directory changes.
func sqlitePath(url string) (string, error) {
	path := strings.TrimPrefix(url, "sqlite:")
	if strings.HasPrefix(path, "///") {
		path = path[len("//"):]
	}
	if path == "" || strings.HasPrefix(path, "//") {
		return "", fmt.Errorf("event log %q: want sqlite:PATH, such as sqlite:events.db or sqlite:/var/lib/orders/events.db", url)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("event log %q: %w", url, err)
	}
	return absolute, nil
}

func openSQLiteReader(ctx context.Context, path string) (_ *sqliteLog, err error) {
	switch _, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no event log here; name one that exists, or open it for appending to make it", path)
	case err != nil:
		return nil, sqliteOpenError(path, err)
	}
	log := &sqliteLog{path: path}
	defer func() {
		if err != nil {
			_ = log.Close()
		}
	}()
	log.readers = newSQLiteReaders(path)
	conn, err := log.readers.Conn(ctx)
	if err != nil {
		return nil, sqliteOpenError(path, err)
	}
	defer func() { _ = conn.Close() }()
	switch version, err := sqliteVersion(ctx, conn, path); {
	case err != nil:
		return nil, err
	case version < len(sqliteMigrations):
		return nil, fmt.Errorf("%s: its schema has version %d and this program reads version %d; open it for appending once to bring it up to date", path, version, len(sqliteMigrations))
	}
	return log, nil
}

func openSQLiteWriter(ctx context.Context, path string) (_ *sqliteLog, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, sqliteOpenError(path, err)
	}
	if err := createPrivate(path); err != nil {
		return nil, sqliteOpenError(path, err)
	}
	// Two names of one file share its lock.
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, sqliteOpenError(path, err)
	}
	log := &sqliteLog{path: path}
	defer func() {
		if err != nil {
			_ = log.Close()
		}
	}()
	if log.writer, err = openSQLiteConn(ctx, path); err != nil {
		return nil, sqliteOpenError(path, err)
	}
	// Before anything is written beside or into the file, for it may be
	// somebody else's.
	if _, err := sqliteVersion(ctx, log.writer.Conn, path); err != nil {
		return nil, err
	}
	if log.lock, err = lockSQLite(ctx, path); err != nil {
		return nil, err
	}
	if err := migrateSQLite(ctx, log.writer.Conn, path); err != nil {
		return nil, err
	}
	log.readers = newSQLiteReaders(path)
	if log.appender, err = startSQLiteAppender(log.writer); err != nil {
		return nil, sqliteOpenError(path, err)
	}
	return log, nil
}

// createPrivate makes a file that only its owner can use, if there is none.
// It never opens one that exists: closing it again would end the locks that
// SQLite holds on it for another log in this process, as POSIX wants it. For
// SQLite an empty file is an empty database, whose mode its other files take.
func createPrivate(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(file.Chmod(0o600), file.Close()) // Chmod: whatever the umask
}

// sqliteVersion is the version of the schema in a file, 0 if it is empty, or
// the error that says why the file can't be used.
func sqliteVersion(ctx context.Context, conn *sql.Conn, path string) (int, error) {
	var application, version, objects int
	row := conn.QueryRowContext(ctx, `SELECT
		(SELECT application_id FROM pragma_application_id),
		(SELECT user_version FROM pragma_user_version),
		(SELECT count(*) FROM sqlite_schema)`)
	if err := row.Scan(&application, &version, &objects); err != nil {
		return 0, sqliteOpenError(path, err)
	}
	switch {
	case application == 0 && version == 0 && objects == 0:
		return 0, nil
	case application != sqliteApplication:
		return 0, fmt.Errorf("%s: this is the database of another application; choose another path", path)
	case version > len(sqliteMigrations):
		return 0, fmt.Errorf("%s: its schema has version %d and this program knows versions up to %d; use a newer build of the program", path, version, len(sqliteMigrations))
	}
	return version, nil
}

// migrateSQLite brings the schema of a file up to date, in one transaction.
//
// It writes the version even where that is up to date, because its commit
// syncs the whole write-ahead log: a process that was killed may have left a
// transaction there that was never synced, and its events would otherwise be
// called durable duplicates.
func migrateSQLite(ctx context.Context, conn *sql.Conn, path string) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return sqliteOpenError(path, err)
	}
	defer func() { _ = tx.Rollback() }()
	version, err := sqliteVersion(ctx, conn, path)
	if err != nil {
		return err
	}
	statements := append(sqliteMigrations[version:len(sqliteMigrations):len(sqliteMigrations)],
		fmt.Sprintf("PRAGMA application_id = %d", sqliteApplication),
		fmt.Sprintf("PRAGMA user_version = %d", len(sqliteMigrations)),
	)
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return sqliteOpenError(path, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return sqliteOpenError(path, err)
	}
	var journal string
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode = wal").Scan(&journal); err != nil {
		return sqliteOpenError(path, err)
	}
	if journal != "wal" {
		return fmt.Errorf("%s: its file system can't hold a write-ahead log; choose a path on a local disk", path)
	}
	return nil
}

// Close implements [Log].
func (l *sqliteLog) Close() error {
	l.closing.Do(func() { l.closingErr = l.close() })
	return l.closingErr
}

func (l *sqliteLog) close() error {
	if l.appender != nil {
		l.appender.stop()
	}
	l.reading.Lock() // waits for the pages being read
	l.closed = true
	l.reading.Unlock()

	var errs []error
	if l.readers != nil {
		errs = append(errs, l.readers.Close())
	}
	if l.writer != nil {
		errs = append(errs, l.writer.close())
	}
	if l.lock != nil {
		errs = append(errs, l.lock.release())
	}
	if err := errors.Join(errs...); err != nil {
		return &Error{Kind: ErrUnavailable, Detail: "closing it", Cause: err}
	}
	return nil
}

// sqliteConn is the one connection that writes.
type sqliteConn struct {
	*sql.Conn
	pool *sql.DB // of one
}

func openSQLiteConn(ctx context.Context, path string) (*sqliteConn, error) {
	pool := newSQLitePool(path, "mode=rw", "_txlock=immediate",
		"_pragma=busy_timeout(5000)",
		"_pragma=synchronous(full)",
		// The write-ahead log grows while a reader needs its old part; this
		// gives the room back afterwards.
		"_pragma=journal_size_limit(67108864)",
	)
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &sqliteConn{Conn: conn, pool: pool}, nil
}

// close closes the connection. If it is the last one to the file, in any
// process, SQLite moves the write-ahead log into the file first.
func (c *sqliteConn) close() error {
	return errors.Join(c.Conn.Close(), c.pool.Close())
}

func newSQLiteReaders(path string) *sql.DB {
	pool := newSQLitePool(path, "mode=ro", "_pragma=busy_timeout(5000)", "_pragma=query_only(1)")
	pool.SetMaxOpenConns(8)
	pool.SetMaxIdleConns(2)
	return pool
}

// newSQLitePool is a pool of connections to the file at an absolute path. The
// parameters are SQLite's (mode) and the driver's (_pragma, _txlock).
func newSQLitePool(path string, parameters ...string) *sql.DB {
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // C:\events.db is file:///C:/events.db
	}
	uri := url.URL{Scheme: "file", Path: slashed, RawQuery: strings.Join(parameters, "&")}
	connector, err := sqlite.NewConnector(uri.String())
	if err != nil {
		panic(err) // the parameters are constants of this file
	}
	return sql.OpenDB(connector)
}

// sqliteOpenError is the sentence for a file that can't be opened.
func sqliteOpenError(path string, err error) error {
	if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
		return fmt.Errorf("%s: this is a directory; name a file in it", path)
	}
	switch code := sqliteCode(err); code & 0xff {
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%s: this file is not a SQLite database; choose another path", path)
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("%s: the database is damaged; restore it from a backup (%w)", path, err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%s: there is no room on its device; make some (%w)", path, err)
	case sqlite3.SQLITE_BUSY:
		return fmt.Errorf("%s: another program holds a lock on the database; wait for it or stop it (%w)", path, err)
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH:
		return fmt.Errorf("%s: give this user access to the file and its directory, or choose another path (%w)", path, err)
	}
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return fmt.Errorf("%s: choose a path that this user can use (%w)", path, err)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// sqliteCode is SQLite's result code in an error, or 0.
func sqliteCode(err error) int {
	var coded *sqlite.Error
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return 0
}

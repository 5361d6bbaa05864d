package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// applicationID marks a SQLite file as an event log, so that no other
// application's database is taken for one: PRAGMA application_id, "evlg".
const applicationID = 0x65766c67

// migrations lead from each version of the schema to the next: the
// first makes version 1 out of an empty file. A released one never changes.
var migrations = []string{
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
	`CREATE TABLE consumers (
		number INTEGER PRIMARY KEY, -- names the file that is locked while it runs
		name   TEXT NOT NULL UNIQUE,
		place  INTEGER -- the position up to which it has handled everything; NULL: it is new
	);
	CREATE TABLE dead_letters ( -- whole, so that they outlast the events
		consumer TEXT NOT NULL,
		position INTEGER NOT NULL, -- this and the next as in events
		source   TEXT NOT NULL,
		id       TEXT NOT NULL,
		type     TEXT NOT NULL,
		subject  TEXT NOT NULL,
		time     TEXT NOT NULL,
		recorded TEXT NOT NULL,
		schema   TEXT NOT NULL,
		data     BLOB NOT NULL,
		tries    INTEGER NOT NULL,
		reason   TEXT NOT NULL, -- the error of the last try
		buried   TEXT NOT NULL, -- when the consumer gave up
		retrying INTEGER NOT NULL, -- 1: to be tried again
		UNIQUE (consumer, position)
	);
	CREATE INDEX dead_letters_retrying ON dead_letters (consumer, position) WHERE retrying`,
}

// timeFormat is the format of the times in the table: of fixed width, so that
// their order as text is their order in time.
const timeFormat = "2006-01-02T15:04:05.000000000Z"

// fileLog is a log in one SQLite file, which other processes may have open.
// Appends go through one connection, used by one goroutine; all other changes
// through a second one; reads through others.
type fileLog struct {
	path    string
	readers *readers
	growth  growth

	// What only a log that was opened for appending has.
	appender *appender
	changes  *sql.DB // of one connection
	underWay stopwatch
	holds    holds
	trimmer  *trimmer // nil if everything is kept

	closing    sync.Once
	closingErr error
}

func init() { eventlog.Register(open, "sqlite") }

func open(ctx context.Context, url string, mode eventlog.Mode) (eventlog.Log, error) {
	path, retention, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	if mode == eventlog.ReadOnly {
		return openReader(ctx, path)
	}
	return openWriter(ctx, path, retention)
}

// parseURL returns the absolute path that a URL names, so that the log stays
// where it is when the working directory changes, and how long events are kept.
func parseURL(url string) (path string, retention limits, err error) {
	path, parameters, _ := strings.Cut(strings.TrimPrefix(url, "sqlite:"), "?")
	if strings.HasPrefix(path, "///") {
		path = path[len("//"):]
	}
	if path == "" || strings.HasPrefix(path, "//") {
		return "", retention, fmt.Errorf("event log %q: want sqlite:PATH, such as sqlite:events.db or sqlite:/var/lib/orders/events.db", url)
	}
	if path, err = filepath.Abs(path); err == nil {
		retention, err = parseRetention(parameters)
	}
	if err != nil {
		return "", retention, fmt.Errorf("event log %q: %w", url, err)
	}
	return path, retention, nil
}

func openReader(ctx context.Context, path string) (_ *fileLog, err error) {
	switch err := findCreated(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no event log here: name one that exists; a server makes its own when it starts", path)
	case err != nil:
		return nil, openError(path, err)
	}
	log := &fileLog{path: path, readers: newReaders(path)}
	defer func() {
		if err != nil {
			_ = log.Close()
		}
	}()
	conn, err := log.readers.pool.Conn(ctx)
	if err != nil {
		return nil, openError(path, err)
	}
	defer func() { _ = conn.Close() }()
	switch version, err := schemaVersion(ctx, conn, path); {
	case err != nil:
		return nil, err
	case version < len(migrations):
		return nil, fmt.Errorf("%s: its schema has version %d and this program reads version %d; open it for appending once to bring it up to date", path, version, len(migrations))
	}
	return log, nil
}

func openWriter(ctx context.Context, path string, retention limits) (_ *fileLog, err error) {
	if err := makeDirectory(filepath.Dir(path)); err != nil {
		return nil, openError(path, err)
	}
	if err := createPrivate(path); err != nil {
		return nil, openError(path, err)
	}
	// Two names of one file share the locks of its consumers.
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, openError(path, err)
	}
	log := &fileLog{path: path, readers: newReaders(path), changes: newWriterPool(path)}
	defer func() {
		if err != nil {
			_ = log.Close()
		}
	}()
	if err := log.migrate(ctx); err != nil {
		return nil, err
	}
	if log.appender, err = startAppender(path, &log.growth); err != nil {
		return nil, openError(path, err)
	}
	if retention != (limits{}) {
		log.trimmer = startTrimmer(log, retention)
	}
	return log, nil
}

// makeDirectory makes a directory that only its owner can use, if there is none,
// and those above it that are missing. It returns once their entries are on the
// device: those of the files in it, SQLite sees to.
func makeDirectory(dir string) error {
	var missing []string
	for d := dir; d != filepath.Dir(d); d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, d)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, made := range slices.Backward(missing) {
		if err := syncDirectory(filepath.Dir(made)); err != nil {
			return err
		}
	}
	return nil
}

// syncDirectory has the device store the entries of a directory, where that can
// be asked for: not on Windows, not of every file system, and not by who may
// write into the directory but not read it.
var syncDirectory = func(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	file, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	if err = file.Sync(); errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		err = nil
	}
	return errors.Join(err, file.Close())
}

// creating is held while a file is made. POSIX ends all locks that a process has
// on a file when it closes the file, however often that is open: those of
// SQLite, too. So nobody in this process may have it open before its maker has
// closed it, and nobody may open it but SQLite.
var creating sync.Mutex

// createPrivate makes a file that only its owner can use, if there is none. For
// SQLite an empty file is an empty database, whose mode its other files take.
func createPrivate(path string) error {
	creating.Lock()
	defer creating.Unlock()
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(file.Chmod(0o600), file.Close()) // Chmod: whatever the umask
}

// findCreated is nil if a file is there and can be opened.
func findCreated(path string) error {
	creating.Lock()
	defer creating.Unlock()
	_, err := os.Stat(path)
	return err
}

// schemaVersion is the version of the schema in a file, 0 if it is empty, or
// the error that says why the file can't be used.
func schemaVersion(ctx context.Context, conn *sql.Conn, path string) (int, error) {
	var application, version, objects int
	row := conn.QueryRowContext(ctx, `SELECT
		(SELECT application_id FROM pragma_application_id),
		(SELECT user_version FROM pragma_user_version),
		(SELECT count(*) FROM sqlite_schema)`)
	if err := row.Scan(&application, &version, &objects); err != nil {
		return 0, openError(path, err)
	}
	switch {
	case application == 0 && version == 0 && objects == 0:
		return 0, nil
	case application != applicationID:
		return 0, plainErrorf("%s: this is the database of another application; choose another path", path)
	case version > len(migrations):
		return 0, plainErrorf("%s: its schema has version %d and this program knows versions up to %d; use a newer build of the program", path, version, len(migrations))
	}
	return version, nil
}

// migrate brings the schema of the file up to date, in one transaction.
//
// It writes the version even where that is up to date, because its commit
// syncs the whole write-ahead log: a process that was killed may have left a
// transaction there that was never synced, and its events would otherwise be
// called durable duplicates.
func (l *fileLog) migrate(ctx context.Context) error {
	conn, err := connect(ctx, l.changes)
	if err != nil {
		return openError(l.path, err)
	}
	defer func() { _ = conn.Close() }()
	// Before anything is written into the file, for it may be somebody else's.
	err = whileBusy(ctx, func() error {
		_, err := schemaVersion(ctx, conn, l.path)
		return err
	})
	if err != nil {
		return err
	}
	err = transact(ctx, conn, func() error {
		version, err := schemaVersion(ctx, conn, l.path)
		if err != nil {
			return err
		}
		statements := append(migrations[version:len(migrations):len(migrations)],
			fmt.Sprintf("PRAGMA application_id = %d", applicationID),
			fmt.Sprintf("PRAGMA user_version = %d", len(migrations)),
		)
		for _, statement := range statements {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return openError(l.path, err)
	}
	var journal string
	err = whileBusy(ctx, func() error {
		return conn.QueryRowContext(ctx, "PRAGMA journal_mode = wal").Scan(&journal)
	})
	if err != nil {
		return openError(l.path, err)
	}
	if journal != "wal" {
		return fmt.Errorf("%s: its file system can't hold a write-ahead log; choose a path on a local disk", l.path)
	}
	return nil
}

// Close implements [eventlog.Log].
func (l *fileLog) Close() error {
	l.closing.Do(func() { l.closingErr = l.close() })
	return l.closingErr
}

func (l *fileLog) close() error {
	var errs []error
	if l.trimmer != nil {
		l.trimmer.stop()
	}
	if l.appender != nil {
		errs = append(errs, l.appender.stop())
	}
	l.growth.close()
	errs = append(errs, l.readers.close())
	if l.changes != nil {
		errs = append(errs, l.holds.close(), l.changes.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "closing it", Cause: err}
	}
	return nil
}

// newWriterPool is a pool of one connection that writes. What it commits is
// synced. It does not wait for a lock: [whileBusy] does.
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

// newPool is a pool of connections to the file at an absolute path. The
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

// maxWait is how long a transaction waits for those of others.
const maxWait = 5 * time.Second

// whileBusy tries until the file is not locked by another connection, which may
// be in another process. SQLite's own waiting has pauses of up to 100 ms, in
// which a process that appends without end would hardly ever leave a gap.
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

// connect takes a connection of a pool of writers.
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

// openError is the sentence for a file that can't be opened.
func openError(path string, err error) error {
	if sentence := (*plainError)(nil); errors.As(err, &sentence) {
		return err
	}
	if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
		return fmt.Errorf("%s: this is a directory; name a file in it", path)
	}
	switch code := resultCode(err); code & 0xff {
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

// plainError is a sentence that says all there is to say already.
type plainError struct{ error }

func plainErrorf(format string, values ...any) error {
	return &plainError{fmt.Errorf(format, values...)}
}

// isBroken is whether an error leaves it open what a connection still
// knows of its file: then it is better to connect anew.
func isBroken(err error) bool {
	switch resultCode(err) & 0xff {
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_MISUSE:
		return true
	}
	return false
}

// resultCode is SQLite's result code in an error, or 0.
func resultCode(err error) int {
	var coded *sqlite.Error
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return 0
}

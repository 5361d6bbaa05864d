// Package sqlite stores events in one SQLite file, which any SQLite tool can read.
// Import it for [eventlog.Open] to know its URLs:
//
//	sqlite:PATH
//	sqlite:PATH?max-age=720h&max-bytes=10GB&filesystem=any
//
// An acknowledged event is on the disk: write-ahead log, synchronous=FULL, so the
// durability is [eventlog.Fsync]. Appends that wait at the same time share a
// transaction. Several processes may have the file open; a consumer's lease is a
// lock on a file beside it.
//
// A path on a network file system is refused on Linux, macOS and FreeBSD, where that can
// be found out: locks and shared memory can't be relied on there. With filesystem=any it
// is accepted.
//
// A log keeps all events, unless its URL limits them. Then the oldest events are
// deleted soon after they are older than max-age, or soon after they use more than
// max-bytes of the file, whether consumers have handled them or not. Dead letters
// stay, and do not count: they come on top of max-bytes. The file does not shrink;
// its space is used again. A duplicate is recognised as long as its event is kept.
//
// Ages do not depend on a right wall clock. While a log is open they count the time
// that passes, whatever becomes of the wall clock; a time in which the log was closed
// counts once a new event shows it. What is in doubt is kept. What is deleted is
// logged, with a warning for each consumer that has not handled it.
//
// In the table "events" the column "data" is a protobuf message, and "version" the number
// of its schema in the table "schemas". The subcommand "events replay" of a server prints
// the messages as JSON.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// fileLog is a log in one SQLite file, which other processes may have open.
// Appends go through one connection, used by one goroutine; all other changes
// through a second one; reads through others.
type fileLog struct {
	path    string
	readers *readers
	growth  growth
	eventlog.Commits

	// Only a log that was opened for appending has these.
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
	path, parameters, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	if mode == eventlog.ReadOnly {
		return openReader(ctx, path, parameters)
	}
	return openWriter(ctx, path, parameters)
}

// parseURL returns the absolute path that a URL names, so that the log stays
// where it is when the working directory changes, and the parameters. Its errors
// repeat only the path: the rest may be secret, in a URL for another engine.
func parseURL(url string) (path string, parsed parameters, err error) {
	path, query, _ := strings.Cut(strings.TrimPrefix(url, "sqlite:"), "?")
	if strings.HasPrefix(path, "///") {
		path = path[len("//"):]
	}
	if path == "" || strings.HasPrefix(path, "//") {
		return "", parsed, errors.New("event log sqlite:…: want sqlite:PATH, such as sqlite:events.db or sqlite:/var/lib/orders/events.db")
	}
	absolute, err := filepath.Abs(path)
	if err == nil {
		parsed, err = parseParameters(query)
	}
	if err != nil {
		return "", parsed, fmt.Errorf("event log sqlite:%s: %w", path, err)
	}
	return absolute, parsed, nil
}

// parameters are what a URL sets.
type parameters struct {
	limits
	anyFileSystem bool // the file may be on another machine
}

// parseParameters reads max-age=720h, max-bytes=10GB and filesystem=any.
func parseParameters(query string) (parsed parameters, err error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return parsed, fmt.Errorf("the parameters after the ? can't be read: %w", err)
	}
	for name := range values {
		switch value := values.Get(name); name {
		case "max-age":
			if parsed.age, err = time.ParseDuration(value); err != nil || parsed.age <= 0 {
				return parsed, fmt.Errorf("max-age=%s: want a duration, such as 720h", value)
			}
		case "max-bytes":
			if parsed.bytes, err = eventlog.ParseBytes(value); err != nil || parsed.bytes <= 0 {
				return parsed, fmt.Errorf("max-bytes=%s: want a number of bytes, such as 10GB", value)
			}
		case "filesystem":
			if parsed.anyFileSystem = value == "any"; !parsed.anyFileSystem {
				return parsed, fmt.Errorf("filesystem=%s: want any; leave the parameter out to have network file systems refused", value)
			}
		default:
			return parsed, fmt.Errorf("there is no parameter %q, only max-age, max-bytes and filesystem", name)
		}
	}
	return parsed, nil
}

// refuse returns an error if a file is where the parameters don't allow it.
func (p parameters) refuse(path string) error {
	if p.anyFileSystem {
		return nil
	}
	return refuseRemote(path)
}

func openReader(ctx context.Context, path string, parameters parameters) (_ *fileLog, err error) {
	switch err := findCreated(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no event log here; name one that exists (a server creates its own when it starts)", path)
	case err != nil:
		return nil, openError(path, err)
	}
	if err := parameters.refuse(path); err != nil {
		return nil, err
	}
	if hasForeignWAL(ctx, path) {
		return nil, fmt.Errorf("%s: the -wal beside it belongs to another file, which was here before: move it away, or start the server, which does that", path)
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

func openWriter(ctx context.Context, path string, parameters parameters) (_ *fileLog, err error) {
	if err := makeDirectory(filepath.Dir(path)); err != nil {
		return nil, openError(path, err)
	}
	if err := parameters.refuse(path); err != nil { // before a file is left there
		return nil, err
	}
	if err := createPrivate(path); err != nil {
		return nil, openError(path, err)
	}
	// Two names of one file must share the leases of its consumers.
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, openError(path, err)
	}
	if err := parameters.refuse(path); err != nil {
		return nil, err
	}
	if err := refuseRestoring(ctx, path); err != nil {
		return nil, err
	}
	if err := setAsideForeignWAL(ctx, path); err != nil {
		return nil, err
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
	if log.appender, err = startAppender(path, &log.growth, &log.Commits); err != nil {
		return nil, openError(path, err)
	}
	if parameters.limits != (limits{}) {
		trimmer := newTrimmer(log, parameters.limits)
		if err := trimmer.start(ctx); err != nil {
			return nil, openError(path, err)
		}
		log.trimmer = trimmer
	}
	return log, nil
}

// File returns the path of the file, for those who read it by SQL. Its layout is that of
// this package: nobody else may change it.
func (l *fileLog) File() string { return l.path }

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
		errs = append(errs, l.holds.close())
		if l.appender == nil || !l.appender.writer.watch.isLost() { // see [writer.close]
			errs = append(errs, l.changes.Close())
		}
	}
	if err := errors.Join(errs...); err != nil {
		return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "closing it", Cause: err}
	}
	return nil
}

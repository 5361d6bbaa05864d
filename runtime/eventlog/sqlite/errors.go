package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// openError returns the error for a file that can't be opened: what is wrong with
// it, and what to do.
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
		return fmt.Errorf("%s: the database is damaged; restore it from a backup, or if it is a backup, make another one (%w)", path, err)
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

// plainError is an error that openError has nothing to add to.
type plainError struct{ error }

func plainErrorf(format string, values ...any) error {
	return &plainError{fmt.Errorf(format, values...)}
}

// isBroken reports whether a connection may be wrong about its file after an
// error: then it is better to open another one.
func isBroken(err error) bool {
	switch resultCode(err) & 0xff {
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_MISUSE:
		return true
	}
	return false
}

// isDamage reports whether an error of reading the first page of a file says that the
// file is not, or no longer, a whole database.
func isDamage(err error) bool {
	return resultCode(err)&0xff == sqlite3.SQLITE_CORRUPT || isNoDatabase(err) || errors.Is(err, sql.ErrNoRows)
}

// isNoDatabase reports whether an error says that a file is something else.
func isNoDatabase(err error) bool { return resultCode(err)&0xff == sqlite3.SQLITE_NOTADB }

// resultCode returns SQLite's result code in an error, or 0.
func resultCode(err error) int {
	var coded *sqlite.Error
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return 0
}

//runtime:with operate.Backup eventlog.FileLog eventlog.Restore eventlog.ImportLog eventlog.EraseLog

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// followPause is the pause between two looks of [fileLog.FollowBackup] at the log.
const followPause = time.Second

// followedChanges are the statements that make a backup, main, like the log, source, as one
// transaction sees it. Events are only added at the end, deleted at the beginning, or
// erased; what the other tables have is little.
var followedChanges = []string{
	`DELETE FROM main.events WHERE position < ifnull((SELECT min(position) FROM source.events), (SELECT seq + 1 FROM source.sqlite_sequence WHERE name = 'events'))`,
	`INSERT INTO main.events (position, recorded, ` + columnList + `) SELECT position, recorded, ` + columnList + `
		FROM source.events WHERE position > ifnull((SELECT seq FROM main.sqlite_sequence WHERE name = 'events'), 0)`,
	`UPDATE main.events SET ` + erasedColumns + ` WHERE position IN (SELECT position FROM source.erased EXCEPT SELECT position FROM main.erased)`,
	`INSERT OR IGNORE INTO main.erased SELECT * FROM source.erased`,
	`DELETE FROM main.dead_letters WHERE (consumer, position, buried, retrying) NOT IN (SELECT consumer, position, buried, retrying FROM source.dead_letters)`,
	`INSERT INTO main.dead_letters (` + letterColumns + `) SELECT ` + letterColumns + ` FROM source.dead_letters
		WHERE (consumer, position) NOT IN (SELECT consumer, position FROM main.dead_letters)`,
	`DELETE FROM main.consumers`, `INSERT INTO main.consumers SELECT * FROM source.consumers`,
	`DELETE FROM main.clock`, `INSERT INTO main.clock SELECT * FROM source.clock`,
	`DELETE FROM main.schemas`, `INSERT INTO main.schemas SELECT * FROM source.schemas`,
	`DELETE FROM main.assumed_schemas`, `INSERT INTO main.assumed_schemas SELECT * FROM source.assumed_schemas`,
}

// backupEnd selects the last position that a backup has.
const backupEnd = "SELECT ifnull((SELECT seq FROM main.sqlite_sequence WHERE name = 'events'), 0)"

// FollowBackup implements [eventlog.FileLog].
func (l *fileLog) FollowBackup(ctx context.Context, file string, synced func(eventlog.Position)) error {
	file, err := otherFile(file, l.path)
	if err != nil {
		return err
	}
	if err := refuseRestoring(ctx, file); err != nil {
		return err
	}
	err = withConnection(ctx, file, func(conn *sql.Conn) error {
		return l.follow(ctx, conn, file, synced)
	}, "mode=rw", "_pragma=busy_timeout(5000)", "_pragma=synchronous(full)", "_pragma=secure_delete(1)")
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (l *fileLog) follow(ctx context.Context, conn *sql.Conn, file string, synced func(eventlog.Position)) (err error) {
	version, err := schemaVersion(ctx, conn, file)
	if err != nil {
		return err
	}
	switch {
	case version == 0:
		return plainErrorf("%s: there is no event log in this file: name another one", file)
	case version != len(migrations): // an earlier one
		return plainErrorf("%s: this backup was made by another version of this program: delete it and run events backup --follow %s again", file, file)
	}
	source := url.URL{Scheme: "file", Path: filepath.ToSlash(l.path), RawQuery: "mode=ro"}
	if _, err := conn.ExecContext(ctx, "ATTACH ? AS source", source.String()); err != nil {
		return openError(l.path, err)
	}
	opened, err := os.Stat(l.path)
	if err != nil {
		return openError(l.path, err)
	}
	followed, err := os.Stat(file)
	if err != nil {
		return openError(file, err)
	}
	var last int64 = -1
	current, late := time.Now(), false // when it was up to date, and whether it was reported that it is not
	for changes := int64(-1); ctx.Err() == nil; pause(ctx, followPause) {
		if info, err := os.Stat(l.path); err != nil || !os.SameFile(info, opened) {
			return plainErrorf("%s: the log was removed or replaced: run events backup --follow again, with another file", l.path)
		}
		if info, err := os.Stat(file); err != nil || !os.SameFile(info, followed) {
			return plainErrorf("%s: the backup was removed or replaced: run events backup --follow again", file)
		}
		var now int64
		if err := conn.QueryRowContext(ctx, "PRAGMA source.data_version").Scan(&now); err != nil {
			return err
		}
		began := time.Now()
		if now == changes {
			current = began
			continue
		}
		var end int64
		err := transact(ctx, conn, func() error {
			if err := isBackupOf(ctx, conn, file); err != nil {
				return err
			}
			for _, statement := range followedChanges {
				if _, err := conn.ExecContext(ctx, statement); err != nil {
					return err
				}
			}
			return conn.QueryRowContext(ctx, backupEnd).Scan(&end)
		})
		if resultCode(err)&0xff == sqlite3.SQLITE_BUSY { // and was for maxWait
			if late {
				continue
			}
			if err := conn.QueryRowContext(ctx, backupEnd).Scan(&end); err != nil {
				return openError(file, err)
			}
			late = true
			slog.WarnContext(ctx, "the backup can't follow the log while something reads it: end that, or let it read a copy of the backup",
				"backup", file, "log", l.path, "last", end, "since", current.UTC().Truncate(time.Second))
			continue
		}
		if err != nil {
			return openError(file, err)
		}
		if current = began; late {
			late = false
			slog.InfoContext(ctx, "the backup follows the log again", "backup", file, "log", l.path, "last", end)
		}
		if changes = now; end != last {
			last = end
			synced(eventlog.Position(end))
		}
	}
	return ctx.Err()
}

// isBackupOf returns an error unless a backup has the events that the log has, or had:
// another log has other ones at some of the same positions.
func isBackupOf(ctx context.Context, conn *sql.Conn, file string) error {
	var position, seq int64
	err := conn.QueryRowContext(ctx, `SELECT ifnull((SELECT seq FROM main.sqlite_sequence WHERE name = 'events'), 0),
		ifnull((SELECT seq FROM source.sqlite_sequence WHERE name = 'events'), 0)`).Scan(&position, &seq)
	if err != nil {
		return err
	}
	var same bool
	err = conn.QueryRowContext(ctx, `SELECT a.source = b.source AND a.id = b.id AND a.recorded = b.recorded
		FROM main.events a JOIN source.events b USING (position) WHERE position <= ? ORDER BY position DESC LIMIT 1`, position).Scan(&same)
	if position > seq || err == nil && !same {
		return plainErrorf("%s: this backup has other events than the log, so it is one of another log: name another file", file)
	}
	if errors.Is(err, sql.ErrNoRows) { // the log no longer has any of its events
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// Package pageviews counts the views of pages in a SQLite file of its own.
//
// The event log hands out each event at least once: again after a crash, after a reset
// of the consumer, or from the dead letters. So each view puts the identity of its
// event, site and id, into a table in the transaction that counts it, and only a view
// whose identity is new there is counted. The event's position would not do: dead
// letters come after events with greater positions, and another log has other positions.
package pageviews

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver of the event log, too
)

// View is an event by which a page was viewed once.
type View struct {
	Site, ID string // identify the event
	Path     string // of the page
}

// Page is a page of a site with its views.
type Page struct {
	Path  string
	Views int64
}

// Counts are the views of all pages. They may be used from many goroutines at once, and
// by several processes.
type Counts struct{ db *sql.DB }

const schema = `
CREATE TABLE IF NOT EXISTS pages (
	site  TEXT NOT NULL,
	path  TEXT NOT NULL,
	views INTEGER NOT NULL,
	PRIMARY KEY (site, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pages_by_views ON pages (site, views DESC, path);
CREATE TABLE IF NOT EXISTS counted (
	site TEXT NOT NULL,
	id   TEXT NOT NULL,
	PRIMARY KEY (site, id)
) STRICT, WITHOUT ROWID;
`

// Open opens the counts in a file, and creates it and its folder if there is none.
func Open(ctx context.Context, file string) (*Counts, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	// The log remembers that an event was handled, so what it did here must survive a
	// loss of power, too: synchronous=full.
	uri := "file:" + (&url.URL{Path: filepath.ToSlash(file)}).EscapedPath() +
		"?_pragma=busy_timeout(5000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)"
	db, err := sql.Open("sqlite", uri)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", file, err), db.Close())
	}
	return &Counts{db: db}, nil
}

// Close closes the file.
func (c *Counts) Close() error { return c.db.Close() }

// Add counts views, all of them or none, and each once however often it is added. When
// it returns nil, they are on the disk.
func (c *Counts) Add(ctx context.Context, views ...View) error {
	if len(views) == 0 {
		return nil
	}
	tx, err := c.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	for _, view := range views {
		if err := add(ctx, tx, view); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func add(ctx context.Context, tx *sql.Tx, view View) error {
	result, err := tx.ExecContext(ctx, `INSERT INTO counted (site, id) VALUES (?, ?) ON CONFLICT DO NOTHING`, view.Site, view.ID)
	if err != nil {
		return err
	}
	if added, err := result.RowsAffected(); err != nil || added == 0 {
		return err // it was counted before
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO pages (site, path, views) VALUES (?, ?, 1)
		ON CONFLICT DO UPDATE SET views = views + 1`, view.Site, view.Path)
	return err
}

// Top returns the pages of a site with the most views, at most limit, those with the
// most first, and those with as many by their paths.
func (c *Counts) Top(ctx context.Context, site string, limit int) (pages []Page, err error) {
	rows, err := c.db.QueryContext(ctx, `SELECT path, views FROM pages WHERE site = ? ORDER BY views DESC, path LIMIT ?`, site, limit)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var page Page
		if err := rows.Scan(&page.Path, &page.Views); err != nil {
			return nil, err
		}
		pages = append(pages, page)
	}
	return pages, rows.Err()
}

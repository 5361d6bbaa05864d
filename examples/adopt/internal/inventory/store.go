// Package inventory keeps how much of each article is in stock.
package inventory

import (
	"context"
	"database/sql"
	"errors"

	_ "modernc.org/sqlite"
)

// Store keeps the stock in a file of SQLite.
type Store struct{ db *sql.DB }

// Open opens a store, and makes its file if there is none.
func Open(ctx context.Context, file string) (*Store, error) {
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // SQLite has one writer
	_, err = db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS stock (sku TEXT PRIMARY KEY, quantity INTEGER NOT NULL);
		CREATE TABLE IF NOT EXISTS moved (position INTEGER PRIMARY KEY)`)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Store{db}, nil
}

// Close closes the store.
func (s *Store) Close() error { return s.db.Close() }

// Quantity returns the stock of an article: 0 for one that the store does not know.
func (s *Store) Quantity(ctx context.Context, sku string) (quantity int64, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT quantity FROM stock WHERE sku = ?`, sku).Scan(&quantity)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return quantity, err
}

// Set sets the stock of an article.
func (s *Store) Set(ctx context.Context, sku string, quantity int64) error {
	_, err := s.db.ExecContext(ctx, `INSERT INTO stock VALUES (?1, ?2) ON CONFLICT DO UPDATE SET quantity = ?2`, sku, quantity)
	return err
}

// Move adds to the stock of an article what a movement brought, which has a position
// in the log of movements. It does so once, however often it is called.
func (s *Store) Move(ctx context.Context, position int64, sku string, quantity int64) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	result, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO moved VALUES (?)`, position)
	if err != nil {
		return err
	}
	if isNew, err := result.RowsAffected(); err != nil || isNew == 0 {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO stock VALUES (?1, ?2) ON CONFLICT DO UPDATE SET quantity = quantity + ?2`, sku, quantity)
	if err != nil {
		return err
	}
	return tx.Commit()
}

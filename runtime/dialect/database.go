//runtime:with eventlog/into outbox

package dialect

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Of returns the dialect of a database. It asks the database itself, because the type of
// a driver says nothing where one is wrapped in another.
func Of(ctx context.Context, db *sql.DB) (Dialect, error) {
	var version string
	err := db.QueryRowContext(ctx, "SELECT version()").Scan(&version)
	switch {
	case err == nil && (strings.Contains(version, "PostgreSQL") || strings.Contains(version, "Cockroach")):
		return PostgreSQL, nil
	case err == nil:
		return MySQL, nil
	}
	if other := db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); other != nil {
		return "", fmt.Errorf("the database does not say what it is; want PostgreSQL, MySQL, MariaDB or SQLite: %w", err)
	}
	return SQLite, nil
}

// Bind returns a statement, in which each parameter is a question mark, as the database
// wants it.
func (d Dialect) Bind(statement string) string {
	if d != PostgreSQL {
		return statement
	}
	var bound strings.Builder
	for i, part := range strings.Split(statement, "?") {
		if i > 0 {
			bound.WriteString("$" + strconv.Itoa(i))
		}
		bound.WriteString(part)
	}
	return bound.String()
}

// Table is a table that a program needs.
type Table struct {
	Name string
	// Columns is what CREATE TABLE has between its parentheses, with these words for
	// types that differ: NUMBER, the key that the database counts up itself; NAME, up to
	// 255 bytes, compared byte by byte; TEXT, of any length; BYTES, of any length.
	Columns string
}

// Create returns the statement that makes a table.
func (d Dialect) Create(table Table) string {
	types := map[Dialect]*strings.Replacer{
		PostgreSQL: strings.NewReplacer("NUMBER", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "NAME", "TEXT", "BYTES", "BYTEA"),
		// A VARBINARY has no collation, by which "a" and "A" would be one name.
		MySQL:  strings.NewReplacer("NUMBER", "BIGINT AUTO_INCREMENT PRIMARY KEY", "NAME", "VARBINARY(255)", "TEXT", "LONGTEXT", "BYTES", "LONGBLOB"),
		SQLite: strings.NewReplacer("NUMBER", "INTEGER PRIMARY KEY AUTOINCREMENT", "NAME", "TEXT", "BYTES", "BLOB"),
	}
	end := ")"
	if d == MySQL {
		end = ") ENGINE = InnoDB" // MyISAM has no transactions
	}
	return "CREATE TABLE " + table.Name + " (\n" + types[d].Replace(table.Columns) + "\n" + end
}

// Ensure makes the tables that are not there. If the program may not, the error has the
// statements for somebody who may. [errors.Is] finds [ErrUnreachable] in it if it is the
// database that can't be reached.
func (d Dialect) Ensure(ctx context.Context, db *sql.DB, tables ...Table) error {
	var missing, names []string
	var cause error
	for _, table := range tables {
		unreadable := read(ctx, db, table)
		if unreadable == nil {
			continue
		}
		_, err := db.ExecContext(ctx, d.Create(table))
		if err != nil && read(ctx, db, table) != nil { // nobody else has made it meanwhile
			missing, names = append(missing, d.Create(table)+";\n"), append(names, table.Name)
			cause = fmt.Errorf("reading it: %w; creating it: %w", unreadable, err)
		}
	}
	switch {
	case cause == nil:
		return nil
	case db.PingContext(ctx) != nil:
		return fmt.Errorf("%w: %w", ErrUnreachable, cause)
	}
	return fmt.Errorf("table %s can't be used, and can't be created here (%w); if it exists, ask for the right to read and change it; if not, ask somebody who may create it to run:\n\n%s",
		strings.Join(names, ", "), cause, strings.Join(missing, "\n"))
}

// ErrUnreachable is the error of a database that can't be reached.
var ErrUnreachable = errors.New("the database can't be reached")

// read returns an error if a table does not exist, or can't be read. A CREATE TABLE IF NOT
// EXISTS would fail in PostgreSQL, even if there is one, for a user who may make none.
func read(ctx context.Context, db *sql.DB, table Table) error {
	var count int
	return db.QueryRowContext(ctx, "SELECT count(*) FROM "+table.Name+" WHERE 1 = 0").Scan(&count)
}

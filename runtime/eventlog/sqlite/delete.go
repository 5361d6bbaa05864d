//runtime:with publisher

package sqlite

import (
	"context"
	"database/sql"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Delete implements [eventlog.DeleteLog]. The space in the file is used again.
func (l *fileLog) Delete(ctx context.Context, positions ...eventlog.Position) error {
	if len(positions) == 0 {
		return nil
	}
	return l.change(ctx, func(conn *sql.Conn) error {
		statement, err := conn.PrepareContext(ctx, "DELETE FROM events WHERE position = ?")
		if err != nil {
			return err
		}
		defer func() { _ = statement.Close() }()
		for _, position := range positions {
			if _, err := statement.ExecContext(ctx, int64(position)); err != nil {
				return err
			}
		}
		return nil
	})
}

//runtime:with operate.SQL

package operate

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate/query"
)

func init() { RegisterFormat("csv", writeCSV) }

// writeCSV is the format csv: a line with the names of the columns, and one for each event of
// a type of message.
func writeCSV(ctx context.Context, to io.Writer, log eventlog.Log, message string, events iter.Seq2[eventlog.Record, error]) (count int, err error) {
	table, err := query.OpenTable(ctx, log, message)
	if err != nil {
		return 0, err
	}
	writer := csv.NewWriter(to)
	texts := make([]string, len(table.Columns))
	for i, column := range table.Columns {
		texts[i] = column.Name
	}
	if err := writer.Write(texts); err != nil {
		return 0, err
	}
	err = each(events, func(record eventlog.Record) error {
		if !table.Has(&record) {
			return nil
		}
		count++
		for i, value := range table.Row(&record) {
			texts[i] = query.Text(value)
		}
		return writer.Write(texts)
	})
	for _, sentence := range table.Unread() {
		fmt.Fprintln(os.Stderr, sentence)
	}
	if writer.Flush(); err == nil {
		err = writer.Error()
	}
	return count, err
}

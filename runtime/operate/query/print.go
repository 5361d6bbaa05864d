package query

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/terminal"
)

// Formats are those in which answers are printed.
var Formats = []string{"table", "csv", "json"}

// Print prints the rows of an answer: as a table, in CSV, or as lines of JSON. It has some
// rows in memory at a time, not all. What would control a terminal is escaped; in CSV, which
// has no escapes, only if out is one.
func Print(out io.Writer, rows *sql.Rows, format string) error {
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(out)
	switch format {
	case "table":
		err = printTable(buffered, columns, rows)
	case "csv":
		err = printCSV(buffered, columns, rows, textFor(out))
	case "json":
		err = printJSON(buffered, columns, rows)
	default:
		return fmt.Errorf("no format %q: want %s", format, strings.Join(Formats, ", "))
	}
	if err == nil {
		err = rows.Err()
	}
	if flushed := buffered.Flush(); err == nil {
		err = flushed
	}
	return err
}

// eachRow calls use with the values of each row.
func eachRow(rows *sql.Rows, columns int, use func(values []any) error) error {
	values, pointers := make([]any, columns), make([]any, columns)
	for i := range values {
		pointers[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(pointers...); err != nil {
			return err
		}
		if err := use(values); err != nil {
			return err
		}
	}
	return nil
}

// tablePage is how many rows of a table have the same width, and are in memory.
const tablePage = 500

// table is rows that are printed in columns.
type table struct {
	widths []int
	right  []bool // whether a column has numbers, by the first page
	cells  [][]string
}

func printTable(out *bufio.Writer, columns []string, rows *sql.Rows) error {
	if len(columns) == 0 {
		return nil
	}
	header := make([]string, len(columns))
	for i, column := range columns {
		header[i] = terminal.Text(column)
	}
	t := table{widths: make([]int, len(columns)), right: make([]bool, len(columns))}
	t.add(header)
	isFirst := true
	flush := func() error {
		lines := t.lines()
		if isFirst {
			lines = slices.Insert(lines, 1, t.rule())
		}
		isFirst = false
		_, err := out.WriteString(strings.Join(lines, ""))
		return err
	}
	err := eachRow(rows, len(columns), func(values []any) error {
		cells := make([]string, len(values))
		for i, value := range values {
			cells[i] = cell(value)
			switch value.(type) {
			case int64, float64:
				t.right[i] = t.right[i] || isFirst
			}
		}
		if t.add(cells); len(t.cells) < tablePage {
			return nil
		}
		return flush()
	})
	if err == nil && (isFirst || len(t.cells) > 0) {
		err = flush()
	}
	return err
}

func (t *table) add(cells []string) {
	for i, cell := range cells {
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cell))
	}
	t.cells = append(t.cells, cells)
}

// rule returns the line below the header.
func (t *table) rule() string {
	width := 2 * (len(t.widths) - 1)
	for _, w := range t.widths {
		width += w
	}
	return strings.Repeat("─", width) + "\n"
}

// lines returns the lines of the cells, and forgets them.
func (t *table) lines() (lines []string) {
	for _, cells := range t.cells {
		var line strings.Builder
		for i, cell := range cells {
			space := strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(cell))
			if t.right[i] {
				cell = space + cell
			} else {
				cell += space
			}
			if i > 0 {
				line.WriteString("  ")
			}
			line.WriteString(cell)
		}
		lines = append(lines, strings.TrimRight(line.String(), " ")+"\n")
	}
	t.cells = t.cells[:0]
	return lines
}

// cell returns a value as a table has it.
func cell(value any) string {
	switch value := value.(type) {
	case nil:
		return "NULL"
	case []byte:
		return "x'" + hex.EncodeToString(value) + "'"
	default:
		return terminal.Text(Text(value))
	}
}

// Text returns a value as CSV has it: NULL as nothing, and bytes in base64.
func Text(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		return value
	case []byte:
		return base64.StdEncoding.EncodeToString(value)
	case bool: // which SQL has as a number
		return map[bool]string{true: "1", false: "0"}[value]
	case float64:
		return strconv.FormatFloat(value, 'g', -1, 64)
	default:
		return fmt.Sprint(value)
	}
}

// textFor returns what makes a text of CSV safe to write to out.
func textFor(out io.Writer) func(string) string {
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return terminal.Text
	}
	return func(text string) string { return text }
}

func printCSV(out *bufio.Writer, columns []string, rows *sql.Rows, safe func(string) string) error {
	writer := csv.NewWriter(out)
	record := make([]string, len(columns))
	for i, column := range columns {
		record[i] = safe(column)
	}
	if err := writer.Write(record); err != nil {
		return err
	}
	err := eachRow(rows, len(columns), func(values []any) error {
		for i, value := range values {
			record[i] = safe(Text(value))
		}
		return writer.Write(record)
	})
	writer.Flush()
	if err == nil {
		err = writer.Error()
	}
	return err
}

func printJSON(out *bufio.Writer, columns []string, rows *sql.Rows) error {
	names := make([]string, len(columns))
	for i, column := range columns {
		names[i] = string(appendText(nil, column))
	}
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	return eachRow(rows, len(columns), func(values []any) error {
		line.Reset()
		line.WriteByte('{')
		for i, value := range values {
			if i > 0 {
				line.WriteByte(',')
			}
			line.WriteString(names[i])
			line.WriteByte(':')
			switch typed := value.(type) {
			case []byte:
				value = Text(typed)
			case float64:
				if math.IsInf(typed, 0) {
					value = Text(typed)
				}
			}
			if err := encoder.Encode(value); err != nil {
				return err
			}
			line.Truncate(line.Len() - 1) // the end of the line
		}
		line.WriteString("}\n")
		_, err := out.Write(terminal.JSON(line.Bytes()))
		return err
	})
}

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
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/terminal"
)

// Formats are those in which answers are printed.
var Formats = []string{"table", "csv", "json"}

// Print prints the rows of an answer: as a table, in CSV, or as lines of JSON. It has some
// rows in memory at a time, not all.
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
		err = printCSV(buffered, columns, rows)
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

func printTable(out *bufio.Writer, columns []string, rows *sql.Rows) error {
	if len(columns) == 0 {
		return nil
	}
	widths, right := make([]int, len(columns)), make([]bool, len(columns))
	header := make([]string, len(columns))
	for i, column := range columns {
		header[i] = terminal.Text(column)
		widths[i] = utf8.RuneCountInString(header[i])
	}
	var page [][]string
	printed := false
	flush := func() {
		if !printed {
			printLine(out, header, widths, right)
			for i, width := range widths {
				out.WriteString(strings.Repeat("─", width))
				if i < len(widths)-1 {
					out.WriteString("──")
				}
			}
			out.WriteByte('\n')
		}
		printed = true
		for _, cells := range page {
			printLine(out, cells, widths, right)
		}
		page = page[:0]
	}
	err := eachRow(rows, len(columns), func(values []any) error {
		cells := make([]string, len(values))
		for i, value := range values {
			cells[i] = cell(value)
			widths[i] = max(widths[i], utf8.RuneCountInString(cells[i]))
			switch value.(type) {
			case int64, float64:
				right[i] = right[i] || !printed
			}
		}
		if page = append(page, cells); len(page) == tablePage {
			flush()
		}
		return nil
	})
	flush()
	return err
}

// printLine prints cells in columns, numbers at the right.
func printLine(out *bufio.Writer, cells []string, widths []int, right []bool) {
	for i, cell := range cells {
		space := strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(cell)))
		if right[i] {
			out.WriteString(space)
		}
		out.WriteString(cell)
		if i == len(cells)-1 {
			break
		}
		if !right[i] {
			out.WriteString(space)
		}
		out.WriteString("  ")
	}
	out.WriteByte('\n')
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

func printCSV(out *bufio.Writer, columns []string, rows *sql.Rows) error {
	writer := csv.NewWriter(out)
	if err := writer.Write(columns); err != nil {
		return err
	}
	record := make([]string, len(columns))
	err := eachRow(rows, len(columns), func(values []any) error {
		for i, value := range values {
			record[i] = Text(value)
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

package query

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Session answers queries, one after the other.
type Session struct {
	DB     *DB
	Out    io.Writer // for the answers
	Notes  io.Writer // for what is reported beside them
	Format string    // one of Formats
}

// help is what .help prints.
const help = `A query ends with a semicolon, such as SELECT type, count(*) FROM events GROUP BY 1;
.tables          the views of events
.schema [VIEW]   the columns of the views, or of one
.output FORMAT   print answers as table, csv or json
.quit            end
`

// Run answers a query, or several with semicolons between them, or does what a line with a
// dot asks for, such as .tables.
func (s *Session) Run(ctx context.Context, text string) error {
	if strings.HasPrefix(text, ".") {
		return s.command(strings.Fields(text))
	}
	queries, rest := split(text)
	if rest != "" {
		queries = append(queries, rest)
	}
	for _, query := range queries {
		if err := s.answer(ctx, query); err != nil {
			return err
		}
	}
	return nil
}

// answer answers a query.
func (s *Session) answer(ctx context.Context, query string) error {
	rows, err := s.DB.Query(ctx, query)
	if err == nil {
		defer func() { _ = rows.Close() }()
		err = Print(s.Out, rows, s.Format)
	}
	for _, sentence := range s.DB.Unread() {
		fmt.Fprintln(s.Notes, sentence)
	}
	if err != nil && ctx.Err() == nil {
		err = s.explain(err)
	}
	return err
}

// explain adds to an error of SQLite what helps.
func (s *Session) explain(err error) error {
	text := strings.TrimPrefix(err.Error(), "SQL logic error: ")
	switch {
	case strings.Contains(text, "no such table"):
		return fmt.Errorf("%s; there are %s", text, strings.Join(s.names(), ", "))
	case strings.Contains(text, "no such column"):
		return fmt.Errorf("%s; .schema prints the columns", text)
	case strings.Contains(text, "readonly database"), strings.Contains(text, "not authorized"), strings.Contains(text, "authorization denied"):
		return fmt.Errorf("%s: events are only read here", text)
	}
	return err
}

// names returns the names of the views.
func (s *Session) names() []string {
	names := []string{"events"}
	for _, view := range s.DB.Views {
		names = append(names, view.Name)
	}
	return names
}

func (s *Session) command(words []string) error {
	switch words[0] {
	case ".help":
		_, err := io.WriteString(s.Out, help)
		return err
	case ".tables":
		for _, name := range s.names() {
			fmt.Fprintln(s.Out, name)
		}
		return nil
	case ".schema":
		return s.printSchema(words[1:])
	case ".output", ".mode":
		if len(words) != 2 || !slices.Contains(Formats, words[1]) {
			return fmt.Errorf("want %s and one of %s", words[0], strings.Join(Formats, ", "))
		}
		s.Format = words[1]
		return nil
	}
	return fmt.Errorf("there is no %s: .help prints what there is", words[0])
}

// printSchema prints the columns of views: of all, or of those with the names.
func (s *Session) printSchema(names []string) error {
	for _, name := range names {
		if !slices.Contains(s.names(), name) {
			return fmt.Errorf("there is no view %s; there are %s", name, strings.Join(s.names(), ", "))
		}
	}
	events := View{Name: "events", Message: "events of all types", Columns: append(slices.Clone(attributes),
		Column{"schema", "TEXT", "full name of the message"}, Column{"traceparent", "TEXT", ""}, Column{"erased", "INTEGER", "bool"},
		Column{"data", "JSON", "the message; NULL if it is erased"})}
	for _, view := range append([]View{events}, s.DB.Views...) {
		if len(names) > 0 && !slices.Contains(names, view.Name) {
			continue
		}
		fmt.Fprintf(s.Out, "%s: %s\n", view.Name, view.Message)
		for _, column := range view.Columns {
			line := fmt.Sprintf("  %-24s %-7s %s", column.Name, column.Type, column.About)
			fmt.Fprintln(s.Out, strings.TrimRight(line, " "))
		}
	}
	return nil
}

// split returns the queries of a text, each of which ends with a semicolon that is not in a
// text, a name or a comment, and what comes after them.
func split(text string) (queries []string, rest string) {
	begin := 0
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		end, size := "\n", 1 // of what is skipped
		switch {
		case strings.HasPrefix(rest, "--"):
		case strings.HasPrefix(rest, "/*"):
			end, size = "*/", 2
		case strings.ContainsRune(`'"`+"`", rune(text[i])):
			end = text[i : i+1]
		case text[i] == '[':
			end = "]"
		case text[i] == ';':
			queries = append(queries, strings.TrimSpace(text[begin:i+1]))
			begin = i + 1
			continue
		default:
			continue
		}
		skipped := strings.Index(rest[size:], end)
		if skipped < 0 {
			break
		}
		i += size + skipped + len(end) - 1
	}
	return queries, strings.TrimSpace(text[begin:])
}

// took returns how long a query took.
func took(since time.Time) string { return time.Since(since).Round(time.Millisecond).String() }

package query_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate/query"
)

func TestFormats(t *testing.T) {
	log := open(t, sqliteURL(t))
	s, out, _ := session(t, log, query.Range{})
	const rows = "VALUES ('a\x1b[31m', 1, NULL), ('b,\"', -20.5, x'00ff')"
	for format, want := range map[string]string{
		"table": "column1    column2  column3\n" + strings.Repeat("─", 9) + "──" + strings.Repeat("─", 7) + "──" + strings.Repeat("─", 7) + "\n" +
			"a\\x1b[31m        1  NULL\nb,\"          -20.5  x'00ff'\n",
		"csv":  "column1,column2,column3\na\x1b[31m,1,\n\"b,\"\"\",-20.5,AP8=\n",
		"json": `{"column1":"a\u001b[31m","column2":1,"column3":null}` + "\n" + `{"column1":"b,\"","column2":-20.5,"column3":"AP8="}` + "\n",
	} {
		out.Reset()
		s.Format = format
		if err := s.Run(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%s:\n%s\nwant\n%s", format, out, want)
		}
	}
}

// TestCSVOnATerminal: what somebody stored does not control it.
func TestCSVOnATerminal(t *testing.T) {
	master, tty, err := pty.Open()
	if err != nil {
		t.Skip("needs a terminal:", err)
	}
	defer master.Close()
	defer tty.Close()
	s, _, _ := session(t, open(t, sqliteURL(t)), query.Range{})
	s.Out, s.Format = tty, "csv"
	if err := s.Run(t.Context(), "SELECT 'a\x1b[31m' AS \"b\x1b[0m\", 'end' AS c"); err != nil {
		t.Fatal(err)
	}
	shown := &screen{from: master}
	shown.until(t, `b\x1b[0m,c`)
	shown.until(t, `a\x1b[31m,end`)
}

func TestErrorsSayWhatToDo(t *testing.T) {
	log := open(t, sqliteURL(t))
	mustAppend(t, log, event(t, "1", compile(t, orders, "shop.v1.StockEvent"), ""))
	s, _, _ := session(t, log, query.Range{})
	for statement, want := range map[string]string{
		"SELECT * FROM stock":               "no such table: stock (1); there are events, stock_event",
		"SELECT lef FROM stock_event":       ".schema prints the columns",
		"DELETE FROM main.events":           "events are only read here",
		".schema stock":                     "there is no view stock; there are events, stock_event",
		".output xml":                       "want .output and one of table, csv, json",
		".dump":                             "there is no .dump: .help prints what there is",
		"SELECT count(*) FROM sqlite_masta": "no such table",
	} {
		if err := s.Run(t.Context(), statement); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", statement, err, want)
		}
	}
}

func TestSchemaPrintsColumns(t *testing.T) {
	log := open(t, sqliteURL(t))
	mustAppend(t, log, event(t, "1", compile(t, orders, "shop.v1.OrderEvent"), ""))
	s, out, _ := session(t, log, query.Range{})
	if err := s.Run(t.Context(), ".schema order_event"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"order_event: shop.v1.OrderEvent\n", "  position                 INTEGER\n", "  amount                   INTEGER\n",
		"  status                   TEXT    shop.v1.Status\n", "  placed                   TEXT    google.protobuf.Timestamp\n",
		"  items                    JSON    repeated shop.v1.Item\n", "  counts                   JSON    map<string, int64>\n",
		"  gift                     INTEGER bool\n", "  serial                   INTEGER uint64\n", "  field_type               TEXT\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("printed\n%s\nwithout %q", out, want)
		}
	}
	if strings.Contains(out.String(), "events:") {
		t.Errorf("printed more than was asked for:\n%s", out)
	}
}

func TestAQueryEndsAtASemicolon(t *testing.T) {
	for text, want := range map[string]bool{
		"SELECT 1;": true, "SELECT 1": false, "SELECT ';": false, "SELECT ';';": true, "SELECT 1; -- so": true, "SELECT 1 -- ;": false,
		"/* ; */": false, "SELECT 1; /* open": false, "SELECT [a;": false, "SELECT 'it''s';\n": true, "SELECT 1; SELECT 2": false, `SELECT ";"`: false,
	} {
		if got := query.IsWhole(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

// Without a terminal the queries of the input are answered, up to the first mistake.
func TestQueriesFromTheInput(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	go func() {
		io.WriteString(write, ".tables\nSELECT 1 AS a; SELECT ';' AS c;\nSELECT\n2 AS b;\nSELECT missing;\nSELECT 4")
		write.Close()
	}()
	s, out, _ := session(t, open(t, sqliteURL(t)), query.Range{})
	if err := s.Shell(t.Context(), read, "test/history"); err == nil || !strings.Contains(err.Error(), "no such column: missing") {
		t.Errorf("got %v, want the mistake", err)
	}
	if want := "events\n{\"a\":1}\n{\"c\":\";\"}\n{\"b\":2}\n"; out.String() != want {
		t.Errorf("got %s, want %s", out, want)
	}
}

// A shell answers, goes on after a mistake, and remembers the queries of the one before.
func TestShellRemembers(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	log := open(t, sqliteURL(t))
	const up = "\x1b[A"
	for _, dialog := range [][][2]string{
		{{"SELECT 6 *\r", "...>"}, {"7 AS n;\r", `{"n":42}`}, {"SELECT missing;\r", "no such column: missing"}, {"SELECT 1 AS one;\r", `{"one":1}`}},
		{{up + "\r", `{"one":1}`}, {up + up + "\r", "no such column: missing"}},
	} {
		s, _, _ := session(t, log, query.Range{})
		terminal, tty, err := pty.Open()
		if err != nil {
			t.Skip("needs a terminal:", err)
		}
		s.Out, s.Notes = tty, tty
		ended := make(chan error, 1)
		go func() { ended <- s.Shell(t.Context(), tty, "shop-server/events-sql") }()
		shown := &screen{from: terminal}
		shown.until(t, "events> ")
		for _, line := range dialog {
			io.WriteString(terminal, line[0])
			shown.until(t, line[1])
			if !strings.Contains(line[1], ">") {
				shown.until(t, "events> ")
			}
		}
		io.WriteString(terminal, "\x04") // Ctrl-D
		if err := <-ended; err != nil {
			t.Error(err)
		}
		tty.Close()
		terminal.Close()
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	about, err := os.Stat(filepath.Join(cache, "shop-server/events-sql"))
	if err != nil || about.Mode().Perm() != 0o600 {
		t.Errorf("the history is %v (%v), want a file that only its owner reads", about, err)
	}
}

// screen is what a terminal shows.
type screen struct {
	from io.Reader
	text []byte
}

// until reads until a text is shown, and forgets what was shown up to there.
func (s *screen) until(t *testing.T, want string) {
	t.Helper()
	for buffer := make([]byte, 4096); ; {
		if at := bytes.Index(s.text, []byte(want)); at >= 0 {
			s.text = s.text[at+len(want):]
			return
		}
		n, err := s.from.Read(buffer)
		if err != nil {
			t.Fatalf("%q is not shown, but %q (%v)", want, s.text, err)
		}
		s.text = append(s.text, buffer[:n]...)
	}
}

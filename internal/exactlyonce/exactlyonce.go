// Package exactlyonce shows that what a sender commits has its effect exactly once in the
// database of a consumer, whichever of their processes and of that of the service between
// them is killed, and when. The service is one that the generator of this repository has
// made, and so are the client of the sender and the log of the consumer.
package exactlyonce

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

// Trial is what is tried. Its databases are as [Open] takes them.
type Trial struct {
	Drivers  []string  // the packages of drivers that both programs need, besides that of SQLite
	Sender   string    // its database
	Consumer string    // its database
	Log      string    // the URL of the event log
	Kills    int       // of each of the three processes
	Others   []Process // that are killed, too, such as the nodes of a cluster
	Each     int       // how often each of the others is killed
}

// Process is a process that can be killed and started again.
type Process struct {
	Name string
	Path string // of the program
	Args []string
	Env  []string
	// Ready, unless it is nil, waits until the process that was started again has its part
	// again, before another one of its kind is killed.
	Ready func(testing.TB)
}

// consumer is the name of the consumer in testdata/shop.go.
const consumer = "billing"

// Run runs the trial.
func (trial Trial) Run(t *testing.T) {
	sender, bills := trial.open(t, trial.Sender, "orders"), trial.open(t, trial.Consumer, "bills")
	made := build(t, trial.Drivers)
	var others []*process
	for _, other := range trial.Others {
		others = append(others, start(t, other))
	}
	for _, p := range others {
		p.works(t)
		if p.Ready != nil {
			p.Ready(t)
		}
	}
	address := freeAddress(t)
	selling := start(t, Process{Name: "sender", Path: made.shop, Args: []string{"sell", trial.Sender, address}})
	service := start(t, Process{Name: "service", Path: made.server, Args: []string{"--addr", address, "--ops-addr", "", "--events", trial.Log, "--log-level", "warn"}})
	service.shown = &selling.lines // it has done something when the sender prints that it did
	billing := start(t, Process{Name: "consumer", Path: made.shop, Args: []string{"bill", trial.Consumer, trial.Log}})

	order := slices.Repeat([]*process{selling, service, billing}, trial.Kills)
	order = append(order, slices.Repeat(others, trial.Each)...)
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	begin, took := time.Now(), map[*process]time.Duration{}
	for _, p := range order {
		p.works(t)
		time.Sleep(rand.N(40 * time.Millisecond)) // at any point of its work
		p.kill(t)
		killed := time.Now()
		p.start(t)
		if p.Ready != nil {
			p.Ready(t)
			took[p] += time.Since(killed)
		}
	}
	t.Logf("killed each of sender, service and consumer %d times, and each of %d others %d times, in %v", trial.Kills, len(others), trial.Each, time.Since(begin).Round(time.Second))
	for _, p := range others {
		t.Logf("%s had its part again %v after a kill", p.Name, (took[p] / time.Duration(max(1, trial.Each))).Round(time.Millisecond))
	}
	selling.works(t)
	selling.kill(t)
	selling.Args[0] = "relay" // and sells nothing new
	selling.start(t)

	rows := values(t, sender, "SELECT id FROM orders")
	eventually(t, "all events are sent", func() bool {
		left := 1
		return sender.QueryRowContext(t.Context(), "SELECT count(*) FROM event_outbox").Scan(&left) == nil && left == 0
	})
	eventually(t, "all events are consumed", func() bool {
		lines, err := made.list(t, "consumers", "list", "--events", trial.Log)
		return err == nil && slices.ContainsFunc(lines, func(line line) bool { return line.Name == consumer && line.Lag == 0 })
	})
	for _, p := range []*process{selling, service, billing} {
		p.kill(t)
	}
	lines, err := made.list(t, "replay", "--events", trial.Log)
	if err != nil {
		t.Fatal(err)
	}
	var events []string
	for _, line := range lines {
		events = append(events, line.Subject)
	}
	slices.Sort(events)
	effects := values(t, bills, "SELECT id FROM bills")
	t.Logf("%d rows written, %d events stored, %d effects", len(rows), len(events), len(effects))
	if len(rows) == 0 || len(slices.Compact(slices.Clone(rows))) != len(rows) {
		t.Fatalf("the sender has written %d rows, some of them twice", len(rows))
	}
	same(t, "events", events, rows)
	same(t, "effects", effects, rows)
}

// same checks that each row has one of something.
func same(t *testing.T, what string, got, rows []string) {
	t.Helper()
	if slices.Equal(got, rows) {
		return
	}
	counts := map[string]int{}
	for _, row := range rows {
		counts[row]--
	}
	for _, one := range got {
		counts[one]++
	}
	for _, id := range slices.Sorted(maps.Keys(counts)) {
		if counts[id] != 0 {
			t.Errorf("row %s has %d %s", id, 1+counts[id], what)
		}
	}
}

// Open opens a database: the name of a driver of database/sql, and what that takes, such as
// "pgx host=…".
func Open(url string) (*sql.DB, error) {
	driver, source, _ := strings.Cut(url, " ")
	return sql.Open(driver, source)
}

// open opens a database, and makes a table of ids in it. No key refuses an id that comes
// twice.
func (trial Trial) open(t *testing.T, url, table string) *sql.DB {
	t.Helper()
	db, err := Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE "+table+" (id VARCHAR(64) NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	return db
}

// values returns the texts that a query finds, sorted.
func values(t *testing.T, db *sql.DB, query string) (found []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			t.Fatal(err)
		}
		found = append(found, value)
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	slices.Sort(found)
	return found
}

// line is one that the service's subcommand events prints, as far as it matters here.
type line struct {
	Name    string // of a consumer
	Lag     int64
	Subject string // of an event: the id of the row
	Type    string // of an event
}

// list returns the lines that the service's subcommand events prints.
func (m programs) list(t *testing.T, args ...string) (lines []line, err error) {
	t.Helper()
	var wrong bytes.Buffer
	command := exec.CommandContext(t.Context(), m.server, append([]string{"events"}, args...)...)
	command.Stderr = &wrong
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", command, err, &wrong)
	}
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var next line
		if err := decoder.Decode(&next); err != nil {
			return nil, err
		}
		lines = append(lines, next)
	}
	return lines, nil
}

// freeAddress returns an address that nothing listens on, until the service does again. On
// Linux no connection that leaves from 127.0.0.1 can take its port meanwhile.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.N(254), rand.N(255), 1+rand.N(254)))
	if err != nil {
		listener, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for begin := time.Now(); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > 2*time.Minute {
			t.Fatalf("not within two minutes: %s", what)
		}
	}
}

// SQLite returns the database in a file of a new folder.
func SQLite(t *testing.T) string {
	return "sqlite file:" + filepath.Join(t.TempDir(), "shop.db") + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_txlock=immediate"
}

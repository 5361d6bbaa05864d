// Package exactlyonce shows that what a sender commits has its effect exactly once in the
// database of a consumer, whichever of their processes and of that of the service between
// them is killed, and when.
package exactlyonce

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/dialect"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Trial is what is tried.
type Trial struct {
	Open     func(url string) (*sql.DB, error) // opens a database
	Sender   string                            // its database
	Consumer string                            // its database
	Log      string                            // the URL of the event log
	Kills    int                               // of each of the three processes
	Others   []Process                         // that are killed, too, such as the nodes of a cluster
	Each     int                               // how often each of the others is killed
}

// Process is a process that can be killed and started again.
type Process struct {
	Name string
	Env  []string
	// Ready, unless it is nil, waits until the process that was started again has its part
	// again, before another one of its kind is killed.
	Ready func(testing.TB)
}

// Run runs the trial: this test program is started again for each process, and must call
// [Main] first of all.
func (trial Trial) Run(t *testing.T) {
	sender, consumer := trial.open(t, trial.Sender, "orders"), trial.open(t, trial.Consumer, "effects")
	env := []string{"ONCE_LOG=" + trial.Log, "ONCE_SOCKET=" + filepath.Join(short(t), "socket")}
	processes := []*process{
		start(t, Process{Name: "sender", Env: append([]string{"ONCE_ROLE=sender", "ONCE_DATABASE=" + trial.Sender}, env...)}),
		start(t, Process{Name: "service", Env: append([]string{"ONCE_ROLE=service"}, env...)}),
		start(t, Process{Name: "consumer", Env: append([]string{"ONCE_ROLE=consumer", "ONCE_DATABASE=" + trial.Consumer}, env...)}),
	}
	var order []*process
	for range trial.Kills {
		order = append(order, processes...)
	}
	for _, other := range trial.Others {
		order = append(order, slices.Repeat([]*process{start(t, other)}, trial.Each)...)
	}
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	begin := time.Now()
	for _, p := range order {
		p.works(t)
		time.Sleep(rand.N(40 * time.Millisecond)) // at any point of its work
		p.kill(t)
		p.start(t)
		if p.Ready != nil {
			p.Ready(t)
		}
	}
	took := time.Since(begin)
	processes[0].works(t)
	processes[0].kill(t)
	processes[0].Env[0] = "ONCE_ROLE=relay" // and sends nothing new
	processes[0].start(t)

	rows := values(t, sender, "SELECT id FROM orders")
	eventually(t, "all events are sent", func() bool {
		left := 1
		return sender.QueryRowContext(t.Context(), "SELECT count(*) FROM event_outbox").Scan(&left) == nil && left == 0
	})
	log, err := eventlog.Open(t.Context(), trial.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	eventually(t, "all events are consumed", func() bool {
		stats, err := log.Stats(t.Context())
		return err == nil && len(stats.Consumers) == 1 && stats.Consumers[0].Lag == 0
	})
	for _, p := range processes {
		p.kill(t)
	}
	var events []string
	for record, err := range log.Read(t.Context(), eventlog.From{}) {
		if err != nil {
			t.Fatal(err)
		}
		var event wrapperspb.StringValue
		if err := proto.Unmarshal(record.Data, &event); err != nil {
			t.Fatal(err)
		}
		events = append(events, event.Value)
	}
	slices.Sort(events)
	effects := values(t, consumer, "SELECT id FROM effects")
	t.Logf("after %d kills of each of sender, service and consumer, and %d of each of %d others, in %v: %d rows written, %d events stored, %d effects",
		trial.Kills, trial.Each, len(trial.Others), took.Round(time.Second), len(rows), len(events), len(effects))
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

// open opens a database, and makes a table of ids in it. No key refuses an id that comes
// twice.
func (trial Trial) open(t *testing.T, url, table string) *sql.DB {
	t.Helper()
	db, err := trial.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	database, err := dialect.Of(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), database.Create(dialect.Table{Name: table, Columns: "id NAME NOT NULL"})); err != nil {
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

// short makes a folder with a short path, because that of a socket is bounded.
func short(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "once")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// process is a [Process] that runs.
type process struct {
	Process
	command *exec.Cmd
	working chan struct{} // closed when it has done something since it was started
}

func start(t *testing.T, of Process) *process {
	t.Helper()
	p := &process{Process: of}
	p.start(t)
	t.Cleanup(func() { p.kill(t) })
	return p
}

func (p *process) start(t *testing.T) {
	t.Helper()
	p.command = exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0])
	p.command.Env = append(os.Environ(), p.Env...)
	p.command.Stderr = os.Stderr
	if _, err := p.command.StdinPipe(); err != nil { // it ends with this process
		t.Fatal(err)
	}
	out, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	working := make(chan struct{})
	p.working = working
	go func() {
		if _, err := bufio.NewReader(out).ReadString('\n'); err == nil {
			close(working)
		}
		_, _ = io.Copy(io.Discard, out)
	}()
}

// works waits until the process has done something.
func (p *process) works(t *testing.T) {
	t.Helper()
	select {
	case <-p.working:
	case <-time.After(time.Minute):
		t.Fatalf("the %s does nothing", p.Name)
	}
}

// kill kills the process, which has no time to do anything about it.
func (p *process) kill(t testing.TB) {
	t.Helper()
	if p.command.ProcessState != nil {
		return
	}
	if err := p.command.Process.Kill(); err != nil {
		t.Errorf("the %s: %v", p.Name, err)
	}
	_ = p.command.Wait()
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for begin := time.Now(); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > 2*time.Minute {
			t.Fatalf("not within two minutes: %s", what)
		}
	}
}

// endWithParent ends this process when the one that started it ends.
func endWithParent() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
}

// fail ends a process that can't do its part.
func fail(role string, err error) {
	fmt.Fprintf(os.Stderr, "the %s: %v\n", role, err)
	os.Exit(1)
}

package acceptance

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	_ "modernc.org/sqlite"
)

// TestNoAcknowledgedEventIsLostWhenTheServerIsKilled kills the generated server
// under load several times. After each restart every event that it acknowledged is
// stored, and none twice, although callers send again what failed.
func TestNoAcknowledgedEventIsLostWhenTheServerIsKilled(t *testing.T) {
	rounds := 5
	if testing.Short() {
		rounds = 1
	}
	if all := os.Getenv("CRASH_ROUNDS"); all != "" {
		rounds, _ = strconv.Atoi(all)
	}
	database := filepath.Join(t.TempDir(), "events.db")
	acknowledged := map[string]bool{}
	var unanswered []string
	for round := range rounds {
		server := startVictim(t, "sqlite:"+database)
		conn := dial(t, server.addr)
		for _, id := range unanswered { // sent again with the same ids
			if err := send(conn, id); err != nil {
				t.Fatalf("event %s, sent again after the restart: %v", id, err)
			}
			acknowledged[id] = true
		}
		unanswered = nil
		before := len(acknowledged)
		var mu sync.Mutex
		var callers sync.WaitGroup
		for caller := range 32 {
			callers.Go(func() {
				for i := 0; ; i++ {
					id := fmt.Sprintf("%d-%d-%d", round, caller, i)
					err := send(conn, id)
					mu.Lock()
					if err == nil {
						acknowledged[id] = true
					} else {
						unanswered = append(unanswered, id)
					}
					mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
		waitFor(t, "the acknowledgement of 100 events more", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(acknowledged) >= before+100
		})
		time.Sleep(rand.N(300 * time.Millisecond))
		server.kill(t)
		callers.Wait()
		conn.Close()
		checkStored(t, database, acknowledged)
	}
	t.Logf("killed %d times; %d events were acknowledged", rounds, len(acknowledged))
}

// checkStored reads a database as any SQLite tool does, and checks that it has each
// acknowledged event once.
func checkStored(t *testing.T, database string, acknowledged map[string]bool) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var integrity string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&integrity); err != nil || integrity != "ok" {
		t.Fatalf("the database is %q (%v)", integrity, err)
	}
	rows, err := db.Query("SELECT id, count(*) FROM events GROUP BY source, id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	stored := map[string]int{}
	for rows.Next() {
		var id string
		var count int
		if err := rows.Scan(&id, &count); err != nil {
			t.Fatal(err)
		}
		stored[id] += count
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for id := range acknowledged {
		if stored[id] != 1 {
			t.Errorf("event %s was acknowledged, but is stored %d times", id, stored[id])
		}
	}
}

// TestAnEventIsSyncedBeforeItIsAcknowledged traces the server's system calls. It checks
// that the disk is synced between the beginning and the end of each call, and that many
// callers share one sync.
func TestAnEventIsSyncedBeforeItIsAcknowledged(t *testing.T) {
	strace := tool(t, "strace", "apt-get install strace")
	server := startVictim(t, "sqlite:"+filepath.Join(t.TempDir(), "events.db"))
	trace := filepath.Join(t.TempDir(), "trace")
	tracer := exec.Command(strace, "-f", "-ttt", "-T", "-e", "trace=fsync,fdatasync", "-o", trace, "-p", strconv.Itoa(server.Process.Pid))
	var stderr bytes.Buffer
	tracer.Stderr = &stderr
	if err := tracer.Start(); err != nil {
		t.Fatal(err)
	}
	conn := dial(t, server.addr)
	waitFor(t, "the tracer", func() bool {
		if tracer.ProcessState != nil || send(conn, fmt.Sprintf("warm-%d", time.Now().UnixNano())) != nil {
			return false
		}
		return len(syncs(t, trace)) > 0
	})

	type span struct{ begin, end float64 }
	var calls []span
	for i := range 50 {
		begin := now()
		if err := send(conn, fmt.Sprintf("one-%d", i)); err != nil {
			t.Fatal(err)
		}
		calls = append(calls, span{begin, now()})
	}
	before := len(syncs(t, trace))
	const events, callers = 10_000, 64
	var next atomic.Int64
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for i := next.Add(1); i <= events; i = next.Add(1) {
				if err := send(conn, fmt.Sprintf("many-%d", i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if err := tracer.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	tracer.Wait()
	all := syncs(t, trace)
	for i, call := range calls {
		within := false
		for _, s := range all {
			within = within || s.begin >= call.begin && s.end <= call.end
		}
		if !within {
			t.Errorf("call %d was answered without a sync between its beginning and its end", i)
		}
	}
	count := len(all) - before
	t.Logf("%d events from %d callers: %d syncs", events, callers, count)
	if count < 1 || count > 1000 {
		t.Errorf("%d events from %d callers took %d syncs, want 1 to 1000", events, callers, count)
	}
}

// synced is when a sync of the disk began and ended, in seconds since 1970.
type synced struct{ begin, end float64 }

var syncLine = regexp.MustCompile(`^\d+ +(\d+\.\d+) (?:(?:fsync|fdatasync)\(\d+(\) += 0 <(\d+\.\d+)>| <unfinished)|<\.\.\. (?:fsync|fdatasync) resumed>\) += 0 <(\d+\.\d+)>)`)

// syncs returns the completed syncs in a trace.
func syncs(t *testing.T, trace string) (all []synced) {
	t.Helper()
	text, err := os.ReadFile(trace)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		match := syncLine.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		at, _ := strconv.ParseFloat(match[1], 64)
		switch {
		case match[3] != "": // in one line: begin, and how long
			took, _ := strconv.ParseFloat(match[3], 64)
			all = append(all, synced{at, at + took})
		case match[4] != "": // resumed: end, and how long
			took, _ := strconv.ParseFloat(match[4], 64)
			all = append(all, synced{at - took, at})
		}
	}
	return all
}

func now() float64 { return float64(time.Now().UnixNano()) / 1e9 }

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for begin := time.Now(); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("%s did not happen in time", what)
		}
	}
}

// TestAServerSurvivesAFullDisk fills the server's file system. Callers get an error that
// says when to retry, the server is not ready, and acknowledged events stay. Once there
// is space again, the server works again by itself.
func TestAServerSurvivesAFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		missing(t, "root", "run the test as root, because it mounts a small file system")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		missing(t, "mount", err.Error())
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 512<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	outlast(t, filepath.Join(dir, "events.db"), []codes.Code{codes.ResourceExhausted}, func(*victim) (repair func()) {
		return func() {
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestAServerSurvivesAFailingDisk makes the server's writes fail, as they do once the
// kernel has made a failing disk read-only, or its syncs, or makes syncs take a minute.
func TestAServerSurvivesAFailingDisk(t *testing.T) {
	strace := tool(t, "strace", "apt-get install strace")
	for name, test := range map[string]struct {
		inject string
		codes  []codes.Code
	}{
		"read-only":     {"write,pwrite64,ftruncate:error=EROFS", []codes.Code{codes.Unavailable}},
		"failing":       {"read,pread64,write,pwrite64:error=EIO", []codes.Code{codes.Unavailable}},
		"failing syncs": {"fsync,fdatasync:error=EIO", []codes.Code{codes.Unavailable}},
		// Where the sync of an append hangs, callers wait until their deadline; where that of
		// the consumer's position does, the append waits for the lock that it holds, for less.
		"hanging syncs": {"fsync,fdatasync:delay_enter=60s", []codes.Code{codes.DeadlineExceeded, codes.Unavailable}},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && len(test.codes) > 1 {
				t.Skip("short mode does not wait for the callers' deadline, ten seconds")
			}
			t.Parallel()
			database := filepath.Join(t.TempDir(), "events.db")
			outlast(t, database, test.codes, func(server *victim) (repair func()) {
				tracer := exec.Command(strace, "-f", "-qq", "-o", filepath.Join(t.TempDir(), "trace"), "-p", strconv.Itoa(server.Process.Pid),
					"-P", database, "-P", database+"-wal", "-e", "inject="+test.inject)
				if err := tracer.Start(); err != nil {
					t.Fatal(err)
				}
				return func() {
					if err := tracer.Process.Signal(os.Interrupt); err != nil {
						t.Fatal(err)
					}
					tracer.Wait()
				}
			})
		})
	}
}

// outlast makes the storage of a server fail. Callers get one of the codes, and, if the server
// sent it, when to retry. The server is not ready, and acknowledged events stay. Once
// the storage is repaired, the server works again by itself.
func outlast(t *testing.T, database string, want []codes.Code, fail func(*victim) (repair func())) {
	t.Helper()
	server := startVictim(t, "sqlite:"+database)
	conn := dial(t, server.addr)
	acknowledged := map[string]bool{}
	send := func(id string) error {
		err := send(conn, id)
		if err == nil {
			acknowledged[id] = true
		}
		return err
	}
	if err := send("before"); err != nil {
		t.Fatal(err)
	}
	repair := fail(server)
	var refused error
	for i := 0; i < 100_000 && refused == nil; i++ {
		refused = send(fmt.Sprint(i))
	}
	hasRetryInfo := strings.Contains(fmt.Sprint(status.Convert(refused).Proto()), "RetryInfo")
	if code := status.Code(refused); !slices.Contains(want, code) || !hasRetryInfo && code != codes.DeadlineExceeded {
		t.Errorf("the error is %v, want one with a code of %v that says when to retry", status.Convert(refused).Proto(), want)
	}
	waitFor(t, "NOT_SERVING", func() bool { return health(t, conn) == 2 })
	repair()
	waitFor(t, "SERVING", func() bool { return health(t, conn) == 1 })
	if err := send("after"); err != nil {
		t.Errorf("after the repair the error is %v", err)
	}
	server.kill(t)
	checkStored(t, database, acknowledged)
}

// health returns the status of the server's health service.
func health(t *testing.T, conn *grpc.ClientConn) uint64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	in, out := []byte{}, []byte{}
	if err := conn.Invoke(ctx, "/grpc.health.v1.Health/Check", &in, &out, grpc.ForceCodecV2(raw{})); err != nil {
		t.Fatal(err)
	}
	_, _, n := protowire.ConsumeTag(out)
	value, _ := protowire.ConsumeVarint(out[max(n, 0):])
	return value
}

// victim is a generated server in its own process.
type victim struct {
	*exec.Cmd
	addr string
}

// startVictim starts the demo's server on a log.
func startVictim(t *testing.T, events string) *victim {
	t.Helper()
	dir, err := demo()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(filepath.Join(dir, "receiver-server"), "--addr", "127.0.0.1:0", "--events", events, "--log-format", "json")
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	p := &victim{Cmd: command}
	t.Cleanup(func() { p.kill(t) })
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		var line struct{ Msg, Addr string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
			p.addr = line.Addr
			go func() {
				for lines.Scan() { // otherwise the server would block on a full pipe
				}
			}()
			return p
		}
		t.Log(lines.Text())
	}
	t.Fatal("the server ended before it served")
	return nil
}

// kill kills the server, as a power failure or an operator would.
func (p *victim) kill(t *testing.T) {
	t.Helper()
	if p.ProcessState != nil {
		return
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.Wait()
}

func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// send sends an event with the given id.
func send(conn *grpc.ClientConn, id string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // a test waits for it where syncs hang
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "event-id", id)
	var event, reply []byte
	for _, field := range []struct {
		number protowire.Number
		text   string
	}{{1, "acceptance"}, {3, "jerry"}, {4, "install"}} {
		event = protowire.AppendString(protowire.AppendTag(event, field.number, protowire.BytesType), field.text)
	}
	return conn.Invoke(ctx, "/Receiver/receive", &event, &reply, grpc.ForceCodecV2(raw{}))
}

// raw is a codec for messages that are bytes already.
type raw struct{}

func (raw) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*message.(*[]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, message any) error {
	*message.(*[]byte) = data.Materialize()
	return nil
}

func (raw) Name() string { return "proto" }

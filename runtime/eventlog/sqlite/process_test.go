package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// childURL makes a child process, which is this test program again, to append
// to a log until it is killed.
const childURL = "EVENTLOG_TEST_CHILD_URL"

// childTask says what the child does with it: a name of childTasks.
const childTask = "EVENTLOG_TEST_CHILD_TASK"

var childTasks = map[string]func(context.Context, eventlog.Log){"append": appendUntilKilled, "consume": consumeUntilKilled}

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		child(url)
		return
	}
	os.Exit(m.Run())
}

// child opens the log, prints "open", waits for a line, and does its task.
func child(url string) {
	ctx := context.Background()
	log, err := eventlog.Open(ctx, url)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("open")
	if _, err := io.ReadFull(os.Stdin, make([]byte, 1)); err != nil {
		return
	}
	childTasks[os.Getenv(childTask)](ctx, log)
}

// appendUntilKilled prints the position and the id of each event that was
// acknowledged: some alone and some in pairs, from many callers.
func appendUntilKilled(ctx context.Context, log eventlog.Log) {
	var group sync.WaitGroup
	for caller := range 16 {
		group.Go(func() {
			for i := 0; ; i++ {
				events := []eventlog.Event{event(fmt.Sprintf("%d-%d-%d", os.Getpid(), caller, i))}
				if i%2 == 1 {
					events = append(events, event(events[0].ID+"-2"))
				}
				receipts, err := log.Append(ctx, events...)
				if err != nil {
					fmt.Println(err)
					os.Exit(1)
				}
				for j, receipt := range receipts {
					fmt.Printf("%d %s\n", receipt.Position, events[j].ID)
				}
			}
		})
	}
	group.Wait()
}

// consumerWindow is the window of a consumer that is killed.
const consumerWindow = 64

// consumeUntilKilled prints the position and the id of each event that was
// handled. Each hundredth is poison.
func consumeUntilKilled(ctx context.Context, log eventlog.Log) {
	err := eventlog.Consume(ctx, log, "mailer", func(_ context.Context, record eventlog.Record) error {
		if strings.HasSuffix(record.ID, "00") {
			return errors.New("poison")
		}
		fmt.Printf("%d %s\n", record.Position, record.ID)
		return nil
	}, eventlog.Window(consumerWindow), eventlog.Tries(2), eventlog.Backoff(time.Millisecond, time.Millisecond), eventlog.Logger(slog.New(slog.DiscardHandler)))
	fmt.Println(err)
	os.Exit(1)
}

// rounds is how often a test kills: a few times, or as often as the environment says.
func rounds(t *testing.T, few int) int {
	t.Helper()
	text := os.Getenv("EVENTLOG_CRASH_ROUNDS")
	if text == "" {
		return few
	}
	rounds, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("EVENTLOG_CRASH_ROUNDS: %v", err)
	}
	return rounds
}

// process is a child that has the log open.
type process struct {
	*exec.Cmd
	in  io.Writer
	out *bufio.Scanner
}

func startChild(t *testing.T, url, task string) *process {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), childURL+"="+url, childTask+"="+task)
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	child := &process{command, in, bufio.NewScanner(out)}
	child.out.Split(wholeLines)
	if !child.out.Scan() || child.out.Text() != "open" {
		t.Fatalf("the child says %q", child.out.Text())
	}
	return child
}

// wholeLines splits into lines, without a last one that is cut off.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if atEOF && bytes.IndexByte(data, '\n') < 0 {
		return len(data), nil, nil
	}
	return bufio.ScanLines(data, atEOF)
}

// workUntilKilled has the child do its task for some time, ends it by kill -9, but not before
// it has acknowledged something, unless that takes a minute, and returns what it acknowledged:
// positions by ids.
func (p *process) workUntilKilled(t *testing.T, after time.Duration) map[string]eventlog.Position {
	if _, err := p.in.Write([]byte("\n")); err != nil {
		t.Error(err)
	}
	kill := time.AfterFunc(time.Minute, func() { _ = p.Process.Kill() })
	begin := time.Now()
	said := map[string]eventlog.Position{}
	for p.out.Scan() {
		var position eventlog.Position
		var id string
		n, err := fmt.Sscanf(p.out.Text(), "%d %s", &position, &id)
		if strings.Contains(p.out.Text(), "event log") {
			t.Errorf("the child says %q", p.out.Text())
		}
		if n == 2 && err == nil {
			if said[id] = position; len(said) == 1 {
				kill.Reset(max(0, time.Until(begin.Add(after))))
			}
		}
	}
	_ = p.Wait()
	return said
}

// checkAcknowledged checks that the log holds what was acknowledged, once and
// whole, and that its file is sound.
func checkAcknowledged(t *testing.T, log *fileLog, acknowledged map[string]eventlog.Position) {
	t.Helper()
	var verdict string
	if err := log.changes.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity: %s, %v", verdict, err)
	}
	if names := stale(t, log.path); len(names) > 0 {
		t.Errorf("set aside: %v", names)
	}
	found := map[string]eventlog.Position{}
	for _, record := range mustRead(t, log, 0) {
		if found[record.ID] != 0 {
			t.Errorf("%s is there twice", record.ID)
		}
		found[record.ID] = record.Position
		if string(record.Data) != "data of "+record.ID {
			t.Errorf("%s says %q", record.ID, record.Data)
		}
	}
	for id, position := range acknowledged {
		if found[id] != position {
			t.Errorf("%s was acknowledged at %d and is at %d", id, position, found[id])
		}
	}
	for id := range found {
		if first, isSecond := strings.CutSuffix(id, "-2"); isSecond && strings.Count(id, "-") == 3 && found[first] == 0 {
			t.Errorf("half of the append of %s is there", id)
		}
	}
}

func TestKilled(t *testing.T) {
	url := newURL(t)
	acknowledged := map[string]eventlog.Position{}
	for range rounds(t, 4) {
		said := startChild(t, url, "append").workUntilKilled(t, 150*time.Millisecond)
		if len(said) == 0 {
			t.Fatal("the child acknowledged nothing")
		}
		maps.Copy(acknowledged, said)
		log := mustOpen(t, url)
		checkAcknowledged(t, log, acknowledged)
		mustClose(t, log)
	}
}

// One of two processes that append at once is killed, again and again.
func TestKilledBesideAnother(t *testing.T) {
	url := newURL(t)
	acknowledged := make([]map[string]eventlog.Position, 2)
	for range rounds(t, 2) {
		var group sync.WaitGroup
		for i := range acknowledged {
			child := startChild(t, url, "append")
			group.Go(func() {
				acknowledged[i] = child.workUntilKilled(t, time.Duration(1+i)*200*time.Millisecond)
			})
		}
		group.Wait()
		log := mustOpen(t, url)
		for i, acknowledged := range acknowledged {
			if len(acknowledged) == 0 {
				t.Errorf("process %d was kept from appending", i)
			}
			checkAcknowledged(t, log, acknowledged)
		}
		mustClose(t, log)
	}
}

// What a consumer that is killed has handled is handled again, if at all, only
// as far as its window goes; and nothing is left out.
func TestConsumerIsKilled(t *testing.T) {
	url := newURL(t)
	log := mustOpen(t, url)
	want := map[string]bool{}
	handled := map[string]bool{}
	for round := range rounds(t, 4) {
		var events []eventlog.Event
		for i := range 4000 {
			one := event(fmt.Sprintf("%d-%d", round, i))
			one.Subject = fmt.Sprint(i % 50)
			want[one.ID] = !strings.HasSuffix(one.ID, "00")
			events = append(events, one)
		}
		mustAppend(t, log, events...)
		child := startChild(t, url, "consume")
		said := child.workUntilKilled(t, time.Duration(100+rand.N(200))*time.Millisecond)
		again := 0
		for id := range said {
			if handled[id] {
				again++
			}
			handled[id] = true
		}
		if again > consumerWindow {
			t.Errorf("%d events were handled again, want at most %d", again, consumerWindow)
		}
	}
	t.Logf("of %d events %d were handled by consumers that were killed", len(want), len(handled))
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	ended := make(chan error, 1)
	go func() {
		ended <- eventlog.Consume(ctx, log, "mailer", func(_ context.Context, record eventlog.Record) error {
			if strings.HasSuffix(record.ID, "00") {
				return eventlog.GiveUp(errors.New("poison"))
			}
			mu.Lock()
			defer mu.Unlock()
			handled[record.ID] = true
			return nil
		}, eventlog.Logger(slog.New(slog.DiscardHandler)))
	}()
	await(t, "all is handled", func() bool {
		stats, err := log.Stats(t.Context())
		return err == nil && stats.Consumers[0].Lag == 0
	})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	dead := map[string]bool{}
	for letter, err := range log.Dead(t.Context(), "mailer") {
		if err != nil {
			t.Fatal(err)
		}
		dead[letter.ID] = true
	}
	for id, good := range want {
		if handled[id] != good || dead[id] == good {
			t.Errorf("%s: handled %v, dead %v", id, handled[id], dead[id])
		}
	}
}

func TestAConsumerRunsInOneProcess(t *testing.T) {
	url := newURL(t)
	log := mustOpen(t, url)
	mustAppend(t, log, event("a"))
	child := startChild(t, url, "consume")
	if _, err := child.in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	if !child.out.Scan() || !strings.HasSuffix(child.out.Text(), " a") {
		t.Fatalf("the child says %q", child.out.Text())
	}
	holder := fmt.Sprintf("process %d", child.Process.Pid)
	if _, err := log.Hold(t.Context(), "mailer"); !errors.Is(err, eventlog.ErrHeld) || !strings.Contains(err.Error(), `consumer "mailer" is run by `+holder) {
		t.Errorf("got %v, want that %s has it", err, holder)
	}
	if stats, err := log.Stats(t.Context()); err != nil || stats.Consumers[0].Holder != holder {
		t.Errorf("%+v, %v; want that %s has it", stats, err, holder)
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	if stats, err := log.Stats(t.Context()); err != nil || stats.Consumers[0].Holder != "" {
		t.Errorf("%+v, %v; want that nobody has it", stats, err)
	}
	if _, err := log.Hold(t.Context(), "mailer"); err != nil {
		t.Error(err)
	}
}

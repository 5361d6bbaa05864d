package eventlog

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// childURL tells a child process, which is this test program again, to append
// to a log until it is killed.
const childURL = "EVENTLOG_TEST_CHILD_URL"

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		child(url)
		return
	}
	os.Exit(m.Run())
}

// child prints "open", and then the position and the id of each event that was
// acknowledged: some alone and some in pairs, from many callers.
func child(url string) {
	ctx := context.Background()
	log, err := Open(ctx, url)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("open")
	if _, err := io.ReadFull(os.Stdin, make([]byte, 1)); err != nil {
		return
	}
	var group sync.WaitGroup
	for caller := range 16 {
		group.Go(func() {
			for i := 0; ; i++ {
				events := []Event{event(fmt.Sprintf("%d-%d-%d", os.Getpid(), caller, i))}
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

// process is a child that has the log open.
type process struct {
	*exec.Cmd
	in  io.Writer
	out *bufio.Scanner
}

func startChild(t *testing.T, url string) *process {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), childURL+"="+url)
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
	if !child.out.Scan() || child.out.Text() != "open" {
		t.Fatalf("the child says %q", child.out.Text())
	}
	return child
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.Process.Kill()
	_ = p.Wait()
}

func TestKilled(t *testing.T) {
	url := newURL(t)
	acknowledged := map[string]Position{}
	for range 4 {
		child := startChild(t, url)
		if _, err := child.in.Write([]byte("\n")); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(150*time.Millisecond, func() { _ = child.Process.Kill() })
		round := 0
		for child.out.Scan() {
			var position Position
			var id string
			if n, err := fmt.Sscanf(child.out.Text(), "%d %s", &position, &id); n != 2 || !strings.HasPrefix(id, fmt.Sprint(child.Process.Pid)) {
				if err == nil || strings.Contains(child.out.Text(), "event log") {
					t.Fatalf("the child says %q", child.out.Text())
				}
				continue // the last line may be cut off
			}
			acknowledged[id] = position
			round++
		}
		_ = child.Wait()
		if round == 0 {
			t.Fatal("the child acknowledged nothing")
		}

		log := mustOpen(t, url)
		var verdict string
		if err := log.appender.writer.conn.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
			t.Errorf("integrity: %s, %v", verdict, err)
		}
		found := map[string]Position{}
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
				t.Errorf("%s was acknowledged at %d and stands at %d", id, position, found[id])
			}
		}
		for id := range found {
			if first, isSecond := strings.CutSuffix(id, "-2"); isSecond && strings.Count(id, "-") == 3 && found[first] == 0 {
				t.Errorf("half of the append of %s is there", id)
			}
		}
		mustClose(t, log)
	}
}

package nats_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate"
)

// copyVariable makes this program a child process that copies a log: from the first of two
// URLs, with a space between them, to the second.
const copyVariable = "EVENTLOG_TEST_COPY"

func init() {
	urls := strings.Fields(os.Getenv(copyVariable))
	if len(urls) != 2 {
		return
	}
	err := operate.Events(context.Background(), "shop-server", []string{"copy", "--from", urls[0], "--to", urls[1]}, func(string) string { return "" }, os.Stdout, operate.Backup)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// startCopy starts a child that copies a log.
func startCopy(t *testing.T, from, to string) (child *exec.Cmd, out *bytes.Buffer) {
	t.Helper()
	out = &bytes.Buffer{}
	child = exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), copyVariable+"="+from+" "+to)
	child.Stdout, child.Stderr = out, os.Stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	return child, out
}

// killCopies copies a log and kills that a number of times, each once it has copied some of
// what is left.
func killCopies(t *testing.T, from, to string, times int) {
	t.Helper()
	log, err := eventlog.Open(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	source := stats(t, from)
	for n := range times {
		child, _ := startCopy(t, from, to)
		want := source.Events * int64(n+1) / int64(times+1)
		for {
			now, err := log.Stats(t.Context())
			if err == nil && now.Events >= want {
				break
			}
			if child.ProcessState != nil || t.Context().Err() != nil {
				t.Fatalf("the copy has ended, or hangs: %v", err)
			}
			time.Sleep(time.Millisecond)
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait()
	}
}

// finishCopy copies what is left, and returns what is printed at the end.
func finishCopy(t *testing.T, from, to string) (line struct {
	Copied, Events, Dead int64
	Consumers            int
	SHA256               string
	Positions            []struct{ From, Moved int64 }
}) {
	t.Helper()
	child, out := startCopy(t, from, to)
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
		t.Fatalf("%q: %v", out.String(), err)
	}
	return line
}

func stats(t *testing.T, url string) eventlog.Stats {
	t.Helper()
	log, err := eventlog.OpenReader(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	stats, err := log.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return stats
}

// copyEvents is how many events are copied: some, or as many as the environment says.
func copyEvents(t *testing.T) int {
	t.Helper()
	text := os.Getenv("EVENTLOG_COPY_EVENTS")
	if text == "" {
		return 4096
	}
	count, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("EVENTLOG_COPY_EVENTS: %v", err)
	}
	return count
}

// TestALogIsMovedToAClusterAndBack copies a log from a file into a cluster of three servers
// while it takes events, and back into a file, and kills that five times altogether.
func TestALogIsMovedToAClusterAndBack(t *testing.T) {
	servers := startCluster(t)
	dir := t.TempDir()
	from := "sqlite:" + filepath.Join(dir, "from.db")
	cluster := "nats://" + hosts(servers...) + "/" + newStream()
	to := "sqlite:" + filepath.Join(dir, "to.db")
	log, err := eventlog.Open(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	count := copyEvents(t)
	for n := 0; n < count; n += 1024 {
		events := make([]eventlog.Event, 1024)
		for i := range events {
			events[i] = movedEvent(n + i)
		}
		if _, err := log.Append(t.Context(), events...); err != nil {
			t.Fatal(err)
		}
	}
	hold, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	letter := eventlog.DeadLetter{Tries: 3, Reason: "no", GaveUp: time.Now()}
	for record, err := range log.Read(t.Context(), eventlog.After(7)) {
		if letter.Record = record; err != nil {
			t.Fatal(err)
		}
		break
	}
	if err := hold.PutDead(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	if err := hold.Commit(t.Context(), 1000); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Retry(t.Context(), "mailer", letter.Position); err != nil {
		t.Fatal(err)
	}

	stop := make(chan struct{})
	var load sync.WaitGroup
	var appended int
	load.Go(func() { // a running server
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			if _, err := log.Append(t.Context(), movedEvent(1_000_000_000+appended)); err != nil {
				t.Error(err)
				return
			}
			appended++
		}
	})
	began := time.Now()
	killCopies(t, from, cluster, 3)
	line := finishCopy(t, from, cluster) // beside the load
	close(stop)
	load.Wait()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	there := finishCopy(t, from, cluster) // the cut-over
	killCopies(t, cluster, to, 2)
	back := finishCopy(t, cluster, to)
	t.Logf("%d events were copied there and back in %v, %d of them came meanwhile (%d after the first copy had ended)",
		there.Events, time.Since(began).Round(time.Millisecond), appended, there.Copied)
	events := stats(t, from).Events
	if line.Events == 0 || there.Events != events || back.Events != events || there.SHA256 != back.SHA256 {
		t.Errorf("of %d events %+v were copied there, and %+v back", events, there, back)
	}
	if len(there.Positions) != 1 || there.Positions[0].Moved != 0 || len(back.Positions) != 1 || back.Positions[0].Moved != 0 {
		t.Errorf("the positions became %v and %v, want the same", there.Positions, back.Positions)
	}
	var out bytes.Buffer
	err = operate.Events(t.Context(), "shop-server", []string{"verify", from, to}, func(string) string { return "" }, &out, operate.Backup)
	if err != nil || !strings.Contains(out.String(), there.SHA256) || !strings.Contains(out.String(), `"equal":true`) {
		t.Errorf("verify printed %s, %v", out.String(), err)
	}
	consumers := stats(t, to).Consumers
	if len(consumers) != 1 || consumers[0].Position != 1000 || consumers[0].Dead != 1 {
		t.Errorf("the consumers of the copy are %+v", consumers)
	}
	copied, err := eventlog.OpenReader(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = copied.Close() }()
	for got, err := range copied.Dead(t.Context(), "") {
		if err != nil || got.Position != letter.Position || got.ID != letter.ID || !got.Retrying || got.Tries != 3 || !got.GaveUp.Equal(letter.GaveUp) || !got.Recorded.Equal(letter.Recorded) {
			t.Errorf("the dead letter became %+v, %v", got, err)
		}
	}
}

func movedEvent(n int) eventlog.Event {
	return eventlog.Event{ID: fmt.Sprint(n), Source: "shop", Type: "order.placed", Subject: fmt.Sprint("subject ", n%1000), Schema: "shop.v1.OrderEvent", Data: fmt.Appendf(nil, "data of %d, which is rather short", n)}
}

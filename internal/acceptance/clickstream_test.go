package acceptance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// TestClickstreamCountsTheSameOnEachEngine runs examples/clickstream with its events in a
// file and in NATS: it sends views by each kind of RPC, kills the server halfway, and
// sends again what was sent before. Either way each view is counted once, and the one that
// can't be counted is in the dead letters.
func TestClickstreamCountsTheSameOnEachEngine(t *testing.T) {
	programs, err := build("../../examples/clickstream", "./cmd/...")
	if err != nil {
		t.Fatal(err)
	}
	for name, url := range map[string]func(*testing.T) string{
		"sqlite": func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "events.db") },
		"nats":   syncingNATS,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := clickstream{T: t, programs: programs, events: url(t), counts: filepath.Join(t.TempDir(), "counts.db")}
			stop := c.start()
			c.send("publish", "1 view /", "2 view /cart", "3 click /cart")
			c.waitUntilCounted(3)
			c.expectTop("/ 1", "/cart 1")
			c.send("publish-batch", "4 view /cart", "5 view /", "6 view about:blank", "7 view /cart")
			stop(os.Kill) // perhaps after these were counted, and before that was recorded
			stop = c.start()
			c.send("publish-stream", "7 view /cart", "8 view /cart", "9 view /")
			c.send("relay", "1 view /", "10 view /terms", "11 view /cart")
			c.waitUntilCounted(11)
			c.expectTop("/cart 5", "/ 3", "/terms 1")
			c.expectTail("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11")
			if dead := c.operate("dead", "list"); len(dead) != 1 || dead[0]["id"] != "6" {
				t.Errorf("the dead letters are %v, want event 6", dead)
			}
			stop(os.Interrupt)
		})
	}
}

// TestClickstreamWithBuf lints the protos of examples/clickstream and generates from them
// where everything is checked in, which changes nothing.
func TestClickstreamWithBuf(t *testing.T) {
	tool(t, "buf", fromMake)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(repository(t), "examples/clickstream"))); err != nil {
		t.Fatal(err)
	}
	want := tree(t, dir)
	run(t, dir, "buf", "lint")
	if output := run(t, dir, "buf", "generate"); output != "" {
		t.Errorf("buf generate prints\n%s", output)
	}
	got := tree(t, dir)
	for name := range got {
		if !bytes.Equal(got[name], want[name]) {
			t.Errorf("%s is generated differently:\n%s", name, got[name])
		}
	}
}

// clickstream is the module of examples/clickstream, with a log and counts of its own.
type clickstream struct {
	*testing.T
	programs, events, counts, addr string
}

// start starts the server, and returns a function that ends it by a signal.
func (c *clickstream) start() (stop func(os.Signal)) {
	c.Helper()
	command := exec.Command(filepath.Join(c.programs, "clickstream-server"), "--addr", "127.0.0.1:0", "--events", c.events, "--counts", c.counts)
	stderr, err := command.StderrPipe()
	if err != nil {
		c.Fatal(err)
	}
	if err := command.Start(); err != nil {
		c.Fatal(err)
	}
	serving, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			if _, addr, ok := strings.Cut(lines.Text(), "msg=serving addr="); ok {
				serving <- strings.Fields(addr)[0]
			}
		}
		ended <- command.Wait()
	}()
	stopped := false
	stop = func(signal os.Signal) {
		if stopped {
			return
		}
		stopped = true
		if err := command.Process.Signal(signal); err != nil {
			c.Error(err)
		}
		if err := <-ended; err != nil && signal != os.Kill {
			c.Errorf("the server ends with %v", err)
		}
	}
	c.Cleanup(func() { stop(os.Kill) })
	select {
	case c.addr = <-serving:
	case err := <-ended:
		stopped = true
		c.Fatalf("the server ended before it served: %v", err)
	}
	return stop
}

// client returns a command of the client.
func (c *clickstream) client(args ...string) *exec.Cmd {
	return exec.CommandContext(c.Context(), filepath.Join(c.programs, "clickstream-client"), append(args, "--addr", c.addr, "--json")...)
}

// send sends events by an RPC, each given as its id, its type and its page.
func (c *clickstream) send(rpc string, events ...string) {
	c.Helper()
	var input strings.Builder
	for _, event := range events {
		words := strings.Fields(event)
		page := words[2]
		if strings.HasPrefix(page, "/") {
			page = "https://shop.example" + page
		}
		fmt.Fprintf(&input, "{\"event\":{\"event_id\":%q,\"site\":\"shop.example\",\"event_type\":%q,\"visitor\":\"ann\",\"url\":%q}}\n", words[0], words[1], page)
	}
	command := c.client(rpc)
	text := input.String()
	if rpc == "publish-batch" {
		text = strings.NewReplacer(`{"event":`, "", "}}", "}").Replace(text) // it makes the batches itself
	}
	command.Stdin = strings.NewReader(text)
	if output, err := command.CombinedOutput(); err != nil {
		c.Fatalf("%s: %v\n%s", rpc, err, output)
	}
}

// operate returns the lines of a command that operates the log.
func (c *clickstream) operate(args ...string) (lines []map[string]any) {
	c.Helper()
	output, err := exec.Command(filepath.Join(c.programs, "clickstream-server"), append(append([]string{"events"}, args...), "--events", c.events)...).Output()
	if err != nil {
		c.Fatal(err)
	}
	for line := range strings.Lines(string(output)) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			c.Fatal(err)
		}
		lines = append(lines, object)
	}
	return lines
}

// waitUntilCounted waits until the log has a number of events, and the consumer has
// handled all of them.
func (c *clickstream) waitUntilCounted(events int) {
	c.Helper()
	for {
		stats := c.operate("stats")[0]
		if stats["events"] != float64(events) {
			c.Fatalf("the log has %v events, want %d", stats["events"], events)
		}
		consumers, _ := stats["consumers"].([]any)
		if len(consumers) == 1 && consumers[0].(map[string]any)["lag"] == 0.0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// expectTop checks the pages with the most views, each given as its path and its views.
func (c *clickstream) expectTop(want ...string) {
	c.Helper()
	output, err := c.client("top-pages", "--site", "shop.example").Output()
	if err != nil {
		c.Fatal(err)
	}
	var reply struct {
		Pages []struct{ Path, Views string }
	}
	if err := json.Unmarshal(output, &reply); err != nil {
		c.Fatal(err)
	}
	var got []string
	for _, page := range reply.Pages {
		got = append(got, page.Path+" "+page.Views)
	}
	if !slices.Equal(got, want) {
		c.Errorf("the top pages are %q, want %q", got, want)
	}
}

// expectTail checks the ids of the first events that a tail sends.
func (c *clickstream) expectTail(want ...string) {
	c.Helper()
	command := c.client("tail")
	stdout, err := command.StdoutPipe()
	if err != nil {
		c.Fatal(err)
	}
	if err := command.Start(); err != nil {
		c.Fatal(err)
	}
	var got []string
	for lines := bufio.NewScanner(stdout); len(got) < len(want) && lines.Scan(); {
		var reply struct {
			Event struct {
				ID string `json:"eventId"`
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &reply); err != nil {
			c.Error(err)
		}
		got = append(got, reply.Event.ID)
	}
	_ = command.Process.Kill()
	_ = command.Wait() // it was killed
	if !slices.Equal(got, want) {
		c.Errorf("the tail sends %q, want %q", got, want)
	}
}

// syncingNATS starts a NATS server in this process that syncs, as that of make nats does,
// and returns the URL of a log.
func syncingNATS(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, HTTPHost: "127.0.0.1", HTTPPort: server.RANDOM_PORT,
		JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, NoSigs: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the NATS server does not start")
	}
	return fmt.Sprintf("%s/CLICKS?monitor=http://%s&lease=1s", s.ClientURL(), s.MonitorAddr())
}

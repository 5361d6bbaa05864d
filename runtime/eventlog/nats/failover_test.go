package nats_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// nodeOptions tells a child process, which is this test program again, to be a
// server until it is killed.
const nodeOptions = "EVENTLOG_TEST_NATS_NODE"

// long makes the tests of failing servers take minutes rather than seconds.
const long = "EVENTLOG_TEST_LONG"

func TestMain(m *testing.M) {
	if text := os.Getenv(nodeOptions); text != "" {
		serve(text)
		return
	}
	os.Exit(m.Run())
}

// node is what a server has to know.
type node struct {
	Name     string
	Port     int
	Cluster  int      // its port for the other nodes
	Routes   []string // to them, by links
	StoreDir string

	process *exec.Cmd
	links   []*link // from it, and to it
}

func serve(text string) {
	var n node
	if err := json.Unmarshal([]byte(text), &n); err != nil {
		panic(err)
	}
	s, err := server.NewServer(&server.Options{
		ServerName: n.Name,
		Host:       "127.0.0.1",
		Port:       n.Port,
		JetStream:  true,
		StoreDir:   n.StoreDir,
		NoSigs:     true,
		// What it tells the others of its address leads nowhere, for there is
		// no other way than the links.
		Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: n.Cluster, Advertise: "127.0.0.1:1"},
		Routes:  server.RoutesFromStr(strings.Join(n.Routes, ",")),
	})
	if err != nil {
		panic(err)
	}
	s.Start()
	// The parent holds the other end: it is gone when the parent is.
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// cluster is a cluster of processes.
type cluster struct {
	nodes []*node
	conn  *nats.Conn
	js    jetstream.JetStream
}

func startProcesses(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{}
	for i := range 3 {
		c.nodes = append(c.nodes, &node{Name: fmt.Sprint("node", i), Port: freePort(t), Cluster: freePort(t), StoreDir: t.TempDir()})
	}
	for _, n := range c.nodes {
		for _, other := range c.nodes {
			if other != n {
				link := startLink(t, fmt.Sprint("127.0.0.1:", other.Cluster))
				n.Routes = append(n.Routes, "nats://"+link.listener.Addr().String())
				n.links, other.links = append(n.links, link), append(other.links, link)
			}
		}
	}
	for _, n := range c.nodes {
		n.start(t)
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			n.kill()
		}
	})
	var err error
	if c.conn, err = nats.Connect(c.hosts(), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.conn.Close)
	if c.js, err = jetstream.New(c.conn); err != nil {
		t.Fatal(err)
	}
	c.eventually(t, "the cluster is there", func(ctx context.Context) bool {
		_, err := c.js.AccountInfo(ctx)
		return err == nil
	})
	return c
}

// openAt opens a log that is connected to a node, and knows all others.
func (c *cluster) openAt(t *testing.T, at *node) eventlog.Log {
	t.Helper()
	var hosts []string
	for _, n := range c.nodes {
		way := startLink(t, fmt.Sprint("127.0.0.1:", n.Port))
		hosts = append(hosts, way.listener.Addr().String())
		if n != at {
			way.cut()
			defer way.join()
		}
	}
	log, err := eventlog.Open(t.Context(), "nats://"+strings.Join(hosts, ",")+"/EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func (c *cluster) hosts() (hosts string) {
	for _, n := range c.nodes {
		hosts += fmt.Sprintf("127.0.0.1:%d,", n.Port)
	}
	return hosts[:len(hosts)-1]
}

func (n *node) start(t *testing.T) {
	t.Helper()
	options, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	n.process = exec.Command(os.Args[0])
	n.process.Env = append(os.Environ(), nodeOptions+"="+string(options))
	n.process.Stderr = os.Stderr
	if _, err := n.process.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := n.process.Start(); err != nil {
		t.Fatal(err)
	}
}

// kill is kill -9, also of a process that is stopped.
func (n *node) kill() {
	_ = n.process.Process.Kill()
	_ = n.process.Wait()
}

// cut leaves a node and its clients alone: they reach each other, and nobody
// else.
func (n *node) cut() {
	for _, link := range n.links {
		link.cut()
	}
}

func (n *node) join() {
	for _, link := range n.links {
		link.join()
	}
}

// pause stops a node: it keeps its connections, and answers nothing.
func (n *node) pause() { _ = n.process.Process.Signal(syscall.SIGSTOP) }

func (n *node) resume() { _ = n.process.Process.Signal(syscall.SIGCONT) }

func (c *cluster) eventually(t *testing.T, what string, is func(context.Context) bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		done := is(ctx)
		cancel()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is never so that %s", what)
		}
	}
}

// leader is the node that leads a stream, once all of its replicas are there.
func (c *cluster) leader(t *testing.T, stream string) (leader *node) {
	t.Helper()
	c.eventually(t, "all replicas have what the leader has", func(ctx context.Context) bool {
		handle, err := c.js.Stream(ctx, stream)
		if err != nil || handle.CachedInfo().Cluster == nil {
			return false
		}
		info := handle.CachedInfo().Cluster
		for _, replica := range info.Replicas {
			if !replica.Current || replica.Offline {
				return false
			}
		}
		for _, n := range c.nodes {
			if n.Name == info.Leader {
				leader = n
			}
		}
		return leader != nil && len(info.Replicas) == 2
	})
	return leader
}

// load appends to a log from many callers, alone and in pairs, and again what
// was not acknowledged.
type load struct {
	acknowledged sync.Map // position by id
	count        atomic.Int64
	last         atomic.Int64 // a position that was acknowledged
	failed       atomic.Int64
	group        sync.WaitGroup
	stop         context.CancelFunc
}

func startLoad(t *testing.T, log eventlog.Log) *load {
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{stop: cancel}
	for caller := range 8 {
		l.group.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				events := []eventlog.Event{event(fmt.Sprintf("%d-%d", caller, i))}
				if i%2 == 1 {
					events = append(events, event(events[0].ID+"-2"))
				}
				l.append(t, ctx, log, events)
			}
		})
	}
	return l
}

func (l *load) append(t *testing.T, ctx context.Context, log eventlog.Log, events []eventlog.Event) {
	for ctx.Err() == nil {
		// Whoever is told to stop waits for what is on its way.
		receipts, err := log.Append(context.WithoutCancel(ctx), events...)
		switch {
		case errors.Is(err, eventlog.ErrUnavailable):
			l.failed.Add(1)
			continue
		case err != nil:
			t.Errorf("%s: %v", events[0].ID, err)
			return
		}
		for i, receipt := range receipts {
			if receipt.Durability != eventlog.Quorum {
				t.Errorf("%s: %+v", events[i].ID, receipt)
			}
			l.acknowledged.Store(events[i].ID, receipt.Position)
			l.last.Store(int64(receipt.Position))
		}
		l.count.Add(int64(len(events)))
		return
	}
}

// more waits until that many more events are acknowledged.
func (l *load) more(t *testing.T, count int64) {
	t.Helper()
	began, want := time.Now(), l.count.Load()+count
	for l.count.Load() < want {
		if time.Since(began) > time.Minute {
			t.Fatalf("%d events are acknowledged, want %d", l.count.Load(), want)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("%d more events took %v", count, time.Since(began).Round(time.Millisecond))
}

func event(id string) eventlog.Event {
	return eventlog.Event{ID: id, Source: "shop", Type: "order.placed", Subject: "jerry", Schema: "shop.v1.OrderEvent", Data: []byte("data of " + id)}
}

// TestServersFail kills and stops servers, and cuts them off, while events come in. What was
// acknowledged stays, once and at its position, and whoever tails the log sees
// all of it, in order.
func TestServersFail(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes 20 seconds")
	}
	c := startProcesses(t)
	log := c.openAt(t, c.nodes[0])
	defer func() { _ = log.Close() }()

	watching := c.openAt(t, c.nodes[0])
	defer func() { _ = watching.Close() }()
	tailing, stopTail := context.WithCancel(t.Context())
	defer stopTail()
	tailed, sofar := make(chan []eventlog.Record), atomic.Int64{}
	go func() {
		var records []eventlog.Record
		for record, err := range watching.Tail(tailing, eventlog.From{}) {
			if err != nil {
				if tailing.Err() == nil {
					t.Errorf("tail: %v", err)
				}
				break
			}
			records = append(records, record)
			sofar.Store(int64(record.Position))
		}
		tailed <- records
	}()

	// A consumer in another process, as it were.
	var handled sync.Map
	var handledTo atomic.Int64
	said := &mailer{}
	consuming, stopConsumer := context.WithCancel(t.Context())
	consumed := make(chan error)
	elsewhere := c.openAt(t, c.nodes[0])
	defer func() { _ = elsewhere.Close() }()
	go func() {
		consumed <- eventlog.Consume(consuming, elsewhere, "mailer", func(_ context.Context, record eventlog.Record) error {
			handled.Store(record.ID, true)
			handledTo.Store(int64(record.Position))
			return nil
		}, eventlog.Logger(slog.New(slog.NewTextHandler(said, nil))))
	}()

	load := startLoad(t, log)
	load.more(t, 500)
	fail := func(how string, n *node, fail, repair func()) {
		t.Logf("%s %s", how, n.Name)
		fail()
		load.more(t, 500)
		last := load.last.Load()
		c.eventually(t, "the tail sees what comes meanwhile", func(context.Context) bool { return sofar.Load() >= last })
		c.eventually(t, "the consumer handles what comes meanwhile", func(context.Context) bool { return handledTo.Load() >= last })
		repair()
		load.more(t, 500)
	}
	kill := func(n *node) { fail("kill", n, n.kill, func() { n.start(t) }) }
	pause := func(n *node) { fail("stop", n, n.pause, n.resume) }
	cut := func(n *node) { fail("cut off", n, n.cut, n.join) }
	cut(c.nodes[0]) // with the log at it
	kill(c.leader(t, "EVENTS"))
	pause(c.leader(t, "EVENTS"))
	if os.Getenv(long) != "" {
		for range 2 {
			for _, n := range c.nodes {
				c.leader(t, "EVENTS")
				kill(n)
				c.leader(t, "EVENTS")
				pause(n)
				c.leader(t, "EVENTS")
				cut(n)
			}
			kill(c.leader(t, "EVENTS"))
			cut(c.leader(t, "EVENTS"))
		}
	}
	load.stop()
	load.group.Wait()
	t.Logf("%d events acknowledged, %d appends failed", load.count.Load(), load.failed.Load())

	c.leader(t, "EVENTS")
	found := map[string]eventlog.Position{}
	var records []eventlog.Record
	for record, err := range log.Read(t.Context(), eventlog.From{}) {
		if err != nil {
			t.Fatal(err)
		}
		if found[record.ID] != 0 {
			t.Errorf("%s stands at %d and at %d", record.ID, found[record.ID], record.Position)
		}
		if string(record.Data) != "data of "+record.ID {
			t.Errorf("%s says %q", record.ID, record.Data)
		}
		found[record.ID] = record.Position
		records = append(records, record)
	}
	load.acknowledged.Range(func(id, position any) bool {
		if found[id.(string)] != position {
			t.Errorf("%s was acknowledged at %d and stands at %d", id, position, found[id.(string)])
		}
		return true
	})
	for id := range found {
		if second := found[id+"-2"]; second != 0 && second != found[id]+1 {
			t.Errorf("%s stands at %d and its pair at %d", id, found[id], second)
		}
	}
	last := records[len(records)-1].Position
	c.eventually(t, "the tail has seen all", func(context.Context) bool { return sofar.Load() == int64(last) })
	stopTail()
	seen := <-tailed
	if len(seen) != len(records) {
		t.Errorf("the tail has seen %d events, want %d", len(seen), len(records))
	}
	for i := range min(len(seen), len(records)) {
		if seen[i].Position != records[i].Position || seen[i].ID != records[i].ID {
			t.Fatalf("the tail saw %s at %d, want %s at %d", seen[i].ID, seen[i].Position, records[i].ID, records[i].Position)
		}
	}
	c.eventually(t, "the consumer has handled all", func(context.Context) bool {
		for _, record := range records {
			if _, found := handled.Load(record.ID); !found {
				return false
			}
		}
		return true
	})
	stopConsumer()
	if err := <-consumed; err != nil {
		t.Errorf("consumer: %v", err)
	}
	if said.says("begins with the first event again") {
		t.Errorf("the consumer took a server that lags behind for another stream: %s", said.said.String())
	}
}

// TestCallersWithoutTimeTurnToo: those whose deadlines are shorter than the time
// after which a server is left.
func TestCallersWithoutTimeTurnToo(t *testing.T) {
	c := startProcesses(t)
	log := c.openAt(t, c.nodes[0])
	defer func() { _ = log.Close() }()
	if _, err := log.Append(t.Context(), event("a")); err != nil {
		t.Fatal(err)
	}
	c.nodes[0].cut()
	c.eventually(t, "an append comes through", func(ctx context.Context) bool { // within a second
		_, err := log.Append(ctx, event("b"))
		return err == nil
	})
}

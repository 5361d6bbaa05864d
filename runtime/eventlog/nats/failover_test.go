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

// nodeOptions is the variable that makes a child process, which runs this test
// program, a server until it is killed.
const nodeOptions = "EVENTLOG_TEST_NATS_NODE"

// long is the variable that makes the tests of failing servers run for minutes
// instead of seconds.
const long = "EVENTLOG_TEST_LONG"

func TestMain(m *testing.M) {
	if text := os.Getenv(nodeOptions); text != "" {
		serve(text)
		return
	}
	os.Exit(m.Run())
}

// node is a server in a process of its own. The exported fields are its options.
type node struct {
	Name     string
	Port     int
	Cluster  int      // its port for the other nodes
	Routes   []string // the addresses of links to them
	StoreDir string

	process *exec.Cmd
	links   []*link // from it and to it
}

// serve runs the server with options, in the child process.
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
		// The address that it advertises to the others leads nowhere, so that
		// they use the links.
		Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: n.Cluster, Advertise: "127.0.0.1:1"},
		Routes:  server.RoutesFromStr(strings.Join(n.Routes, ",")),
	})
	if err != nil {
		panic(err)
	}
	s.Start()
	// The other end of stdin is closed when the parent ends.
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// cluster is a cluster of processes.
type cluster struct {
	nodes []*node
	conn  *nats.Conn
	js    jetstream.JetStream
}

// startProcesses starts a cluster of three processes.
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
	c.eventually(t, "the cluster answers", func(ctx context.Context) bool {
		_, err := c.js.AccountInfo(ctx)
		return err == nil
	})
	return c
}

// openAt opens a log that is connected to a node, and knows the addresses of all.
func (c *cluster) openAt(t *testing.T, at *node) eventlog.Log {
	t.Helper()
	var hosts []string
	for _, n := range c.nodes {
		link := startLink(t, fmt.Sprint("127.0.0.1:", n.Port))
		hosts = append(hosts, link.listener.Addr().String())
		if n != at {
			link.cut()
			defer link.join()
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

// kill kills a node, even if it is paused.
func (n *node) kill() {
	_ = n.process.Process.Kill()
	_ = n.process.Wait()
}

// cut cuts a node off from the other nodes. Its clients still reach it.
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

// pause pauses the process of a node: it keeps its connections, and answers nothing.
func (n *node) pause() { _ = n.process.Process.Signal(syscall.SIGSTOP) }

func (n *node) resume() { _ = n.process.Process.Signal(syscall.SIGCONT) }

// eventually waits until a condition is true.
func (c *cluster) eventually(t *testing.T, what string, condition func(context.Context) bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		done := condition(ctx)
		cancel()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a minute it is still not true that %s", what)
		}
	}
}

// leader returns the node that leads a stream, once all replicas are up to date.
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

// load appends events to a log from many callers, one or two at a time, and appends
// again what was not acknowledged.
type load struct {
	acknowledged sync.Map // position by id
	count        atomic.Int64
	last         atomic.Int64 // the position of the last acknowledgement
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
		// A call that has begun is finished, even if the load is stopped.
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

// waitFor waits until that many more events are acknowledged.
func (l *load) waitFor(t *testing.T, count int64) {
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

// TestServersFail kills, pauses and cuts off servers while events are appended. What
// was acknowledged stays, once and at its position, and a tail yields all events in
// order.
func TestServersFail(t *testing.T) {
	t.Parallel()
	c := startProcesses(t)
	log := c.openAt(t, c.nodes[0])
	defer func() { _ = log.Close() }()

	watching := c.openAt(t, c.nodes[0])
	defer func() { _ = watching.Close() }()
	tailing, stopTail := context.WithCancel(t.Context())
	defer stopTail()
	tailed, tailedTo := make(chan []eventlog.Record), atomic.Int64{}
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
			tailedTo.Store(int64(record.Position))
		}
		tailed <- records
	}()

	// This consumer has a connection of its own, as if it ran in another process.
	var handled sync.Map
	var handledTo atomic.Int64
	consumer := &mailer{}
	consuming, stopConsumer := context.WithCancel(t.Context())
	consumed := make(chan error)
	elsewhere := c.openAt(t, c.nodes[0])
	defer func() { _ = elsewhere.Close() }()
	go func() {
		consumed <- eventlog.Consume(consuming, elsewhere, "mailer", func(_ context.Context, record eventlog.Record) error {
			handled.Store(record.ID, true)
			handledTo.Store(int64(record.Position))
			return nil
		}, eventlog.Logger(slog.New(slog.NewTextHandler(consumer, nil))))
	}()

	load := startLoad(t, log)
	load.waitFor(t, 500)
	fail := func(how string, n *node, fail, repair func()) {
		t.Logf("%s %s", how, n.Name)
		fail()
		load.waitFor(t, 500)
		last := load.last.Load()
		c.eventually(t, "the tail yields what was appended meanwhile", func(context.Context) bool { return tailedTo.Load() >= last })
		c.eventually(t, "the consumer handles what was appended meanwhile", func(context.Context) bool { return handledTo.Load() >= last })
		repair()
		load.waitFor(t, 500)
	}
	kill := func(n *node) { fail("kill", n, n.kill, func() { n.start(t) }) }
	pause := func(n *node) { fail("pause", n, n.pause, n.resume) }
	cut := func(n *node) { fail("cut off", n, n.cut, n.join) }
	if !testing.Short() { // in short mode one server is killed
		cut(c.nodes[0]) // which the log is connected to
		pause(c.leader(t, "EVENTS"))
	}
	kill(c.leader(t, "EVENTS"))
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
			t.Errorf("%s is at %d and at %d", record.ID, found[record.ID], record.Position)
		}
		if string(record.Data) != "data of "+record.ID {
			t.Errorf("%s has the data %q", record.ID, record.Data)
		}
		found[record.ID] = record.Position
		records = append(records, record)
	}
	load.acknowledged.Range(func(id, position any) bool {
		if found[id.(string)] != position {
			t.Errorf("%s was acknowledged at %d and is at %d", id, position, found[id.(string)])
		}
		return true
	})
	for id := range found {
		if second := found[id+"-2"]; second != 0 && second != found[id]+1 {
			t.Errorf("%s is at %d and the other of its pair at %d", id, found[id], second)
		}
	}
	last := records[len(records)-1].Position
	c.eventually(t, "the tail has yielded all events", func(context.Context) bool { return tailedTo.Load() == int64(last) })
	stopTail()
	yielded := <-tailed
	if len(yielded) != len(records) {
		t.Errorf("the tail has yielded %d events, want %d", len(yielded), len(records))
	}
	for i := range min(len(yielded), len(records)) {
		if yielded[i].Position != records[i].Position || yielded[i].ID != records[i].ID {
			t.Fatalf("the tail yielded %s at %d, want %s at %d", yielded[i].ID, yielded[i].Position, records[i].ID, records[i].Position)
		}
	}
	c.eventually(t, "the consumer has handled all events", func(context.Context) bool {
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
	if consumer.hasLogged("begins with the first event again") {
		t.Errorf("the consumer took a server that lags for another stream: %s", consumer.logged.String())
	}
}

// The log leaves a server that fails, even if the deadlines of all calls are shorter
// than the time after which it does so.
func TestServerIsLeftThoughCallersHaveShortDeadlines(t *testing.T) {
	t.Parallel()
	c := startProcesses(t)
	log := c.openAt(t, c.nodes[0])
	defer func() { _ = log.Close() }()
	if _, err := log.Append(t.Context(), event("a")); err != nil {
		t.Fatal(err)
	}
	c.nodes[0].cut()
	c.eventually(t, "an append succeeds", func(ctx context.Context) bool { // ctx ends after a second
		_, err := log.Append(ctx, event("b"))
		return err == nil
	})
}

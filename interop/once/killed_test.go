package once_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/exactlyonce"
)

func TestMain(m *testing.M) {
	if address := os.Getenv("ONCE_NODE"); address != "" {
		runNode(address)
	}
	os.Exit(m.Run())
}

// drivers are those of the databases.
var drivers = []string{"github.com/go-sql-driver/mysql", "github.com/jackc/pgx/v5/stdlib"}

// kills is how often each process of a kind is killed: as often as a variable of the
// environment says, or else by default.
func kills(variable string, otherwise int) int {
	if kills, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return kills
	}
	return otherwise
}

func TestKilledPostgreSQLToMariaDB(t *testing.T) {
	exactlyonce.Trial{
		Drivers: drivers, Sender: startPostgreSQL(t).url(t), Consumer: startMariaDB(t).url(t),
		Log: "sqlite:" + filepath.Join(t.TempDir(), "events.db"), Kills: kills("ONCE_KILLS", 3),
	}.Run(t)
}

func TestKilledMariaDBToPostgreSQL(t *testing.T) {
	exactlyonce.Trial{
		Drivers: drivers, Sender: startMariaDB(t).url(t), Consumer: startPostgreSQL(t).url(t),
		Log: "sqlite:" + filepath.Join(t.TempDir(), "events.db"), Kills: kills("ONCE_KILLS", 3),
	}.Run(t)
}

// TestKilledOverACluster has the log in three nodes of NATS, of which one at a time is
// killed: the next one when all of them have the whole stream again.
func TestKilledOverACluster(t *testing.T) {
	if os.Getenv("ONCE_KILLS") == "" {
		t.Skip("it takes minutes: make exactly-once")
	}
	var clients, routes []string
	for range 3 {
		clients = append(clients, freeAddress(t))
		routes = append(routes, "nats://"+freeAddress(t))
	}
	c := &cluster{url: "nats://" + strings.Join(clients, ",nats://")}
	var nodes []exactlyonce.Process
	for i := range 3 {
		monitor := freeAddress(t)
		nodes = append(nodes, exactlyonce.Process{
			Name:  fmt.Sprint("node ", i),
			Path:  os.Args[0],
			Env:   []string{fmt.Sprintf("ONCE_NODE=node%d %s %s %s %s %s", i, clients[i], monitor, routes[i], strings.Join(routes, ","), t.TempDir())},
			Ready: func(t testing.TB) { c.whole(t, monitor) },
		})
	}
	exactlyonce.Trial{
		Drivers: drivers, Sender: startPostgreSQL(t).url(t), Consumer: startMariaDB(t).url(t),
		Log: "nats://" + strings.Join(clients, ",") + "/ONCE?lease=1s", Kills: kills("ONCE_KILLS", 3), Others: nodes, Each: kills("ONCE_NODES", 1),
	}.Run(t)
}

// runNode runs a node of the cluster until it is killed.
func runNode(address string) {
	parts := strings.Fields(address)
	options := &server.Options{ServerName: parts[0], JetStream: true, StoreDir: parts[5]}
	options.Host, options.Port = split(parts[1])
	options.HTTPHost, options.HTTPPort = split(parts[2])
	options.Cluster.Name = "once"
	options.Cluster.Host, options.Cluster.Port = split(strings.TrimPrefix(parts[3], "nats://"))
	for route := range strings.SplitSeq(parts[4], ",") {
		at, err := url.Parse(route)
		if err != nil {
			panic(err)
		}
		options.Routes = append(options.Routes, at)
	}
	node, err := server.NewServer(options)
	if err != nil {
		panic(err)
	}
	node.Start()
	go func() { // the parent has the other end
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(1)
	}()
	for !node.ReadyForConnections(time.Second) {
	}
	fmt.Println("works")
	node.WaitForShutdown()
	os.Exit(0)
}

func split(address string) (host string, port int) {
	host, text, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil {
		panic(err)
	}
	return host, port
}

// freeAddress returns an address that nothing listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// cluster is the cluster of nodes.
type cluster struct {
	url    string
	stream jetstream.Stream // nil until there is one
}

// whole waits until a node has all that it missed, and until all nodes have the whole stream.
func (c *cluster) whole(t testing.TB, monitor string) {
	t.Helper()
	var last error
	for begin := time.Now(); time.Since(begin) < 5*time.Minute; time.Sleep(20 * time.Millisecond) {
		if last = c.flaw(t, monitor); last == nil {
			return
		}
	}
	t.Fatalf("after five minutes the cluster is not well: %v", last)
}

// flaw returns why the cluster is not whole, or nil.
func (c *cluster) flaw(t testing.TB, monitor string) error {
	answer, err := http.Get("http://" + monitor + "/healthz")
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the node at %s says %s", monitor, answer.Status)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if c.stream == nil {
		if c.stream, err = c.find(ctx, t); c.stream == nil {
			return err
		}
	}
	info, err := c.stream.Info(ctx)
	if err != nil {
		return err
	}
	if info.Cluster == nil || info.Cluster.Leader == "" || len(info.Cluster.Replicas) != 2 {
		return fmt.Errorf("the stream has %+v", info.Cluster)
	}
	for _, replica := range info.Cluster.Replicas {
		if replica.Offline || !replica.Current || replica.Lag > 0 {
			return fmt.Errorf("the stream has a replica %+v", replica)
		}
	}
	return nil
}

// find returns the stream, or nil before there is one.
func (c *cluster) find(ctx context.Context, t testing.TB) (jetstream.Stream, error) {
	conn, err := natsgo.Connect(c.url, natsgo.MaxReconnects(-1), natsgo.ReconnectWait(20*time.Millisecond))
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn)
	if err == nil {
		var stream jetstream.Stream
		if stream, err = js.Stream(ctx, "ONCE"); err == nil {
			t.Cleanup(conn.Close)
			return stream, nil
		}
	}
	conn.Close()
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = nil
	}
	return nil, err
}

package once_test

import (
	"database/sql"
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
	_ "modernc.org/sqlite"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/exactlyonce"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/nats"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
)

// open opens a database, by the driver and its own URL: "pgx host=…".
func open(url string) (*sql.DB, error) {
	driver, source, _ := strings.Cut(url, " ")
	return sql.Open(driver, source)
}

func TestMain(m *testing.M) {
	if address := os.Getenv("ONCE_NODE"); address != "" {
		runNode(address)
	}
	exactlyonce.Main(open)
	os.Exit(m.Run())
}

// kills is how often each process is killed: a few times, or as often as the environment
// says.
func kills(t *testing.T) int {
	kills, err := strconv.Atoi(os.Getenv("ONCE_KILLS"))
	if err != nil {
		return 3
	}
	return kills
}

func TestKilledPostgreSQLToMariaDB(t *testing.T) {
	exactlyonce.Trial{
		Open: open, Sender: startPostgreSQL(t).url(t), Consumer: startMariaDB(t).url(t),
		Log: "sqlite:" + filepath.Join(t.TempDir(), "events.db"), Kills: kills(t),
	}.Run(t)
}

func TestKilledMariaDBToPostgreSQL(t *testing.T) {
	exactlyonce.Trial{
		Open: open, Sender: startMariaDB(t).url(t), Consumer: startPostgreSQL(t).url(t),
		Log: "sqlite:" + filepath.Join(t.TempDir(), "events.db"), Kills: kills(t),
	}.Run(t)
}

// TestKilledOverACluster has the log in three nodes of NATS, of which one at a time is
// killed: less often, because each takes seconds to come back.
func TestKilledOverACluster(t *testing.T) {
	if os.Getenv("ONCE_KILLS") == "" {
		t.Skip("it takes minutes: make exactly-once")
	}
	var clients, routes []string
	for range 3 {
		clients = append(clients, freeAddress(t))
		routes = append(routes, "nats://"+freeAddress(t))
	}
	var nodes []exactlyonce.Process
	for i := range 3 {
		monitor := freeAddress(t)
		nodes = append(nodes, exactlyonce.Process{
			Name:  fmt.Sprint("node ", i),
			Env:   []string{fmt.Sprintf("ONCE_NODE=node%d %s %s %s %s %s", i, clients[i], monitor, routes[i], strings.Join(routes, ","), t.TempDir())},
			Ready: func(t testing.TB) { healthy(t, monitor) },
		})
	}
	exactlyonce.Trial{
		Open: open, Sender: startPostgreSQL(t).url(t), Consumer: startMariaDB(t).url(t),
		Log: "nats://" + strings.Join(clients, ",") + "/ONCE?lease=1s", Kills: kills(t), Others: nodes, Each: max(1, kills(t)/5),
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

// healthy waits until a node has all that it missed.
func healthy(t testing.TB, monitor string) {
	t.Helper()
	last := "no answer"
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(20 * time.Millisecond) {
		answer, err := http.Get("http://" + monitor + "/healthz")
		if err != nil {
			continue
		}
		_ = answer.Body.Close()
		if last = answer.Status; answer.StatusCode == http.StatusOK {
			return
		}
	}
	t.Fatalf("the node at %s is not well: %s", monitor, last)
}

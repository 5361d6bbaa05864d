package nats_test

import (
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// start starts a server in this process.
func start(t testing.TB, options *server.Options) *server.Server {
	t.Helper()
	options.JetStream = true
	options.Host = "127.0.0.1"
	options.NoSigs = true
	if options.StoreDir == "" {
		options.StoreDir = t.TempDir()
	}
	if options.Port == 0 {
		options.Port = server.RANDOM_PORT
	}
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server does not start")
	}
	return s
}

// startCluster starts a cluster of three servers in this process.
func startCluster(t testing.TB) (servers []*server.Server) {
	t.Helper()
	var ports []int
	var routes []*url.URL
	for range 3 {
		port := freePort(t)
		ports = append(ports, port)
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprint("127.0.0.1:", port)})
	}
	for i, port := range ports {
		servers = append(servers, start(t, &server.Options{
			ServerName:      fmt.Sprint("node", i),
			Cluster:         server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port},
			Routes:          routes,
			JetStreamLimits: server.JSLimitOpts{MaxBatchSize: maxBatch},
		}))
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		for _, s := range servers {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == 3 {
				return servers
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the cluster has no leader")
		}
	}
}

// maxBatch allows appends of as many events as the contract has.
const maxBatch = 5000

// freePort returns a port that nothing listens on.
func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

// hosts returns the addresses of servers as a URL has them.
func hosts(servers ...*server.Server) (hosts string) {
	for _, s := range servers {
		if hosts != "" {
			hosts += ","
		}
		hosts += s.Addr().String()
	}
	return hosts
}

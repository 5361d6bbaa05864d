package deploy

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/nats"
)

// TestNATS starts the three nodes of the cluster with their configuration, of which only
// addresses and folders are others, and appends to a log there.
func TestNATS(t *testing.T) {
	dir := module(t, "events")
	var nodes []*server.Server
	var addresses []string
	var routes []*url.URL
	for range 3 {
		routes = append(routes, &url.URL{Scheme: "nats", Host: free(t)})
	}
	for n := range 3 {
		options, err := server.ProcessConfigFile(filepath.Join(dir, "nats.conf"))
		if err != nil {
			t.Fatal(err)
		}
		if len(options.Routes) != 3 || !options.JetStream || options.StoreDir != "/data" || options.Port != 4222 || options.HTTPPort != 8222 {
			t.Fatalf("the configuration is %+v", options)
		}
		for n, route := range options.Routes {
			if want := fmt.Sprintf("nats-%d:%d", n+1, options.Cluster.Port); route.Host != want {
				t.Errorf("a route leads to %s, want %s", route.Host, want)
			}
		}
		options.ServerName, options.StoreDir, options.NoSigs, options.NoLog = fmt.Sprintf("nats-%d", n+1), t.TempDir(), true, true
		options.Host, options.Port, options.HTTPHost, options.HTTPPort = "127.0.0.1", -1, "127.0.0.1", -1
		options.Cluster.Host, options.Cluster.Port, options.Routes = "127.0.0.1", number(t, routes[n].Port()), routes
		node, err := server.NewServer(options)
		if err != nil {
			t.Fatal(err)
		}
		node.Start()
		defer node.WaitForShutdown()
		defer node.Shutdown()
		nodes = append(nodes, node)
	}
	for _, node := range nodes {
		if !node.ReadyForConnections(30 * time.Second) {
			t.Fatalf("%s does not start", node.Name())
		}
		addresses = append(addresses, strings.TrimPrefix(node.ClientURL(), "nats://"))
	}
	if err := eventually(func() error {
		for _, node := range nodes {
			if !node.JetStreamIsCurrent() {
				return fmt.Errorf("%s is not part of the cluster", node.Name())
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Open(t.Context(), "nats://"+strings.Join(addresses, ",")+"/BANK")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	receipts, err := log.Append(t.Context(), eventlog.Event{ID: "1", Type: "paid", Schema: "bank.v1.BankEvent"})
	if err != nil || receipts[0].Durability != eventlog.Quorum {
		t.Errorf("an event is stored as %v (%v), want %s", receipts, err, eventlog.Quorum)
	}
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Package natscluster runs NATS servers with JetStream in this process.
package natscluster

import (
	"errors"
	"fmt"
	"net"
	neturl "net/url"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Start starts three NATS servers, and returns the URL of a log that all of them store.
func Start(dir string) (url string, stop func(), err error) {
	var servers []*server.Server
	stop = func() {
		for _, one := range servers {
			one.Shutdown()
			one.WaitForShutdown()
		}
	}
	var ports []int // of their routes, which each must know before it starts
	var routes []*neturl.URL
	for range 3 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", nil, err
		}
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
		routes = append(routes, &neturl.URL{Scheme: "nats", Host: listener.Addr().String()})
		if err := listener.Close(); err != nil {
			return "", nil, err
		}
	}
	for i, port := range ports {
		one, err := StartServer(server.Options{
			StoreDir: filepath.Join(dir, fmt.Sprint(i)), ServerName: fmt.Sprint("node", i), Routes: routes,
			Cluster: server.ClusterOpts{Name: "bench", Host: "127.0.0.1", Port: port},
		})
		if err != nil {
			stop()
			return "", nil, err
		}
		servers = append(servers, one)
		url += "," + one.Addr().String()
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for _, one := range servers {
			if one.JetStreamIsLeader() && len(one.JetStreamClusterPeers()) == 3 {
				return "nats://" + url[1:] + "/EVENTS", stop, nil
			}
		}
	}
	stop()
	return "", nil, errors.New("the NATS cluster has no leader")
}

// StartServer starts a NATS server with JetStream on free ports.
func StartServer(options server.Options) (*server.Server, error) {
	options.JetStream, options.NoSigs = true, true
	options.Host, options.Port, options.HTTPHost, options.HTTPPort = "127.0.0.1", server.RANDOM_PORT, "127.0.0.1", server.RANDOM_PORT
	nats, err := server.NewServer(&options)
	if err != nil {
		return nil, err
	}
	nats.Start()
	if !nats.ReadyForConnections(10 * time.Second) {
		nats.Shutdown()
		return nil, errors.New("the NATS server does not start")
	}
	return nats, nil
}

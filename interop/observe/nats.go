package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

// nats is a NATS server with JetStream, in this process, that syncs each message.
type nats struct {
	server *natsserver.Server
	dir    string
}

func startNATS() (*nats, error) {
	dir, err := os.MkdirTemp("", "observe-nats-")
	if err != nil {
		return nil, err
	}
	n := &nats{dir: dir}
	n.server, err = natsserver.NewServer(&natsserver.Options{
		JetStream: true, NoSigs: true, NoLog: true, StoreDir: dir, SyncAlways: true, JetStreamMaxStore: 1 << 30,
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, HTTPHost: "127.0.0.1", HTTPPort: natsserver.RANDOM_PORT,
	})
	if err != nil {
		return nil, err
	}
	n.server.Start()
	if !n.server.ReadyForConnections(10 * time.Second) {
		return nil, errors.Join(errors.New("the NATS server does not start"), n.stop())
	}
	return n, nil
}

// url is the URL of a log in the server.
func (n *nats) url() string {
	return fmt.Sprintf("nats://%s/OBSERVE?max-bytes=200MB&monitor=http://%s", n.server.Addr(), n.server.MonitorAddr())
}

func (n *nats) stop() error {
	n.server.Shutdown()
	n.server.WaitForShutdown()
	return os.RemoveAll(n.dir)
}

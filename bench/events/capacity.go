//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"example.com/receiver/gen/receiverpb"
	"example.com/receiver/gen/receiverpb/receiverevents"
	"github.com/nats-io/nats-server/v2/server"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/bench/natscluster"
)

// The engines whose capacity is measured.
const (
	sqlite  = "sqlite"
	single  = "nats, 1 server"
	cluster = "nats, 3 servers"
)

// capacity prints what docs/capacity.md says of capacity: how many events an RPC
// takes, what they cost in time of a core, and what they take on disk.
func (b *bench) capacity(ctx context.Context, only string) error {
	b.row("engine", "event", "callers", "an RPC", "per core", "on disk", "GB a day at 1,000/s")
	for _, engine := range []string{sqlite, single, cluster} {
		if only != "" && only != engine {
			continue
		}
		for _, size := range []int{200, 1000} {
			for _, callers := range []int{1, 64, 512} {
				if err := b.capacityOf(ctx, engine, size, callers); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// capacityOf measures one row: client, server and storage are all in this process, so
// the time of a core is that of the three together.
func (b *bench) capacityOf(ctx context.Context, engine string, size, callers int) error {
	message, err := sized(size)
	if err != nil {
		return err
	}
	return inFolder(func(dir string) error {
		url, stop, err := storage(engine, dir)
		if err != nil {
			return err
		}
		defer stop()
		events, err := receiverevents.Open(ctx, url)
		if err != nil {
			return err
		}
		before := processorTime()
		perSecond, err := b.rpcOf(ctx, callers, storeIn(events), message)
		used := processorTime() - before
		if err := errors.Join(err, events.Close()); err != nil {
			return err
		}
		stored, n := bytesBelow(dir), float64(perSecond)*b.span.Seconds()
		each := float64(stored) / n
		b.row(engine, fmt.Sprintf("%d B", size), callers, perSecond, rate(n/used.Seconds()), fmt.Sprintf("%.0f B", each), fmt.Sprintf("%.0f", each*1000*86400/1e9))
		return nil
	})
}

// storage starts what an engine stores events in, and returns its URL.
func storage(engine, dir string) (url string, stop func(), err error) {
	switch engine {
	case single:
		nats, err := startJetStream(server.Options{StoreDir: dir, SyncAlways: true})
		if err != nil {
			return "", nil, err
		}
		return fmt.Sprintf("nats://%s/EVENTS?monitor=http://%s", nats.Addr(), nats.MonitorAddr()), nats.Shutdown, nil
	case cluster:
		return startCluster(dir)
	}
	return "sqlite:" + filepath.Join(dir, "events.db"), func() {}, nil
}

// startCluster starts three NATS servers in this process, and returns the URL of a log
// that all of them store.
func startCluster(dir string) (url string, stop func(), err error) { return natscluster.Start(dir) }

// sized returns an event that takes about a number of bytes.
func sized(bytes int) (*receiverpb.Event, error) {
	details, err := structpb.NewStruct(map[string]any{"text": strings.Repeat("x", bytes-60)})
	return &receiverpb.Event{Appid: "shop", Xwhen: 1795795200, Xwho: "customer-81723", Xwhat: "order.placed", Xcontext: details}, err
}

// processorTime returns how long cores have worked for this process.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// bytesBelow returns the size of all files in a folder.
func bytesBelow(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(at string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			if info, err := entry.Info(); err == nil {
				bytes += info.Size()
			}
		}
		return nil
	})
	return bytes
}

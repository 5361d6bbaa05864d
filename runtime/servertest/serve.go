// Package servertest tests services as they will run: in a real server, called
// over the wire, and on a real event log if they use one.
package servertest

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// Serve serves on a free port of this machine until the test ends, and returns
// the address.
//
// The test fails if a handler returns nil instead of a reply, if it takes a broken stream
// for a complete one, or if it still runs 5 seconds after its caller has gone. It also fails
// if an RPC leaves goroutines behind: after at least three of its calls, and half of them.
func Serve(t testing.TB, options ...server.Option) string {
	t.Helper()
	config := server.Defaults(t.Name())
	config.Addr = "127.0.0.1:0"
	config.LogLevel = slog.LevelError
	if failing.Load() {
		config.LogLevel++ // errors that a test causes on purpose are not logged
	}
	config.DrainTimeout = endTime + time.Second
	watch, watching := newWatch()
	running, err := server.Listen(config, append([]server.Option{watching}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- running.Serve(ctx) }()
	end := sync.OnceFunc(func() {
		stop()
		for _, fault := range watch.end(ended) {
			t.Error(fault)
		}
	})
	t.Cleanup(end)
	if t, ok := t.(*stoppable); ok {
		t.stop = end
	}
	return running.Addr()
}

// failing is true while a test starts a server in which a call is to fail on purpose.
var failing atomic.Bool

// stoppable is a test that stops its server before it ends.
type stoppable struct {
	testing.TB
	stop func() // set by Serve
}

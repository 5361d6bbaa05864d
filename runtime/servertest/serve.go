// Package servertest tests services as they will run: in a real server, called
// over the wire, and on a real event log if they use one.
package servertest

import (
	"context"
	"log/slog"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// Serve serves on a free port of this machine until the test ends, and returns
// the address.
func Serve(t testing.TB, options ...server.Option) string {
	t.Helper()
	config := server.Defaults(t.Name())
	config.Addr = "127.0.0.1:0"
	config.LogLevel = slog.LevelError
	running, err := server.Listen(config, options...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- running.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return running.Addr()
}

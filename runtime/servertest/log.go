//runtime:with eventlog

package servertest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
)

// Log opens an empty event log, and closes it when the test ends.
func Log(t testing.TB) eventlog.Log {
	t.Helper()
	log, err := eventlog.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "events.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

// Consume runs a consumer until it has handled every event in the log. The test
// fails if that takes more than 10 seconds, or if an event goes to the dead letters.
func Consume(t testing.TB, log eventlog.Log, name string, consume func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- consume(ctx) }()
	handled := waitUntilHandled(ctx, log, name)
	stop()
	if err := errors.Join(handled, <-ended); err != nil {
		t.Error(err)
	}
}

// consumeTimeout is how long a consumer may take to handle everything.
const consumeTimeout = 10 * time.Second

// waitUntilHandled waits until a consumer has nothing left to handle.
func waitUntilHandled(ctx context.Context, log eventlog.Log, name string) error {
	for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		stats, err := log.Stats(ctx)
		if err != nil {
			return err
		}
		for _, consumer := range stats.Consumers {
			switch {
			case consumer.Name != name:
			case consumer.Dead > 0:
				return fmt.Errorf("consumer %s gave up on %d events", name, consumer.Dead)
			case consumer.Lag == 0:
				return nil
			}
		}
		if time.Since(begin) > consumeTimeout {
			return fmt.Errorf("consumer %s has not handled everything within %s: %+v", name, consumeTimeout, stats.Consumers)
		}
	}
}

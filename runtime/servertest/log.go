//runtime:with eventlog

package servertest

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/file"
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
// fails if that takes more than 10 seconds, if an event goes to the dead letters, or
// if a handler has not returned 5 seconds after that.
func Consume(t testing.TB, log eventlog.Log, name string, consume func(context.Context) error) {
	t.Helper()
	for _, letter := range DeadLetters(t, log, name, consume) {
		t.Errorf("consumer %s gave up on the event %q at position %d: %s", name, letter.ID, letter.Position, letter.Reason)
	}
}

// DeadLetters does what [Consume] does, and returns the dead letters of the consumer by
// their positions. They don't make the test fail: it may expect them.
func DeadLetters(t testing.TB, log eventlog.Log, name string, consume func(context.Context) error) (letters []eventlog.DeadLetter) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- consume(ctx) }()
	handled := waitUntilHandled(ctx, log, name)
	stop()
	if handled != nil {
		t.Error(handled)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(endTimeout):
		t.Errorf("consumer %s has not ended within %s: a handler does not return", name, endTimeout)
	}
	for letter, err := range log.Dead(t.Context(), name) {
		if err != nil {
			t.Error(err)
			break
		}
		letters = append(letters, letter)
	}
	return letters
}

// consumeTimeout is how long a consumer may take to handle everything.
var consumeTimeout = 10 * time.Second

// endTimeout is how long a handler may go on after that.
var endTimeout = 5 * time.Second

// notHandled returns the error that says how far a consumer came.
func notHandled(name string, stats eventlog.Stats) error {
	for _, consumer := range stats.Consumers {
		switch failure := consumer.Failure; {
		case consumer.Name != name:
		case failure.Tries > 0:
			return fmt.Errorf("consumer %s has not handled everything within %s: the event %q at position %d failed %d times: %s",
				name, consumeTimeout, failure.ID, failure.Position, failure.Tries, failure.Reason)
		default:
			return fmt.Errorf("consumer %s has not handled everything within %s: it came to position %d of %d, and the next events have no result yet",
				name, consumeTimeout, consumer.Position, stats.Last)
		}
	}
	return fmt.Errorf("there is no consumer %s after %s: is it the name that Consume uses?", name, consumeTimeout)
}

// waitUntilHandled waits until a consumer has nothing left to handle.
func waitUntilHandled(ctx context.Context, log eventlog.Log, name string) error {
	for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		stats, err := log.Stats(ctx)
		if err != nil {
			return err
		}
		for _, consumer := range stats.Consumers {
			if consumer.Name == name && consumer.Lag == 0 {
				return nil
			}
		}
		if time.Since(begin) > consumeTimeout {
			return notHandled(name, stats)
		}
	}
}

package eventlog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// logLines collects what a consumer logs, a map for each line.
type logLines struct {
	mu    sync.Mutex
	lines []map[string]any
}

func (l *logLines) Write(line []byte) (int, error) {
	var fields map[string]any
	if err := json.NewDecoder(bytes.NewReader(line)).Decode(&fields); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fields)
	return len(line), nil
}

// at returns the lines of a level.
func (l *logLines) at(level slog.Level) (lines []map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if line["level"] == level.String() {
			lines = append(lines, line)
		}
	}
	return lines
}

// eventually waits until a condition is true.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for begin := time.Now(); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// failure returns what the only consumer of a log fails at.
func failure(t *testing.T, log eventlog.Log) eventlog.Failure {
	t.Helper()
	stats, err := log.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(stats.Consumers) == 0 {
		return eventlog.Failure{}
	}
	return stats.Consumers[0].Failure
}

// openMemory opens a log with events of these ids, each a sequence of its own.
func openMemory(t *testing.T, ids ...string) eventlog.Log {
	t.Helper()
	log, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	for _, id := range ids {
		if _, err := log.Append(t.Context(), eventlog.Event{ID: id, Type: "t", Subject: id, Schema: "s"}); err != nil {
			t.Fatal(err)
		}
	}
	return log
}

// A failing handler is seen at once: in the log the first time that an event fails,
// and in Stats, which names the first event that does, for as long as it does.
func TestFailuresAreReported(t *testing.T) {
	log := openMemory(t, "good", "bad", "worse")
	var mended sync.Map
	var logged logLines
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- eventlog.Consume(ctx, log, "mailer", func(_ context.Context, record eventlog.Record) error {
			if _, ok := mended.Load(record.ID); ok || record.ID == "good" {
				return nil
			}
			return errors.New("no route: " + strings.Repeat("é", 10_000))
		}, eventlog.Backoff(time.Millisecond, 5*time.Millisecond), eventlog.Tries(1_000_000),
			eventlog.Logger(slog.New(slog.NewJSONHandler(&logged, nil))))
	}()
	eventually(t, "Stats names the event", func() bool { return failure(t, log).Tries > 5 })
	if got := failure(t, log); got.Position != 2 || got.ID != "bad" || len(got.Reason) > 1024 || !strings.HasPrefix(got.Reason, "no route: é") ||
		time.Since(got.Since) > time.Minute {
		t.Errorf("it fails at %+v, want the event bad", got)
	}
	warnings := logged.at(slog.LevelWarn)
	if len(warnings) != 2 {
		t.Fatalf("logged %v, want one line for each of the two events", warnings)
	}
	for _, line := range warnings {
		reason, _ := line["error"].(string)
		if id := line["id"]; id != "bad" && id != "worse" || line["consumer"] != "mailer" || line["try"] != 1.0 || len(reason) > 1024 || !strings.HasPrefix(reason, "no route") {
			t.Errorf("logged %v", line)
		}
	}
	mended.Store("bad", true)
	eventually(t, "Stats names the next event", func() bool { return failure(t, log).ID == "worse" })
	mended.Store("worse", true)
	eventually(t, "Stats names none", func() bool { return failure(t, log) == eventlog.Failure{} })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := logged.at(slog.LevelWarn); len(got) != 2 {
		t.Errorf("logged %v, want two lines", got)
	}
}

// What a process left behind that was killed does not stay when it is no longer so.
func TestAFailureOfBeforeIsForgotten(t *testing.T) {
	log := openMemory(t, "one", "two")
	hold, err := log.Hold(t.Context(), "mailer")
	if err == nil {
		err = errors.Join(hold.Commit(t.Context(), 1), hold.SetFailure(t.Context(), eventlog.Failure{Position: 2, ID: "two", Tries: 3}), hold.Release())
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- eventlog.Consume(ctx, log, "mailer", func(context.Context, eventlog.Record) error { return nil })
	}()
	eventually(t, "Stats names none", func() bool { return failure(t, log) == eventlog.Failure{} })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A batch that fails is one line; the event that makes it fail is another.
func TestAFailureOfABatchIsReported(t *testing.T) {
	log := openMemory(t, "a", "b", "bad", "c")
	var logged logLines
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- eventlog.ConsumeBatches(ctx, log, "mailer", func(_ context.Context, records []eventlog.Record) error {
			for _, record := range records {
				if record.ID == "bad" {
					return errors.New("no route")
				}
			}
			return nil
		}, eventlog.Backoff(time.Millisecond, 5*time.Millisecond), eventlog.Tries(1_000_000),
			eventlog.Logger(slog.New(slog.NewJSONHandler(&logged, nil))))
	}()
	eventually(t, "Stats names the event", func() bool { return failure(t, log).ID == "bad" && failure(t, log).Tries > 3 })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	var batches, alone int
	for _, line := range logged.at(slog.LevelWarn) {
		if _, ok := line["events"]; ok {
			batches++
		} else if line["id"] == "bad" {
			alone++
		} else {
			t.Errorf("logged %v", line)
		}
	}
	if batches > 1 || alone != 1 {
		t.Errorf("%d lines about batches and %d about the event, want at most one and one", batches, alone)
	}
}

// TestOnceTriesEachEventOnce, whatever the consumer's options are, and the dead letter of a
// panic says where that was.
func TestOnceTriesEachEventOnce(t *testing.T) {
	log := openMemory(t, "a", "b", "c")
	ctx, stop := context.WithCancel(eventlog.Once(t.Context()))
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- eventlog.Consume(ctx, log, "mailer", func(_ context.Context, record eventlog.Record) error {
			switch record.ID {
			case "a":
				return errors.New("no route")
			case "b":
				_ = strings.Fields(record.ID)[1]
			}
			return nil
		}, eventlog.Tries(5), eventlog.Logger(slog.New(slog.DiscardHandler)))
	}()
	eventually(t, "all are handled", func() bool {
		stats, err := log.Stats(t.Context())
		return err == nil && len(stats.Consumers) == 1 && stats.Consumers[0].Lag == 0
	})
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	var reasons []string
	for letter, err := range log.Dead(t.Context(), "mailer") {
		if err != nil || letter.Tries != 1 {
			t.Errorf("%s was tried %d times (%v), want once", letter.ID, letter.Tries, err)
		}
		reasons = append(reasons, letter.Reason)
	}
	if len(reasons) != 2 || reasons[0] != "no route" || !strings.HasPrefix(reasons[1], "panic: runtime error: index out of range [1] with length 1 (failure_test.go:") {
		t.Errorf("the reasons are %q", reasons)
	}
}

package nats_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// openStream opens a log of five events, and returns its stream, too.
func openStream(t *testing.T, parameters string) (eventlog.Log, jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	s := start(t, &server.Options{})
	log := open(t, "nats://"+hosts(s)+"/EVENTS?durability=none"+parameters)
	for i := range 5 {
		if _, err := log.Append(t.Context(), event(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := nats.Connect(hosts(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	return log, js, stream
}

func TestRemovedEventsAreSkipped(t *testing.T) {
	t.Parallel()
	log, _, stream := openStream(t, "")
	for _, position := range []uint64{3, 5} {
		if err := stream.DeleteMsg(t.Context(), position); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // it reaches the end, and does not wait for more
	defer cancel()
	began := time.Now()
	var ids []string
	for record, err := range log.Read(ctx, eventlog.From{}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, record.ID)
	}
	if !slices.Equal(ids, []string{"0", "1", "3"}) {
		t.Errorf("read %v", ids)
	}
	for since, want := range map[time.Time]int{
		{}: 3, began.Add(-time.Hour): 3, began.Add(time.Hour): 0,
		time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC): 3, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC): 0,
	} {
		count := 0
		for _, err := range log.Read(t.Context(), eventlog.Since(since)) {
			if err != nil {
				t.Fatal(err)
			}
			count++
		}
		if count != want {
			t.Errorf("since %v it reads %d events, want %d", since, count, want)
		}
	}
	hold, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	if err := hold.Commit(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if stats, err := log.Stats(t.Context()); err != nil || stats.Events != 3 || stats.Consumers[0].Lag != 2 {
		t.Errorf("%+v, %v", stats, err)
	}
	// It can't be compared with the original any longer.
	_, err = log.Append(t.Context(), event("2"))
	if !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), `source "shop", id "2" was stored before at position 3 and has been removed since`) {
		t.Errorf("got %v, want that its original was removed", err)
	}
}

// An event is known as a duplicate within the stream's window, and stored again
// after it.
func TestDuplicatesAreKnownWithinTheWindow(t *testing.T) {
	t.Parallel()
	log, _, _ := openStream(t, "&timeout=4s&window=8s")
	receipts, err := log.Append(t.Context(), event("4"))
	if err != nil || !receipts[0].Duplicate {
		t.Fatalf("%+v, %v", receipts, err)
	}
	eventually(t, "it is stored again", func() bool {
		receipts, err = log.Append(t.Context(), event("4"))
		return err != nil || !receipts[0].Duplicate
	})
	if err != nil || receipts[0].Position != 6 {
		t.Errorf("%+v, %v", receipts, err)
	}
}

// TestMessagesThatAreNotEventsArePassedOver checks that what another program has
// published to the stream stops nobody: it is logged once by each who reads.
func TestMessagesThatAreNotEventsArePassedOver(t *testing.T) {
	t.Parallel()
	log, js, _ := openStream(t, "")
	publish := func() {
		t.Helper()
		if _, err := js.Publish(t.Context(), "EVENTS.0.shop", []byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	publish()
	if _, err := log.Append(t.Context(), event("5")); err != nil {
		t.Fatal(err)
	}
	publish()
	want := []string{"0", "1", "2", "3", "4", "5"}
	for name, read := range map[string]func(*slog.Logger) []string{
		"read": func(logger *slog.Logger) (ids []string) {
			for record, err := range log.Read(t.Context(), eventlog.From{Logger: logger}) {
				if err != nil {
					t.Error(err)
				}
				ids = append(ids, record.ID)
			}
			return ids
		},
		"tail": func(logger *slog.Logger) (ids []string) {
			for record, err := range log.Tail(t.Context(), eventlog.From{Logger: logger}) {
				if err != nil {
					t.Error(err)
				}
				if ids = append(ids, record.ID); len(ids) == 6 {
					break
				}
			}
			return ids
		},
		"consume": func(logger *slog.Logger) (ids []string) {
			ctx, cancel := context.WithCancel(t.Context())
			err := eventlog.Consume(ctx, log, "mailer", func(_ context.Context, record eventlog.Record) error {
				if ids = append(ids, record.ID); len(ids) == 6 {
					cancel()
				}
				return nil
			}, eventlog.Logger(logger), eventlog.Concurrency(1))
			if err != nil {
				t.Error(err)
			}
			return ids
		},
	} {
		var out strings.Builder
		if got := read(slog.New(slog.NewTextHandler(&out, nil))); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		if lines := out.String(); strings.Count(lines, "level=WARN") != strings.Count(lines, "not an event, and is passed over") || strings.Count(lines, "position=6 ") != 1 || strings.Count(lines, "position=8 ") > 1 {
			t.Errorf("%s: logged\n%s", name, lines)
		}
	}
}

// If its stream is changed while a log is open, its methods report that.
func TestChangedStreamIsReported(t *testing.T) {
	t.Parallel()
	log, js, stream := openStream(t, "")
	config := stream.CachedInfo().Config
	config.Discard, config.MaxMsgs = jetstream.DiscardOld, 3
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if err := log.Check(t.Context()); !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), "max_msgs is 3, want -1") {
		t.Errorf("got %v, want that the stream was changed", err)
	}
	if err := js.DeleteStream(t.Context(), "EVENTS"); err != nil {
		t.Fatal(err)
	}
	for _, err := range log.Tail(t.Context(), eventlog.From{}) {
		if !errors.Is(err, eventlog.ErrUnavailable) {
			t.Errorf("tail: got %v, want that the stream does not exist", err)
		}
	}
}

// A full stream may be given more room by a change of its configuration. That change
// is not refused as others are.
func TestFullStreamMayGetMoreRoom(t *testing.T) {
	t.Parallel()
	log, js, stream := openStream(t, "&max-bytes=20000")
	var err error
	for i := 5; err == nil; i++ {
		_, err = log.Append(t.Context(), event(fmt.Sprint(i)))
	}
	if !errors.Is(err, eventlog.ErrFull) {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.MaxBytes = 1 << 20
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if err := log.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	if _, err := log.Append(t.Context(), event("more")); err != nil {
		t.Errorf("append: %v", err)
	}
}

// Stats of a consumer that commits while they are collected never have an earlier
// position than before.
func TestPositionInStatsNeverGoesBack(t *testing.T) {
	t.Parallel()
	log, _, _ := openStream(t, "&timeout=1m")
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() {
		_ = eventlog.Consume(ctx, log, "mailer", func(context.Context, eventlog.Record) error { return nil }, eventlog.Logger(slog.New(slog.DiscardHandler)))
	})
	group.Go(func() {
		for i := 5; ctx.Err() == nil; i++ {
			_, _ = log.Append(ctx, event(fmt.Sprint(i)))
		}
	})
	began := time.Now() // on a slow machine fewer calls have to do
	for position, calls := eventlog.Position(0), 0; calls < 100 || calls < 1000 && time.Since(began) < 10*time.Second; calls++ {
		stats, err := log.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(stats.Consumers) == 0 {
			continue
		}
		if now := stats.Consumers[0].Position; now < position {
			t.Fatalf("the position is %d, and was %d", now, position)
		} else {
			position = now
		}
	}
}

// What is free is what the limits of the stream and of the account leave.
func TestStatsHaveWhatIsFree(t *testing.T) {
	s := start(t, &server.Options{})
	for parameters, limited := range map[string]bool{"": false, "&max-bytes=20000": true} {
		log := open(t, "nats://"+hosts(s)+"/"+newStream()+"?durability=none"+parameters)
		append := func(id string) eventlog.Stats {
			t.Helper()
			if _, err := log.Append(t.Context(), event(id)); err != nil {
				t.Fatal(err)
			}
			stats, err := log.Stats(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return stats
		}
		stats := append("a")
		if (stats.Free != nil) != limited || limited && *stats.Free != 20000-stats.Bytes {
			t.Errorf("with %q: %v is free, of %d bytes", parameters, stats.Free, stats.Bytes)
		}
	}
}

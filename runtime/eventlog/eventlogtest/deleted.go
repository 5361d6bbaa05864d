package eventlogtest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// logged is a logger and what was logged with it.
type logged struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(line)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// passesOverDeletedEvents checks that whoever reads on behind events that were deleted
// gets those after them, and that this is logged once.
func (e Engine) passesOverDeletedEvents(t *testing.T) {
	if e.Delete == nil {
		t.Skip("this engine keeps everything")
	}
	url := e.URL(t)
	log := open(t, url)
	receipts := mustAppend(t, log, events("e", 6)...)
	hold, err := log.Hold(within(t), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	if err := hold.Commit(within(t), receipts[1].Position); err != nil {
		t.Fatal(err)
	}
	if err := hold.Release(); err != nil {
		t.Fatal(err)
	}
	e.Delete(t, url, receipts[3].Position)
	want := fmt.Sprintf("level=WARN msg=\"events were deleted before they were read, and are passed over\" %%sfirst=%d last=%d count=2\n",
		receipts[2].Position, receipts[3].Position)
	for name, follow := range map[string]func(*slog.Logger) []string{
		"read": func(logger *slog.Logger) []string {
			return idsOf(mustRead(t, log, eventlog.From{After: receipts[1].Position, Logger: logger}))
		},
		"tail": func(logger *slog.Logger) []string {
			ids, err := follow(log.Tail(within(t), eventlog.From{After: receipts[1].Position, Logger: logger}), func(record eventlog.Record) bool {
				return record.ID != "e5"
			})
			if err != nil {
				t.Error(err)
			}
			return ids
		},
		"consume": func(logger *slog.Logger) (ids []string) {
			var mu sync.Mutex
			consumer := consume(t, func(ctx context.Context) error {
				return eventlog.Consume(ctx, log, "mailer", func(_ context.Context, record eventlog.Record) error {
					mu.Lock()
					defer mu.Unlock()
					ids = append(ids, record.ID)
					return nil
				}, eventlog.Logger(logger))
			})
			eventually(t, "all is handled", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(ids) == 2
			})
			consumer.stop(t)
			return ids
		},
	} {
		var out logged
		if got := follow(out.logger()); !slices.Equal(got, []string{"e4", "e5"}) {
			t.Errorf("%s: got %v, want [e4 e5]", name, got)
		}
		attributes := ""
		if name == "consume" {
			attributes = "consumer=mailer "
		}
		if lines := out.String(); strings.Count(lines, "passed over") != 1 || !strings.Contains(lines, fmt.Sprintf(want, attributes)) {
			t.Errorf("%s: logged\n%swant\n%s", name, lines, fmt.Sprintf(want, attributes))
		}
	}
	for _, from := range []eventlog.From{{}, eventlog.After(receipts[3].Position)} { // nothing is missing
		var out logged
		from.Logger = out.logger()
		if got := idsOf(mustRead(t, log, from)); !slices.Equal(got, []string{"e4", "e5"}) || out.String() != "" {
			t.Errorf("from %d: got %v, and logged %s", from.After, got, out.String())
		}
	}
}

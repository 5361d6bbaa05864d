package eventlog_test

import (
	"context"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/memory"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
)

func TestURLsWithoutAnEngine(t *testing.T) {
	for url, want := range map[string]string{
		"mysql:secret":        "event log mysql:…: want memory:… or sqlite:… (this program imports no other engine)",
		"nats://host/EVENTS":  "event log nats:…: want memory:… or sqlite:… (this program imports no other engine)",
		"events.db":           `event log "events.db": want memory:… or sqlite:…`,
		"user@host":           "event log …: want memory:… or sqlite:…",
		"":                    `event log "": want memory:… or sqlite:…`,
		":memory:?cache=none": "event log :…: want memory:… or sqlite:…",
	} {
		for name, open := range map[string]func(context.Context, string) (eventlog.Log, error){"Open": eventlog.Open, "OpenReader": eventlog.OpenReader} {
			if _, err := open(t.Context(), url); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s %q: got %v, want %s", name, url, err, want)
			}
		}
	}
}

func TestASchemeIsRegisteredOnce(t *testing.T) {
	defer func() {
		if cause := recover(); cause == nil || !strings.Contains(cause.(string), `two engines for the scheme "sqlite"`) {
			t.Errorf("got %v, want a panic that names the scheme", cause)
		}
	}()
	eventlog.Register(func(context.Context, string, eventlog.Mode) (eventlog.Log, error) { return nil, nil }, "sqlite")
}

func TestReasonsAreCut(t *testing.T) {
	for reason, want := range map[string]string{
		"":                         "",
		"no route":                 "no route",
		"a\xffb":                   "ab",
		strings.Repeat("x", 1025):  strings.Repeat("x", 1024),
		strings.Repeat("€", 342):   strings.Repeat("€", 341), // not in the middle of a letter
		strings.Repeat("ü", 10000): strings.Repeat("ü", 512),
	} {
		if got := eventlog.CutReason(reason); got != want {
			t.Errorf("%.20q of %d bytes: got %d bytes, want %d", reason, len(reason), len(got), len(want))
		}
	}
}

func TestBytesOfURLs(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "5000": 5000, "64KB": 64 << 10, "500MB": 500 << 20, "10GB": 10 << 30, "2TB": 2 << 40} {
		if got, err := eventlog.ParseBytes(text); got != want || err != nil {
			t.Errorf("%s: got %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "GB", "1.5GB", "10 GB", "10gb", "9999999999TB", "9223372036854775808", "-1", "-9223372036854775807TB"} {
		if got, err := eventlog.ParseBytes(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

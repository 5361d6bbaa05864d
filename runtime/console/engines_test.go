package console

import (
	"path/filepath"
	"testing"

	nats "github.com/nats-io/nats-server/v2/server"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/nats"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
)

// TestEveryEngine shows events, dead letters and schemas of the logs of the other engines.
func TestEveryEngine(t *testing.T) {
	for name, url := range map[string]func(*testing.T) string{
		"sqlite": func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "events.db") },
		"nats":   func(t *testing.T) string { return startNATS(t) + "/EVENTS?durability=none" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, err := eventlog.Open(t.Context(), url(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { log.Close() })
			r := serveLog(t, log, Write, local)
			r.add(t)
			next := r.follow(t, "")
			for f := next(); len(f.Rows) == 0; f = next() {
			}
			r.add(t)
			f := next()
			for ; len(f.Rows) == 0; f = next() {
			}
			at := f.Rows[0].Position
			if f.Seen != 1 || f.Left != 0 || at < 2 {
				t.Errorf("the frame is %+v", f)
			}
			bill(t, r, 2)
			dead := decoded[letters](t, r, "api/dead?log=events")
			if len(dead.Letters) != 2 || dead.Letters[1].Position != at || dead.Letters[1].Problem != "" {
				t.Errorf("the dead letters are %+v", dead)
			}
			if code, text := r.ask(t, "POST", "api/retry", retryAll); code != 200 || text != `{"retried":2}` {
				t.Errorf("to retry: %d %s", code, text)
			}
			schemas := decoded[struct{ Schemas []schemaUse }](t, r, "api/schemas")
			if len(schemas.Schemas) != 1 || schemas.Schemas[0].Events != 2 || schemas.Schemas[0].Last != at {
				t.Errorf("the schemas are %+v", schemas)
			}
			if got := decoded[state](t, r, "api/state"); got.Log.Events != 2 || got.Log.Last != at {
				t.Errorf("the state is %+v", got)
			}
		})
	}
}

// startNATS starts a server in this process, and returns its URL.
func startNATS(t *testing.T) string {
	t.Helper()
	s, err := nats.NewServer(&nats.Options{Host: "127.0.0.1", Port: nats.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(testTimeout) {
		t.Fatal("the NATS server does not start")
	}
	return s.ClientURL()
}

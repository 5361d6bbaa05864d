// Package console tests the console of a generated server with Chromium: that of
// examples/receiver, whose pages it looks at, and uses by keyboard.
package console

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/receiver/gen/receiverpb"
	"example.com/receiver/gen/receiverpb/receiverclient"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/interop/orders"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
)

// patience bounds how long something may take that must happen.
const patience = time.Minute

// program is the built server, in a folder that TestMain removes.
var program = sync.OnceValues(func() (string, error) {
	repository, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", err
	}
	if folder, err = os.MkdirTemp("", "console-*"); err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", folder, "./cmd/receiver-server")
	build.Dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(repository))), "examples", "receiver")
	build.Stderr = os.Stderr
	return filepath.Join(folder, "receiver-server"), build.Run()
})

var folder string

func TestMain(m *testing.M) {
	code := m.Run()
	if folder != "" {
		_ = os.RemoveAll(folder)
	}
	os.Exit(code)
}

// running is a server of examples/receiver.
type running struct {
	addr, page string
	client     receiverpb.ReceiverClient
	process    *os.Process
	args       []string // of the program, which is the first
	folder     string
	kill       func() // and wait

	mu  sync.Mutex
	log strings.Builder
}

func (s *running) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(text)
}

func (s *running) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

var (
	serving        = regexp.MustCompile(`msg=serving addr=(\S+)`)
	servingConsole = regexp.MustCompile(`msg="serving the console" url=(\S+)`)
)

// start runs a server with a log until the test ends.
func start(t testing.TB, log string, flags ...string) *running {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := &running{folder: t.TempDir()}
	s.args = append([]string{path, "--addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0", "--console", "write", "--events", log}, flags...)
	s.launch(t)
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the server's log:\n%s", tail(s.logged()))
		}
	})
	for deadline := time.Now().Add(patience); !slices.Contains(flags, "--log-level"); time.Sleep(5 * time.Millisecond) {
		grpc, page := serving.FindStringSubmatch(s.logged()), servingConsole.FindStringSubmatch(s.logged())
		if grpc != nil && page != nil {
			s.addr, s.page = grpc[1], page[1]
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server does not serve:\n%s", s.logged())
		}
	}
	if slices.Contains(flags, "--keys") || slices.Contains(flags, "--log-level") {
		return s
	}
	s.dial(t)
	return s
}

// launch starts the process of the server, or another one.
func (s *running) launch(t testing.TB) {
	command := exec.Command(s.args[0], s.args[1:]...)
	command.Dir, command.Stdout, command.Stderr = s.folder, s, s
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	s.process = command.Process
	s.kill = sync.OnceFunc(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // it was killed
	})
}

// startQuiet runs a server that does not log each event, at addresses that were free.
func startQuiet(t testing.TB, log string) *running {
	t.Helper()
	var addrs [2]string
	for i := range addrs {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		addrs[i] = listener.Addr().String()
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, log, "--log-level", "warn", "--addr", addrs[0], "--ops-addr", addrs[1])
	s.addr, s.page = addrs[0], "http://"+addrs[1]+"/console/"
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", s.addr)
		if err == nil {
			_ = conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	s.dial(t)
	return s
}

// dial connects a client.
func (s *running) dial(t testing.TB) {
	t.Helper()
	client, err := receiverclient.Dial(t.Context(), s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	s.client = client.Receiver()
}

func tail(text string) string { return text[max(0, len(text)-4000):] }

// Texts that must be seen, and do nothing.
const (
	markup   = `<script>window.attacked=1</script><img src=x onerror="window.attacked=1">`
	ansi     = "\x1b[31mred\x1b[0m"
	reversed = "user\u202etxt.exe"
)

// prepare makes a log with hostile texts in every field, and dead letters: those of the
// consumer Receiver, which the server runs, and of another one, which nobody does.
func prepare(t testing.TB) (url string) {
	t.Helper()
	url = "sqlite:" + filepath.Join(t.TempDir(), "events.db")
	log, err := eventlog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	context, err := structpb.NewStruct(map[string]any{markup: markup, "ansi": ansi, "reversed": reversed, "amount": 12.5})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		hostile := &receiverpb.Event{Appid: markup + ansi, Xwho: reversed + "\nsecond line", Xwhat: markup + ansi, Xcontext: context}
		id := []string{markup + ansi, "second", "third"}[i]
		if _, err := eventlog.AppendMessages(t.Context(), log, []*receiverpb.Event{hostile}, func(e *receiverpb.Event) eventlog.Event {
			return eventlog.Event{ID: id, Source: e.Appid, Type: e.Xwhat, Subject: e.Xwho, Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"Receiver", "billing"} {
		refuse(t, log, name, 3)
	}
	return url
}

// refuse has a consumer give up on all events.
func refuse(t testing.TB, log eventlog.Log, name string, events int) {
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- eventlog.Consume(ctx, log, name, func(context.Context, eventlog.Record) error {
			return eventlog.GiveUp(errorText("the table " + markup + ansi + " is missing"))
		}, eventlog.Logger(slog.New(slog.DiscardHandler)))
	}()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		stats, err := log.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		dead := 0
		for _, consumer := range stats.Consumers {
			if consumer.Name == name {
				dead = int(consumer.Dead)
			}
		}
		if dead == events {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("consumer %s has %d dead letters, want %d", name, dead, events)
		}
	}
	stop()
	<-done
}

type errorText string

func (e errorText) Error() string { return string(e) }

// receive sends an event.
func (s *running) receive(t testing.TB, kind, subject string) {
	t.Helper()
	if _, err := s.client.Receive(t.Context(), &receiverpb.Event{Appid: "shop", Xwhat: kind, Xwho: subject}); err != nil {
		t.Fatal(err)
	}
}

// axe returns the source of axe-core.
func axe(t testing.TB) string {
	path := filepath.Join(orders.Repository(t), ".tools", "interop", "node_modules", "axe-core", "axe.min.js")
	source, err := os.ReadFile(path)
	if err != nil {
		orders.Missing(t, path, "install Node 20 or later with npm, then make tools")
	}
	return string(source)
}

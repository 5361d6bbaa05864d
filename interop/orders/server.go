package orders

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server is a running server.
type Server struct {
	GRPC, HTTP string // where it listens: host and port

	mu  sync.Mutex
	log strings.Builder
}

// patience bounds how long a server takes until it serves.
const patience = time.Minute

// Start runs the server with its log in memory, on loopback, until the test ends.
func Start(t testing.TB, flags ...string) *Server {
	t.Helper()
	s := new(Server)
	command := exec.Command(Program(t), append([]string{"--addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--ops-addr", "", "--events", "memory:"}, flags...)...)
	command.Dir, command.Stdout, command.Stderr = t.TempDir(), s, s
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var exit error
	ended := make(chan struct{})
	go func() {
		exit = command.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.Log())
		}
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		grpc, http := servingGRPC.FindStringSubmatch(s.Log()), servingHTTP.FindStringSubmatch(s.Log())
		if grpc != nil && http != nil {
			s.GRPC, s.HTTP = grpc[1], http[1]
			return s
		}
		select {
		case <-ended:
			t.Fatalf("the server ended: %v", exit)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("the server does not serve")
		}
	}
}

// What the server logs once it listens.
var (
	servingGRPC = regexp.MustCompile(`msg=serving addr=(\S+)`)
	servingHTTP = regexp.MustCompile(`msg="serving HTTP" addr=(\S+)`)
)

// Write takes what the server prints.
func (s *Server) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

// Log returns what the server has printed so far.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// Keys makes a file with one API key, which is for the source "web-shop" and for tails, and
// returns the file and the key.
func Keys(t testing.TB) (file, key string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "keys")
	key = Output(t, ".", Program(t), "keys", "add", "client", "--source", "web-shop", "--tails", "--keys", file)
	return file, strings.TrimSpace(key)
}

// writeFile writes a file into a folder of the test, and returns its path.
func writeFile(t testing.TB, name string, text []byte) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(at, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return at
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"
)

// server is a generated server, as a process of its own.
type server struct {
	command         *exec.Cmd
	addr, http, ops string
	log             *buffer
	ended           chan struct{} // closed once the process has ended
}

// buffer is what a process has printed so far.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start is how a server is started.
type start struct {
	flags, environment []string
	// diskBytes is the size of the file system that data is on, which is a folder in that
	// of the server; 0 for the one of this machine.
	diskBytes int
}

// addresses are those at which a server listens.
type addresses struct{ grpc, http, ops string }

func freeAddresses() (a addresses, err error) {
	for _, addr := range []*string{&a.grpc, &a.http, &a.ops} {
		if *addr, err = freeAddr(); err != nil {
			return a, err
		}
	}
	return a, nil
}

// startServer starts a server in the folder dir, and waits until it is alive.
func startServer(ctx context.Context, program, dir string, at addresses, how start) (*server, error) {
	s := &server{addr: at.grpc, http: at.http, ops: at.ops, log: &buffer{}, ended: make(chan struct{})}
	args := append([]string{program, "--addr", at.grpc, "--http-addr", at.http, "--ops-addr", at.ops}, how.flags...)
	if how.diskBytes > 0 {
		// The small file system is seen by this process alone, and ends with it.
		args = append([]string{"unshare", "--map-root-user", "--mount", "sh", "-c",
			fmt.Sprintf(`mount -t tmpfs -o size=%d tmpfs data && exec "$@"`, how.diskBytes), "sh"}, args...)
		if err := os.MkdirAll(filepath.Join(dir, "data"), 0o755); err != nil {
			return nil, err
		}
	}
	s.command = exec.CommandContext(ctx, args[0], args[1:]...)
	s.command.Dir, s.command.Stdout, s.command.Stderr = dir, s.log, s.log
	s.command.Env = append(os.Environ(), how.environment...)
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.command.Wait() // the log says why
		close(s.ended)
	}()
	if err := s.await("/livez", ""); err != nil {
		_ = s.command.Process.Kill()
		return nil, err
	}
	return s, nil
}

// page returns a page of the ops port.
func (s *server) page(path string) (string, error) {
	answer, err := http.Get("http://" + s.ops + path)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s\n%s", path, answer.Status, body)
	}
	return string(body), err
}

// await waits until a page of the ops port is OK and has a text that matches.
func (s *server) await(path, pattern string) error {
	want := regexp.MustCompile(pattern)
	var body string
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case <-s.ended:
			return fmt.Errorf("the server has ended:\n%s", s.log.last())
		default:
		}
		if body, err = s.page(path); err == nil && want.MatchString(body) {
			return nil
		}
	}
	return fmt.Errorf("%s of the server has no %s; error %v\n%s", path, pattern, err, s.log.last())
}

// measures waits until a line of the metrics matches.
func (s *server) measures(pattern string) error { return s.await("/metrics", pattern) }

// stop stops the server at once.
func (s *server) stop() error {
	select {
	case <-s.ended:
		return nil
	default:
	}
	err := s.command.Process.Signal(syscall.SIGKILL)
	<-s.ended
	return err
}

// last returns the last lines of what a process has printed.
func (b *buffer) last() string {
	text := b.String()
	return text[max(0, len(text)-4000):]
}

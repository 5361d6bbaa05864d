//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/moduleproxy"
)

// A newcomer works in a folder, one command at a time.
type newcomer struct {
	ctx     context.Context // its commands end with it
	root    string          // of this repository
	dir     string
	env     []string
	tools   string // the log of the tools of the Go command
	modules string // the module cache, if it was empty at the beginning
	proxy   moduleproxy.Proxy
	steps   []step
	first   int // how many steps led to the first event that was acknowledged, 0 if none was
	servers []*server
}

// A step is a command of the newcomer, or an edit.
type step struct {
	what  string
	edit  bool
	rest  string // what it does while no tool of the Go command runs
	start time.Time
	took  time.Duration
	cpu   time.Duration // of all its processes; 0 for a server
}

// newNewcomer returns a newcomer in the new, empty folder dir. With cold, nothing was ever
// downloaded or compiled.
func newNewcomer(ctx context.Context, dir, root string, proxy moduleproxy.Proxy, cold bool) (*newcomer, error) {
	n := &newcomer{ctx: ctx, root: root, dir: filepath.Join(dir, "work"), tools: filepath.Join(dir, "tools.json"), proxy: proxy}
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	proxyEnv, err := proxy.Env()
	if err != nil {
		return nil, err
	}
	flags, err := exec.Command("go", "env", "GOFLAGS").Output()
	if err != nil {
		return nil, err
	}
	// make puts programs of this repository on PATH, which nobody else has there.
	path := slices.DeleteFunc(filepath.SplitList(os.Getenv("PATH")), func(dir string) bool {
		return strings.HasPrefix(dir, root)
	})
	bin := filepath.Join(dir, "bin")
	n.env = slices.Concat(os.Environ(), proxyEnv, []string{
		"GOBIN=" + bin,
		"PATH=" + strings.Join(append([]string{bin}, path...), string(filepath.ListSeparator)),
		"GOFLAGS=" + strings.TrimSpace(string(flags)) + " -toolexec=" + self,
		toolLog + "=" + n.tools,
		"MAKEFLAGS=", "MAKELEVEL=", "GOWORK=off",
	})
	if cold {
		n.modules = filepath.Join(dir, "modules")
		n.env = append(n.env, "GOMODCACHE="+n.modules, "GOCACHE="+filepath.Join(dir, "builds"), "GOPATH="+filepath.Join(dir, "go"))
	}
	return n, nil
}

// freePort returns a port on which nothing listens, so that no other server is in the way.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return "", err
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port, listener.Close()
}

// run runs a command, and returns what it prints. While it runs no tool of the Go command,
// it does rest.
func (n *newcomer) run(rest, command string) (string, error) {
	var out bytes.Buffer
	shell := n.shell(command, &out)
	start := time.Now()
	err := shell.Run()
	took := time.Since(start)
	s := step{what: command, rest: rest, start: start, took: took}
	if state := shell.ProcessState; state != nil {
		s.cpu = state.UserTime() + state.SystemTime()
	}
	n.add(s)
	if err != nil {
		return out.String(), fmt.Errorf("%s: %w\n%s", command, err, out.String())
	}
	return out.String(), nil
}

// add adds a step, and prints it.
func (n *newcomer) add(s step) {
	n.steps = append(n.steps, s)
	if s.edit {
		fmt.Printf("%7s    edit %s\n", "", s.what)
	} else {
		fmt.Printf("%7.1f s  %s\n", s.took.Seconds(), s.what)
	}
}

func (n *newcomer) shell(command string, out io.Writer) *exec.Cmd {
	shell := exec.CommandContext(n.ctx, "sh", "-ec", command)
	shell.Dir, shell.Env, shell.Stdout, shell.Stderr = n.dir, n.env, out, out
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it starts is stopped with it
	shell.Cancel = func() error { return syscall.Kill(-shell.Process.Pid, syscall.SIGINT) }
	return shell
}

// acknowledged is to be called after the first event was acknowledged.
func (n *newcomer) acknowledged() { n.first = len(n.steps) }

// A server is a command that runs until it is stopped.
type server struct {
	command *exec.Cmd
	out     output
	ended   chan error
}

// patience is how long to wait for a text that a server is to print. It is much longer
// than that takes on any machine.
const patience = 5 * time.Minute

// start starts a command, and waits until it has printed the text.
func (n *newcomer) start(command, text string) (*server, error) {
	s := &server{ended: make(chan error, 1)}
	s.command = n.shell(command, &s.out)
	start := time.Now()
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	go func() { s.ended <- s.command.Wait() }()
	n.servers = append(n.servers, s)
	err := s.wait(text)
	n.add(step{what: command, rest: "starting", start: start, took: time.Since(start)})
	return s, err
}

// wait waits until the server has printed the text.
func (s *server) wait(text string) error {
	for end := time.Now().Add(patience); !strings.Contains(s.out.String(), text); time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-s.ended:
			s.ended <- err
			return fmt.Errorf("%s has ended (%v), and not printed %q:\n%s", s.command.Args[2], err, text, s.out.String())
		default:
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s has not printed %q:\n%s", s.command.Args[2], text, s.out.String())
		}
	}
	return nil
}

// stop stops the server as Ctrl-C does, and waits for its end.
func (s *server) stop() error {
	if err := syscall.Kill(-s.command.Process.Pid, syscall.SIGINT); err != nil {
		if err == syscall.ESRCH {
			return nil // it has ended
		}
		return err
	}
	err := <-s.ended
	s.ended <- err
	return nil
}

// leave stops every server that still runs.
func (n *newcomer) leave() error {
	for _, s := range n.servers {
		if err := s.stop(); err != nil {
			return err
		}
	}
	return nil
}

// output is what a program prints while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// replace edits a file: each text in pairs is replaced by the one that follows it.
func (n *newcomer) replace(name string, pairs ...string) error {
	path := filepath.Join(n.dir, name)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for pair := range slices.Chunk(pairs, 2) {
		if strings.Count(string(text), pair[0]) != 1 {
			return fmt.Errorf("%s has not exactly once %q:\n%s", name, pair[0], text)
		}
		text = []byte(strings.Replace(string(text), pair[0], pair[1], 1))
	}
	return n.write(name, string(text))
}

// write edits a file as a whole.
func (n *newcomer) write(name, text string) error {
	path := filepath.Join(n.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	n.add(step{what: name, edit: true, start: time.Now()})
	return nil
}

// expect returns an error if what a command printed has not all of the texts.
func expect(printed string, texts ...string) error {
	for _, text := range texts {
		if !strings.Contains(printed, text) {
			return fmt.Errorf("it does not print %q:\n%s", text, printed)
		}
	}
	return nil
}

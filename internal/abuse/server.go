//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// server is a generated server, as a process of its own.
type server struct {
	command *exec.Cmd
	addr    string
	http    string // its address for HTTP
	ops     string // its address for probes and metrics
	log     *buffer
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

var (
	servingAddr = regexp.MustCompile(`msg=serving addr=(\S+)`)
	servingHTTP = regexp.MustCompile(`msg="serving HTTP" addr=(\S+)`)
	servingOps  = regexp.MustCompile(`msg="serving probes" addr=(\S+)`)
)

// startServer starts a server in the folder dir, and waits until it listens.
func startServer(ctx context.Context, program, dir string, flags ...string) (*server, error) {
	s := &server{log: &buffer{}}
	s.command = exec.CommandContext(ctx, program, append([]string{"--addr", "127.0.0.1:0"}, flags...)...)
	s.command.Dir, s.command.Stdout, s.command.Stderr = dir, s.log, s.log
	s.command.Cancel = func() error { return s.command.Process.Signal(syscall.SIGKILL) }
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	for range 1000 {
		grpc, http, ops := servingAddr.FindStringSubmatch(s.log.String()), servingHTTP.FindStringSubmatch(s.log.String()), servingOps.FindStringSubmatch(s.log.String())
		if grpc != nil && http != nil && ops != nil {
			s.addr, s.http, s.ops = grpc[1], http[1], ops[1]
			return s, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, fmt.Errorf("the server does not serve:\n%s", s.log)
}

var goroutines = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)

// goroutines returns how many the server has.
func (s *server) goroutines(ctx context.Context) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.ops+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	found := goroutines.FindSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("the metrics have no go_goroutines:\n%s", text)
	}
	return strconv.Atoi(string(found[1]))
}

// awaitGoroutines waits until the server has no more than most of them, for as long as it
// takes to give up clients that are gone, and returns how many it has.
func (s *server) awaitGoroutines(ctx context.Context, most int) (n int, err error) {
	for range 30 {
		if n, err = s.goroutines(ctx); err != nil || n <= most || !sleep(ctx, time.Second/2) {
			break
		}
	}
	return n, err
}

// stop stops the server at once.
func (s *server) stop() error {
	if err := s.command.Process.Kill(); err != nil {
		return fmt.Errorf("the server has ended: %w\n%s", err, s.log)
	}
	_ = s.command.Wait() // says that it was killed
	return nil
}

func (s *server) proc(file string) string {
	return filepath.Join("/proc", strconv.Itoa(s.command.Process.Pid), file)
}

// memory returns a figure of the kernel about the process: VmRSS is what it has
// resident, VmHWM the most that it has had since forgetHighest. Both are in bytes.
func (s *server) memory(figure string) (int64, error) {
	text, err := os.ReadFile(s.proc("status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == figure+":" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("%s has no %s: has the server ended?\n%s", s.proc("status"), figure, s.log)
}

// forgetHighest begins to measure VmHWM again.
func (s *server) forgetHighest() error { return os.WriteFile(s.proc("clear_refs"), []byte("5"), 0) }

var noticed = regexp.MustCompile(`msg="a limit was reached" limit=(\S+) times=(\d+)`)

// notices returns the limits that the server logged, and how many lines each took.
func (s *server) notices() string {
	lines := map[string]int{}
	for _, found := range noticed.FindAllStringSubmatch(s.log.String(), -1) {
		lines[found[1]]++
	}
	return counted(lines)
}

// panicked reports whether the log has a panic.
func (s *server) panicked() bool {
	return strings.Contains(s.log.String(), "panic") || strings.Contains(s.log.String(), "goroutine ")
}

var stored = regexp.MustCompile(`(?m)^.* msg=stored .*\n`)

// logged returns how many bytes the server logged, without the events that its
// consumer logs.
func (s *server) logged() int { return len(stored.ReplaceAllString(s.log.String(), "")) }

// counted prints what was counted, by name.
func counted(counts map[string]int) string {
	var all []string
	for name, n := range counts {
		all = append(all, fmt.Sprintf("%s ×%d", name, n))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// figures are the limits that a server has by its flags, by their names. They are read
// from its help, so that they are those of the program and not of this one.
type figures map[string]int64

var (
	helpFlag    = regexp.MustCompile(`^  -(\S+)`)
	helpDefault = regexp.MustCompile(`\(default (\d+)\)$`)
)

// readFigures returns the defaults of a server, except those that flags set, such as
// "--max-calls=5".
func readFigures(ctx context.Context, program string, flags []string) (figures, error) {
	help, err := exec.CommandContext(ctx, program, "--help").Output()
	if err != nil {
		return nil, err
	}
	all, name := figures{}, ""
	for line := range strings.Lines(string(help)) {
		line = strings.TrimRight(line, "\n")
		if found := helpFlag.FindStringSubmatch(line); found != nil {
			name = found[1]
		}
		if found := helpDefault.FindStringSubmatch(line); found != nil {
			all[name], _ = strconv.ParseInt(found[1], 10, 64)
		}
	}
	for _, set := range flags {
		if name, value, ok := strings.Cut(strings.TrimLeft(set, "-"), "="); ok {
			if n, err := strconv.ParseInt(value, 10, 64); err == nil {
				all[name] = n
			}
		}
	}
	return all, nil
}

// addKey adds an API key for the events of a source, and returns it.
func addKey(ctx context.Context, program, dir, source string, more ...string) (string, error) {
	command := exec.CommandContext(ctx, program, slices.Concat([]string{"keys", "add", source, "--source", source, "--keys", "api-keys"}, more)...)
	command.Dir = dir
	var complaint bytes.Buffer
	command.Stderr = &complaint
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", command, err, &complaint)
	}
	return strings.TrimSpace(string(out)), nil
}

// honest is the traffic beside an attack.
type honest struct {
	command *exec.Cmd
	input   io.Closer
	out     *buffer
}

// honestResults are what became of the honest calls.
type honestResults struct {
	Calls, OK         int
	Errors            map[string]int
	P50, P99, Longest time.Duration
}

func (r honestResults) share() float64 {
	if r.Calls == 0 {
		return 0
	}
	return 100 * float64(r.OK) / float64(r.Calls)
}

func startHonest(ctx context.Context, program string, s *server, ca, key string, patience time.Duration) (*honest, error) {
	h := &honest{out: &buffer{}}
	h.command = exec.CommandContext(ctx, program, "-addr", s.addr, "-http", s.http, "-ops", s.ops, "-ca", ca, "-key", key, "-patience", patience.String())
	h.command.Stdout, h.command.Stderr = h.out, h.out
	input, err := h.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	h.input = input
	if err := h.command.Start(); err != nil {
		return nil, err
	}
	for range 3000 {
		if strings.Contains(h.out.String(), "calling\n") {
			return h, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, fmt.Errorf("the honest callers don't begin:\n%s", h.out)
}

// end ends the traffic, and returns what became of it.
func (h *honest) end() (results honestResults, err error) {
	if err := h.input.Close(); err != nil {
		return results, err
	}
	if err := h.command.Wait(); err != nil {
		return results, fmt.Errorf("the honest callers: %w\n%s", err, h.out)
	}
	_, text, _ := strings.Cut(h.out.String(), "calling\n")
	if err := json.Unmarshal([]byte(text), &results); err != nil {
		return results, fmt.Errorf("the honest callers print %q: %w", text, err)
	}
	return results, nil
}

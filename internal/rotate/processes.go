//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience bounds how long anything may take that must happen.
const patience = time.Minute

// waitFor returns once something has happened.
func waitFor(what string, happened func() bool) error {
	for deadline := time.Now().Add(patience); !happened(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %s", what, patience)
		}
	}
	return nil
}

// server is a generated server, as a process of its own.
type server struct {
	command *exec.Cmd
	addr    string

	mu  sync.Mutex
	log strings.Builder
}

func (s *server) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *server) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// What the server logs about its files.
const (
	readAgain = `msg="files were read again"`
	cannotUse = `msg="files that have changed can't be used`
)

// logged returns how many lines of the log have a text.
func (s *server) logged(text string) int { return strings.Count(s.text(), text) }

var servingAddr = regexp.MustCompile(`msg=serving addr=(\S+)`)

// startServer starts a server in the folder dir, and waits until it listens.
func startServer(ctx context.Context, program, dir string, flags ...string) (*server, error) {
	s := &server{command: exec.CommandContext(ctx, program, append([]string{"--addr", "127.0.0.1:0"}, flags...)...)}
	s.command.Dir, s.command.Stdout, s.command.Stderr = dir, s, s
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	err := waitFor("serving", func() bool { return servingAddr.MatchString(s.text()) })
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, s.text()), s.command.Process.Kill())
	}
	s.addr = servingAddr.FindStringSubmatch(s.text())[1]
	return s, nil
}

// stop lets the server end as it should.
func (s *server) stop() error {
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("the server has ended: %w\n%s", err, s.text())
	}
	if err := s.command.Wait(); err != nil {
		return fmt.Errorf("the server: %w\n%s", err, s.text())
	}
	return nil
}

// callers are those of a process that calls a server.
type callers struct {
	command *exec.Cmd
	input   io.Closer
	stderr  strings.Builder
	read    chan struct{} // closed once all output has been read

	mu     sync.Mutex
	calls  int
	errors []string
	met    map[string]time.Time // servers, by the names in their certificates
}

func startCallers(ctx context.Context, program, addr, files string) (*callers, error) {
	c := &callers{
		command: exec.CommandContext(ctx, program, "-addr", addr, "-files", files),
		read:    make(chan struct{}), met: map[string]time.Time{},
	}
	c.command.Stderr = &c.stderr
	output, err := c.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if c.input, err = c.command.StdinPipe(); err != nil {
		return nil, err
	}
	if err := c.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(c.read)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			c.note(lines.Bytes())
		}
	}()
	return c, nil
}

// note takes note of a line of output.
func (c *callers) note(text []byte) {
	var line struct {
		Calls         int
		Error, Server string
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := json.Unmarshal(text, &line); err != nil {
		line.Error = fmt.Sprintf("the callers print %q", text)
	}
	if line.Error != "" {
		c.errors = append(c.errors, line.Error)
	}
	if line.Server != "" {
		c.met[line.Server] = time.Now()
	}
	c.calls = max(c.calls, line.Calls)
}

// now returns how many calls there were, and what is wrong with those that failed.
func (c *callers) now() (calls int, failed []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls, slices.Clone(c.errors)
}

// servers returns the servers that the callers have met, and when at first.
func (c *callers) servers() map[string]time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.met)
}

// end ends the calls.
func (c *callers) end() error {
	if err := c.input.Close(); err != nil {
		return err
	}
	<-c.read
	if err := c.command.Wait(); err != nil {
		return fmt.Errorf("the callers: %w\n%s", err, &c.stderr)
	}
	return nil
}

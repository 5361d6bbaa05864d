//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// build builds the server of one of the goldens, which has each kind of RPC, and returns
// its path.
func build(ctx context.Context, dir string) (program string, err error) {
	program = filepath.Join(dir, "kinds-server")
	const path = "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/cmd/kinds-server"
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, path).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return program, nil
}

// process is a server in a process of its own. It keeps its address and its log when it
// is started again.
type process struct {
	program string
	args    []string
	addr    string

	command *exec.Cmd
	log     bytes.Buffer // what it wrote before it served
	ended   chan error
}

// newProcess returns a server on a free port, with a log of its own in dir.
func newProcess(program, dir, name string, flags ...string) (*process, error) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer free.Close()
	addr := free.Addr().String()
	args := []string{"--addr", addr, "--events", "sqlite:" + filepath.Join(dir, name+".db")}
	return &process{program: program, args: append(args, flags...), addr: addr}, nil
}

// start starts the server, and returns once it serves.
func (p *process) start(ctx context.Context) error {
	p.command = exec.CommandContext(ctx, p.program, p.args...)
	stderr, err := p.command.StderrPipe()
	if err != nil {
		return err
	}
	if err := p.command.Start(); err != nil {
		return err
	}
	serves, ended := make(chan struct{}), make(chan error, 1)
	p.log.Reset()
	p.ended = ended
	go func() {
		serving := false
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if !serving {
				p.log.WriteString(lines.Text() + "\n")
			}
			if !serving && strings.Contains(lines.Text(), "msg=serving") {
				serving = true
				close(serves)
			}
		}
		ended <- p.command.Wait()
	}()
	select {
	case <-serves:
		return nil
	case err := <-ended:
		return fmt.Errorf("the server ended before it served: %w\n%s", err, p.log.String())
	}
}

// stop sends SIGTERM, and returns how long the server took to exit. The error is nil if
// it exits with 0.
func (p *process) stop() (time.Duration, error) {
	begin := time.Now()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	err := <-p.ended
	return time.Since(begin), err
}

// kill ends the server in any case.
func (p *process) kill() {
	if p.command != nil && p.command.Process != nil {
		_ = p.command.Process.Kill()
	}
}

// startAll starts servers, or none of them.
func startAll(ctx context.Context, all []*process) error {
	var failed error
	for _, p := range all {
		failed = errors.Join(failed, p.start(ctx))
	}
	return failed
}

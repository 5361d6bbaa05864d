//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A shell runs the commands of a page as one terminal would: the folder and the
// variables that a block leaves are those of the next one. What it starts has ended
// when it is closed.
type shell struct {
	page    string
	folder  string // of the page
	state   string // a folder with the variables, the current folder and the script
	env     []string
	limit   time.Duration // for each block
	running []*process    // what runs in the background, in the order in which it was started
}

// process is a block that runs in the background.
type process struct {
	name   string
	line   int
	pid    int
	output *printed
	ended  chan struct{} // closed when all of its processes have ended
}

// printed is what a process has printed so far.
type printed struct {
	sync.Mutex
	text bytes.Buffer
}

func (p *printed) Write(text []byte) (int, error) {
	p.Lock()
	defer p.Unlock()
	return p.text.Write(text)
}

func (p *printed) String() string {
	p.Lock()
	defer p.Unlock()
	return p.text.String()
}

// newShell returns a shell for a page, which begins in a folder. It keeps what it must
// know between two blocks in another one, state.
func newShell(page, folder, state string, env []string, limit time.Duration) (*shell, error) {
	s := &shell{page: page, folder: folder, state: state, env: env, limit: limit}
	if err := os.WriteFile(s.variables(), nil, 0o600); err != nil {
		return nil, err
	}
	return s, os.WriteFile(s.current(), []byte(folder+"\n"), 0o600)
}

func (s *shell) variables() string { return filepath.Join(s.state, "variables") }
func (s *shell) current() string   { return filepath.Join(s.state, "folder") }
func (s *shell) failed() string    { return filepath.Join(s.state, "line") }

// cwd returns the folder that the page is in: where its last cd went to.
func (s *shell) cwd() (string, error) {
	folder, err := os.ReadFile(s.current())
	return strings.TrimSuffix(string(folder), "\n"), err
}

// command returns a command that runs lines of the page, the first of which is at
// line first. Bash counts its lines as the page does.
func (s *shell) command(ctx context.Context, first int, lines, after string) (*exec.Cmd, error) {
	quote := func(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
	// What a block assigns is exported, so that the next one has it, as in a terminal.
	before := fmt.Sprintf(`set -euEa -o pipefail; . %s; cd "$(cat %s)"; trap 'echo $LINENO >%s' ERR;`,
		quote(s.variables()), quote(s.current()), quote(s.failed()))
	script := before + strings.Repeat("\n", first-1) + lines + "\n" + after + "\n"
	at := filepath.Join(s.state, filepath.Base(s.page))
	if err := os.WriteFile(at, []byte(script), 0o600); err != nil {
		return nil, err
	}
	os.Remove(s.failed())
	command := exec.CommandContext(ctx, "bash", at)
	command.Dir = s.folder
	command.Env = s.env
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = 5 * time.Second
	return command, nil
}

// run runs lines of the page to their end, and returns what they printed. The error
// has the line of the page that failed.
func (s *shell) run(ctx context.Context, first int, lines string, exit int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	save := fmt.Sprintf("trap - ERR; export -p >'%s'; pwd >'%s'", s.variables(), s.current())
	command, err := s.command(ctx, first, lines, save)
	if err != nil {
		return "", err
	}
	// A file, not a pipe: what is left running must not keep us waiting.
	output, err := os.CreateTemp(s.state, "output-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(output.Name())
	defer output.Close()
	command.Stdout, command.Stderr = output, output
	failure := command.Run()
	printed, err := os.ReadFile(output.Name())
	if err != nil {
		return "", err
	}
	line := first
	if at, err := os.ReadFile(s.failed()); err == nil {
		if n, err := strconv.Atoi(strings.TrimSpace(string(at))); err == nil && n >= first {
			line = n
		}
	}
	if ctx.Err() != nil {
		return string(printed), fmt.Errorf("%s:%d: not done after %v; it printed:\n%s", s.page, line, s.limit, indented(string(printed)))
	}
	code := 0
	var exited *exec.ExitError
	if errors.As(failure, &exited) {
		code = exited.ExitCode()
	} else if failure != nil {
		return string(printed), fmt.Errorf("%s:%d: %w", s.page, line, failure)
	}
	if code != exit {
		return string(printed), fmt.Errorf("%s:%d: ended with exit code %d, not %d; it printed:\n%s", s.page, line, code, exit, indented(string(printed)))
	}
	if command.Process != nil && outlives(command.Process.Pid) {
		return string(printed), fmt.Errorf("%s:%d: leaves a process running: put what keeps running into a block of its own, with background", s.page, first)
	}
	return string(printed), nil
}

// outlives ends what a command has left running, and reports whether there was any.
func outlives(group int) bool {
	for range 20 { // what is just ending is not meant
		if syscall.Kill(-group, 0) != nil {
			return false
		}
		time.Sleep(50 * time.Millisecond)
	}
	return syscall.Kill(-group, syscall.SIGKILL) == nil
}

// start runs lines of the page in the background, and returns once ready finds what
// it waits for in what they print.
func (s *shell) start(ctx context.Context, name string, line, first int, lines string, ready func(printed string) bool, what string) error {
	command, err := s.command(context.WithoutCancel(ctx), first, lines, "")
	if err != nil {
		return err
	}
	p := &process{name: name, line: line, output: &printed{}, ended: make(chan struct{})}
	command.Stdout, command.Stderr = p.output, p.output
	command.WaitDelay = 0 // until all of its processes have closed their output
	if err := command.Start(); err != nil {
		return fmt.Errorf("%s:%d: %w", s.page, line, err)
	}
	p.pid = command.Process.Pid
	go func() {
		_ = command.Wait()
		close(p.ended)
	}()
	s.running = append(s.running, p)
	deadline := time.NewTimer(s.limit)
	defer deadline.Stop()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		problem := ""
		select {
		case <-poll.C:
		case <-p.ended:
			problem = "ended"
		case <-deadline.C:
			problem = "still runs after " + s.limit.String()
		case <-ctx.Done():
			return ctx.Err()
		}
		if ready(p.output.String()) {
			return nil
		}
		if problem != "" {
			return fmt.Errorf("%s:%d: %s, and has not printed %s; it printed:\n%s", s.page, line, problem, what, indented(p.output.String()))
		}
	}
}

// stop ends what was started under a name, or all, as Ctrl-C would, and what has not
// ended after a while at once.
func (s *shell) stop(name string) error {
	var left []*process
	found := false
	for i := len(s.running) - 1; i >= 0; i-- {
		p := s.running[i]
		if name != "" && p.name != name {
			left = append([]*process{p}, left...)
			continue
		}
		found = true
		_ = syscall.Kill(-p.pid, syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(20 * time.Second):
			_ = syscall.Kill(-p.pid, syscall.SIGKILL)
			<-p.ended
		}
	}
	s.running = left
	if name != "" && !found {
		return fmt.Errorf("nothing of that name runs in the background: %s", name)
	}
	return nil
}

// logs returns the last lines that each process in the background has printed.
func (s *shell) logs() string {
	var all strings.Builder
	for _, p := range s.running {
		lines := strings.Split(strings.TrimRight(p.output.String(), "\n"), "\n")
		if len(lines) > 10 {
			lines = lines[len(lines)-10:]
		}
		fmt.Fprintf(&all, "\n  in the background, started in line %d:\n%s", p.line, indented(strings.Join(lines, "\n")))
	}
	return all.String()
}

// indented returns a text, or its end if it is long, indented as the detail of an error.
func indented(text string) string {
	const most = 60
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > most {
		lines = append([]string{"…"}, lines[len(lines)-most:]...)
	}
	return "    " + strings.Join(lines, "\n    ")
}

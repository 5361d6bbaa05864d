package exactlyonce

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// process is a [Process] that runs.
type process struct {
	Process
	lines   atomic.Int64  // that it has printed, since it was first started
	shown   *atomic.Int64 // grows when it does something: lines, unless another one prints that
	before  int64         // what shown was when it was last started
	command *exec.Cmd
	ended   chan struct{} // closed when it has ended
	wrong   tail          // what it has printed about errors
}

func start(t *testing.T, of Process) *process {
	t.Helper()
	p := &process{Process: of}
	p.shown = &p.lines
	p.start(t)
	t.Cleanup(func() {
		p.kill(t)
		if t.Failed() {
			t.Logf("the last that the %s printed:\n%s", p.Name, p.wrong.text)
		}
	})
	return p
}

func (p *process) start(t *testing.T) {
	t.Helper()
	p.command = exec.CommandContext(context.WithoutCancel(t.Context()), p.Path, p.Args...)
	p.command.Env = append(os.Environ(), p.Env...)
	p.command.Stderr = &p.wrong
	if _, err := p.command.StdinPipe(); err != nil { // it ends with this process
		t.Fatal(err)
	}
	out, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.before = p.shown.Load()
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	command, ended := p.command, make(chan struct{})
	p.ended = ended
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.lines.Add(1)
		}
		_ = command.Wait()
		close(ended)
	}()
}

// works waits until the process has done something since it was started. One that ends by
// itself is started again, as a supervisor does.
func (p *process) works(t *testing.T) {
	t.Helper()
	for begin := time.Now(); p.shown.Load() == p.before; {
		if time.Since(begin) > 5*time.Minute { // a machine that is busy with other things takes long
			t.Fatalf("the %s does nothing", p.Name)
		}
		select {
		case <-p.ended:
			t.Logf("the %s has ended, and is started again: %s", p.Name, p.wrong.lastLine())
			p.start(t)
		case <-time.After(time.Millisecond):
		}
	}
}

// kill kills the process, which has no time to do anything about it.
func (p *process) kill(t testing.TB) {
	t.Helper()
	select {
	case <-p.ended:
		return
	default:
	}
	if err := p.command.Process.Kill(); err != nil {
		t.Errorf("the %s: %v", p.Name, err)
	}
	<-p.ended
}

// tail keeps the last of what is written to it. It is read when the process has ended.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// lastLine returns the last line.
func (t *tail) lastLine() string {
	text := strings.TrimSpace(string(t.text))
	return text[strings.LastIndexByte(text, '\n')+1:]
}

func (t *tail) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, text...)
	t.text = t.text[max(0, len(t.text)-2<<10):]
	return len(text), nil
}
